import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { freePorts } from '@quorate/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { quorateVersion, startQuorate } from '../src/index.ts';
import { quorate } from './support/run.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-app-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function flags(): Promise<string[]> {
  const [port] = await freePorts(1);
  return [
    `--data-dir=${folder}/data`,
    `--listen-client-urls=http://127.0.0.1:${port}`,
    `--advertise-client-urls=http://127.0.0.1:${port}`,
  ];
}

const READY = 'serving client requests';
/** Sends `signals` once it serves. */
const onceReady = (...signals: NodeJS.Signals[]) => {
  let sent = false;
  return (text: string, kill: (signal: NodeJS.Signals) => void) => {
    if (sent || !text.includes(READY)) return;
    sent = true;
    for (const signal of signals) kill(signal);
  };
};

describe('exit status', () => {
  test('0 for --version, --help and --list-failpoints, which print and end', async () => {
    const version = await quorate(['--version']);
    expect(version).toMatchObject({ code: 0, stderr: '' });
    expect(version.stdout).toContain(
      `quorate Version: ${quorateVersion()}\netcd API Version: 3.7.0\nNode Version: v`,
    );
    const help = await quorate(['-h']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toContain('--quota-backend-bytes');
    const failpoints = await quorate(['--list-failpoints']);
    expect(failpoints).toMatchObject({ code: 0, stderr: '' });
    expect(failpoints.stdout.split('\n')).toContain('raftBeforeSave');
  });

  test('2 for flags that cannot be parsed', async () => {
    expect(await quorate(['--nope'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: "flag provided but not defined: -nope\nSee 'quorate --help'.\n",
    });
  });

  test('1 for a configuration that is wrong', async () => {
    expect(await quorate(['foo'])).toMatchObject({
      code: 1,
      stderr: "error verifying flags, 'foo' is not a valid flag. See 'quorate --help'.\n",
    });
    const conflict = await quorate(['--name=a'], { env: { ETCD_NAME: 'a' } });
    expect(conflict.code).toBe(1);
    expect(conflict.stderr).toContain('ETCD_NAME');
  });

  test('1 when the port is taken, and nothing is left behind', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    try {
      const url = `http://127.0.0.1:${port}`;
      const args = [
        `--data-dir=${folder}/data`,
        `--listen-client-urls=${url}`,
        `--advertise-client-urls=${url}`,
      ];
      const ended = await quorate(args);
      expect(ended.code).toBe(1);
      expect(ended.stderr).toContain('EADDRINUSE');
    } finally {
      taken.close();
    }
    const again = await quorate(await flags(), { onOutput: onceReady('SIGTERM') });
    expect(again.signal).toBe('SIGTERM');
  });

  test('1 when another process has the data folder (case-26)', async () => {
    const [port] = await freePorts(1);
    const first = await startQuorate({ dataDir: join(folder, 'data') });
    try {
      const url = `http://127.0.0.1:${port}`;
      const second = await quorate([
        `--data-dir=${folder}/data`,
        `--listen-client-urls=${url}`,
        `--advertise-client-urls=${url}`,
      ]);
      expect(second.code).toBe(1);
      expect(second.stderr).toContain('another process uses');
    } finally {
      await first.stop();
    }
  });

  test('1 for a folder that an etcd server made, and for joining a cluster of which no member is named', async () => {
    const args = await flags();
    mkdirSync(join(folder, 'foreign/member/snap'), { recursive: true });
    const foreign = await quorate([...args, `--data-dir=${folder}/foreign`]);
    expect(foreign.code).toBe(1);
    expect(foreign.stderr).toContain('is the data folder of an etcd server');
    const joining = await quorate([...args, '--initial-cluster-state=existing']);
    expect(joining.code).toBe(1);
    expect(joining.stderr).toContain('cannot fetch cluster info from peer urls');
  });
});

describe('signals', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s ends it gracefully, by that signal, as etcd does',
    async (signal) => {
      const ended = await quorate(await flags(), { onOutput: onceReady(signal) });
      expect(ended).toMatchObject({ code: null, signal, stdout: '' });
      expect(ended.stderr).toContain('received signal; shutting down');
      expect(ended.stderr.trim().split('\n').at(-1)).toContain('"stopped"');
    },
  );

  test('more signals change nothing', async () => {
    const ended = await quorate(await flags(), { onOutput: onceReady('SIGTERM', 'SIGINT', 'SIGTERM') });
    expect(['SIGTERM', 'SIGINT']).toContain(ended.signal);
    expect(ended.stderr).toContain('"stopped"');
    expect(ended.stderr.match(/received signal/g)).toHaveLength(1);
  });
});

describe('the log', () => {
  test('goes where --log-outputs says, in JSON lines', async () => {
    const file = join(folder, 'log');
    const args = [...(await flags()), `--log-outputs=${file},stdout`];
    const ended = await quorate(args, { onOutput: onceReady('SIGTERM') });
    expect(ended.stderr).toBe('');
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    expect(ended.stdout.trim().split('\n')).toEqual(lines);
    for (const line of lines) expect(JSON.parse(line)).toHaveProperty('msg');
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: 'info',
      msg: 'starting quorate',
      version: quorateVersion(),
    });
  });

  test('warns of flags that have no effect', async () => {
    const args = [...(await flags()), '--memory-mlock', '--snapshot'];
    const ended = await quorate(args, { onOutput: onceReady('SIGTERM') });
    expect(ended.stderr).toContain('--memory-mlock has no effect yet');
    expect(ended.stderr).toContain('flag \\"-snapshot\\" is no longer supported - ignoring');
  });
});

describe('failures of its own', () => {
  test('an error nobody caught ends it with status 1', async () => {
    // A module loaded before the program throws long after it started.
    const saboteur = join(folder, 'saboteur.mjs');
    writeFileSync(
      saboteur,
      "setInterval(() => { if (process.listenerCount('SIGTERM') > 0) Promise.reject(new Error('sabotage')); }, 20);\n",
    );
    const ended = await quorate(await flags(), { env: { NODE_OPTIONS: `--import=file://${saboteur}` } });
    expect(ended).toMatchObject({ code: 1, signal: null });
    expect(ended.stderr).toContain('sabotage');
    expect(ended.stderr).toContain('"level":"fatal"');
  });
});

describe('listeners', () => {
  test('a Unix socket, also where an old one was left', async () => {
    const url = 'unix://localhost:23790';
    const args = [
      `--data-dir=${folder}/data`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
    ];
    const path = join(folder, 'localhost:23790');
    for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
      let client: Promise<Answer> | null = null;
      const ended = await quorate(args, {
        cwd: folder,
        onOutput(text, kill) {
          if (client !== null || !text.includes(READY)) return;
          client = rangeOverSocket(path).finally(() => kill(signal));
        },
      });
      expect(ended.signal).toBe(signal);
      expect(await client).toEqual({ error: null, bytes: expect.any(Number) });
    }
    expect(existsSync(path)).toBe(false);
  });
});

interface Answer {
  readonly error: string | null;
  readonly bytes: number;
}

function rangeOverSocket(path: string): Promise<Answer> {
  const client = new Client(`unix:${path}`, credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  return new Promise((resolve) => {
    const request = Buffer.from([0x0a, 0x01, 0x61]);
    client.makeUnaryRequest('/etcdserverpb.KV/Range', same, same, request, (error, response) => {
      client.close();
      resolve({ error: error?.message ?? null, bytes: response?.length ?? 0 });
    });
  });
}

describe('embedded', () => {
  test('serves on a free port and stops', async () => {
    const dataDir = join(folder, 'data');
    const server = await startQuorate({ dataDir, flags: { 'max-txn-ops': 5 } });
    expect(server.addresses[0]).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    await server.stop();
    await server.stop();
    expect(await server.stopped).toBe(null);
  });

  test('wrong options are refused', async () => {
    const dataDir = join(folder, 'data');
    await expect(startQuorate({ dataDir, flags: { nope: 1 } })).rejects.toThrow('no flag is named "nope"');
    await expect(startQuorate({ dataDir, flags: { 'max-txn-ops': -1 } })).rejects.toThrow('parse error');
    await expect(startQuorate({ dataDir, flags: { 'cert-file': 'a' } })).rejects.toThrow('not supported yet');
    await expect(startQuorate({ dataDir, listenClientUrls: ['http://example.com:1'] })).rejects.toThrow(
      'expected IP',
    );
  });
});
