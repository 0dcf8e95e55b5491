/**
 * The example as a stranger would run it: `@quorate/raft` built, packed and installed by npm into an empty project,
 * three processes, one of them killed.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const RAFT = new URL('../../../packages/raft', import.meta.url).pathname;
const BIN = new URL('../../../node_modules/.bin', import.meta.url).pathname;
const SOURCE = new URL('../src/counter.ts', import.meta.url).pathname;

const directory = mkdtempSync(join(tmpdir(), 'raft-counter-'));
const processes = new Map<number, ChildProcess>();
const clientPorts: number[] = [];

/** Builds outside of the work tree, so that nobody who builds at the same time is disturbed. */
function installPacked(): void {
  const build = join(directory, 'build');
  execFileSync(join(BIN, 'tsup'), ['--out-dir', build], { cwd: RAFT, stdio: 'pipe' });
  execFileSync(join(BIN, 'tsc'), ['-p', 'tsconfig.build.json', '--outDir', build], {
    cwd: RAFT,
    stdio: 'pipe',
  });
  const stage = join(directory, 'stage');
  mkdirSync(stage);
  cpSync(build, join(stage, 'dist'), { recursive: true });
  for (const file of ['package.json', 'README.md']) cpSync(join(RAFT, file), join(stage, file));
  execFileSync('npm', ['pack', '--silent', '--pack-destination', directory], { cwd: stage, stdio: 'pipe' });
  const tarball = readdirSync(directory).find((file) => file.endsWith('.tgz'))!;
  const app = join(directory, 'app');
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{"type":"module"}');
  // No dependency, so no registry either.
  const quiet = ['--offline', '--no-audit', '--no-fund', '--silent'];
  execFileSync('npm', ['install', ...quiet, join(directory, tarball)], { cwd: app, stdio: 'pipe' });
  cpSync(SOURCE, join(directory, 'app/counter.ts'));
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once('listening', resolve))));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function start(id: number, peerPort: number, clientPort: number, members: string[]): Promise<void> {
  const child = spawn(process.execPath, ['counter.ts', `${id}`, `${peerPort}`, `${clientPort}`, ...members], {
    cwd: join(directory, 'app'),
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH },
  });
  processes.set(id, child);
  for await (const line of createInterface({ input: child.stdout! })) if (line.endsWith('ready')) return;
}

/** One line to a client port, one line back. */
function ask(port: number, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(`${line}\n`));
    socket.once('data', (answer) => {
      socket.destroy();
      resolve(String(answer).trim());
    });
    socket.once('error', reject);
  });
}

/** Asks until the answer is not an error: elections take their time. */
async function eventually(port: number, line: string): Promise<string> {
  for (;;) {
    const answer = await ask(port, line);
    if (!answer.startsWith('error UNAVAILABLE') && !answer.startsWith('error TIMEOUT')) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

beforeAll(async () => {
  installPacked();
  const ports = await freePorts(6);
  const members = [1, 2, 3].map((id) => `${id}=127.0.0.1:${ports[id - 1]}`);
  clientPorts.push(...ports.slice(3));
  await Promise.all([1, 2, 3].map((id) => start(id, ports[id - 1]!, clientPorts[id - 1]!, members)));
}, 300_000);

afterAll(() => {
  for (const child of processes.values()) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

describe('raft-counter', () => {
  it('runs on the tarball, which brings nothing else and no source', () => {
    const installed = join(directory, 'app/node_modules');
    expect(readdirSync(installed).filter((name) => !name.startsWith('.'))).toEqual(['@quorate']);
    expect(readdirSync(join(installed, '@quorate'))).toEqual(['raft']);
    expect(readdirSync(join(installed, '@quorate/raft')).sort()).toEqual([
      'README.md',
      'dist',
      'package.json',
    ]);
  });

  it('is under 200 lines and imports nothing of ours but the published package', () => {
    const source = readFileSync(SOURCE, 'utf8');
    expect(source.split('\n').length).toBeLessThan(200);
    const imported = [...source.matchAll(/from '([^']+)'/g)].map((match) => match[1]!);
    expect(imported.filter((name) => !name.startsWith('node:'))).toEqual(['@quorate/raft']);
  });

  it('adds and reads through any member', { timeout: 60_000 }, async () => {
    expect(await eventually(clientPorts[0]!, 'add 5')).toBe('ok 5');
    expect(await eventually(clientPorts[1]!, 'add -2')).toBe('ok 3');
    expect(await eventually(clientPorts[2]!, 'get')).toBe('ok 3');
    expect(await ask(clientPorts[2]!, 'sing')).toMatch(/^error commands are/);
  });

  it('goes on when the leader is killed', { timeout: 60_000 }, async () => {
    const who = await ask(clientPorts[0]!, 'who');
    const leader = Number(who.split(' ').at(-1));
    processes.get(leader)!.kill('SIGKILL');
    const other = clientPorts[leader % 3]!;
    expect(await eventually(other, 'get')).toBe('ok 3');
    expect(await eventually(other, 'add 4')).toBe('ok 7');
    expect(await eventually(other, 'get')).toBe('ok 7');
  });
});
