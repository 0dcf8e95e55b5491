/**
 * lock, elect and make-mirror together with etcdctl: on a real etcd, and on our own server. Whoever holds a lock by one program
 * keeps the other out.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { connect, prefix } from '@quorate/client';
import { findProgram, type ServerProcess, startEtcd, startQuorate } from '@quorate/testing';
import { spawnBound } from '@quorate/testing/child';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { run } from '../src/index.ts';
import { ours } from './harness.ts';

const installed = findProgram('etcdctl') !== null && findProgram('etcd') !== null;
if (!installed) console.warn('SKIPPED: etcd and etcdctl are not installed: locks are not shared with them');

interface Running {
  text(): string;
  errors(): string;
  readonly code: Promise<number>;
  interrupt(): void;
}

/** Ours, in this process. */
function startOurs(endpoint: string, ...args: string[]): Running {
  let [text, errors] = ['', ''];
  const aborter = new AbortController();
  const code = run(['--endpoints', endpoint, ...args], {
    stdin: Readable.from([]),
    env: { PATH: process.env.PATH ?? '' },
    stdout: (bytes) => {
      text += Buffer.from(bytes).toString();
    },
    stderr: (line) => {
      errors += line;
    },
    interrupt: aborter.signal,
  });
  onTestFinished(() => aborter.abort());
  return { text: () => text, errors: () => errors, code, interrupt: () => aborter.abort() };
}

function startTheirs(endpoint: string, ...args: string[]): Running {
  let [text, errors] = ['', ''];
  const child: ChildProcess = spawnBound('etcdctl', ['--endpoints', endpoint, ...args]);
  child.stdout?.on('data', (bytes: Buffer) => {
    text += bytes.toString();
  });
  child.stderr?.on('data', (bytes: Buffer) => {
    errors += bytes.toString();
  });
  const code = once(child, 'exit').then(([status]) => status as number);
  onTestFinished(() => void child.kill('SIGKILL'));
  return { text: () => text, errors: () => errors, code, interrupt: () => void child.kill('SIGINT') };
}

const programs = [startOurs, startTheirs] as const;
const shows = (running: Running, pattern: RegExp) =>
  vi.waitFor(() => expect(running.text()).toMatch(pattern), { timeout: 15_000, interval: 20 });

describe.skipIf(!installed).each(['etcd', 'quorate'])('on %s', (kind) => {
  let server: ServerProcess;
  let endpoint: string;
  beforeAll(async () => {
    server = await (kind === 'etcd' ? startEtcd() : startQuorate());
    endpoint = server.endpoint;
  }, 60_000);
  afterAll(() => server?.stop());

  /** All keys under the name, by creation: the queue. */
  async function queue(name: string, length: number): Promise<string[]> {
    await using client = connect(endpoint);
    return await vi.waitFor(
      async () => {
        const { kvs } = await client.kv.range(prefix(`${name}/`), { sortBy: 'create', order: 'ascend' });
        expect(kvs).toHaveLength(length);
        return kvs.map((kv) => kv.name);
      },
      { timeout: 15_000, interval: 20 },
    );
  }

  test.each([
    [0, 1],
    [1, 0],
  ] as const)('case-57 holder %i of (ours, etcdctl) keeps the other out', async (first, second) => {
    const name = `lock-${first}`;
    const holder = programs[first](endpoint, 'lock', name);
    await shows(holder, new RegExp(`^${name}/[0-9a-f]+\n\n$`));
    const waiting = programs[second](endpoint, 'lock', name);
    const keys = await queue(name, 2);
    expect(`${keys[0]}\n\n`).toBe(holder.text());
    expect(waiting.text()).toBe('');
    holder.interrupt();
    expect(await holder.code).toBe(0);
    await shows(waiting, new RegExp(`^${keys[1]}\n\n$`));
    waiting.interrupt();
    expect(await waiting.code).toBe(0);
    await queue(name, 0);
  });

  test('sem-199 the service, our program and etcdctl stand in one queue', async () => {
    const name = 'three';
    await using client = connect(endpoint);
    const { services } = await import('@quorate/proto');
    const { Lock, Unlock } = services['v3lockpb.Lock'];
    const held = await client.call(Lock, { name: Buffer.from(name) }, 'write');
    const mine = startOurs(endpoint, 'lock', name);
    await queue(name, 2);
    const their = startTheirs(endpoint, 'lock', name);
    await queue(name, 3);
    expect([mine.text(), their.text()]).toEqual(['', '']);
    await client.call(Unlock, { key: held.key }, 'write');
    await shows(mine, /^three\//);
    expect(their.text()).toBe('');
    const last = client.call(Lock, { name: Buffer.from(name) }, 'write');
    await queue(name, 3);
    mine.interrupt();
    await shows(their, /^three\//);
    their.interrupt();
    const [key] = await queue(name, 1);
    expect(Buffer.from((await last).key).toString()).toBe(key);
  });

  test('a command under the lock: its variables, its streams, its exit code', async () => {
    const script = 'echo "$ETCD_LOCK_KEY $ETCD_LOCK_REV"; echo problem >&2; exit 7';
    const words = ['lock', 'run', '--', 'sh', '-c', script];
    const [mine, their] = [startOurs(endpoint, ...words), startTheirs(endpoint, ...words)];
    // The child's code, since 3.5; before, 1 for any failure.
    expect(await Promise.all([mine.code, their.code])).toEqual([7, 1]);
    const normal = (text: string) => text.replace(/run\/[0-9a-f]+ \d+/, 'run/LEASE REVISION');
    expect(normal(mine.text())).toBe('run/LEASE REVISION\n');
    expect(normal(their.text())).toBe(normal(mine.text()));
    expect(mine.errors()).toBe('problem\nError: exit status 7\n');
    expect(their.errors()).toBe(mine.errors());
    const fine = startOurs(endpoint, 'lock', 'run', 'true');
    expect([await fine.code, fine.text(), fine.errors()]).toEqual([0, '', '']);
    await queue('run', 0);
  });

  test('what runs under one lock never overlaps, whoever starts it', async () => {
    await using client = connect(endpoint);
    const script = `etcdctl --endpoints ${endpoint} put inside/$$ x >/dev/null; etcdctl --endpoints ${endpoint} get --prefix --keys-only inside/ | grep -c inside; etcdctl --endpoints ${endpoint} del inside/$$ >/dev/null`;
    const runs = [0, 1, 0, 1].map((which) =>
      programs[which]!(endpoint, 'lock', 'apart', '--', 'sh', '-c', script),
    );
    expect(await Promise.all(runs.map((one) => one.code))).toEqual([0, 0, 0, 0]);
    expect(runs.map((one) => one.text())).toEqual(['1\n', '1\n', '1\n', '1\n']);
    expect(await client.kv.count(prefix('inside/'))).toBe(0);
  });

  test.each([
    [0, 1],
    [1, 0],
  ] as const)(
    'leader %i of (ours, etcdctl) is seen by both observers, and followed',
    async (first, second) => {
      const name = `elect-${first}`;
      const observers = programs.map((start) => start(endpoint, 'elect', '-l', name));
      const leader = programs[first](endpoint, 'elect', name, 'one');
      await shows(leader, new RegExp(`^${name}/[0-9a-f]+\none\n$`));
      for (const observer of observers) await shows(observer, /one\n$/);
      const next = programs[second](endpoint, 'elect', name, 'two');
      await queue(name, 2);
      expect(next.text()).toBe('');
      leader.interrupt();
      expect(await leader.code).toBe(0);
      await shows(next, /two\n$/);
      for (const observer of observers) {
        await shows(observer, /two\n$/);
        observer.interrupt();
        expect(await observer.code).toBe(0);
      }
      next.interrupt();
      expect(await next.code).toBe(0);
    },
  );

  test('make-mirror copies what is there and what changes, under another prefix', async () => {
    await using client = connect(endpoint);
    for (let index = 0; index < 300; index++) await client.kv.put(`from/${index}`, `${index}`);
    await client.kv.put('beside', 'no');
    const mirroring = startOurs(
      endpoint,
      ...['make-mirror', endpoint, '--prefix', 'from/', '--dest-prefix', 'to/', '--max-txn-ops', '100'],
    );
    const copied = (count: number) =>
      vi.waitFor(async () => expect(await client.kv.count(prefix('to/'))).toBe(count), {
        timeout: 15_000,
        interval: 20,
      });
    await copied(300);
    await client.kv.put('from/new', 'later');
    await client.kv.delete('from/7');
    await client.kv.delete(prefix('from/1'));
    await vi.waitFor(
      async () => {
        const read = async (start: string) =>
          (await client.kv.range(prefix(start))).kvs.map((kv) => [kv.name.slice(start.length), kv.text]);
        expect(await read('to/')).toEqual(await read('from/'));
      },
      { timeout: 15_000, interval: 20 },
    );
    mirroring.interrupt();
    expect(await mirroring.code).toBe(0);
    expect(Number(mirroring.text())).toBeGreaterThan(300);
  });
});

describe('without a server', () => {
  test.each([
    [['lock'], 128, 'lock takes a lock name argument and an optional command to execute'],
    [['elect'], 128, 'elect takes one election name argument and an optional proposal argument'],
    [['elect', 'a'], 128, 'no proposal argument but -l not set'],
    [['elect', 'a', 'b', '-l'], 128, 'proposal given but -l is set'],
    [['make-mirror'], 128, 'make-mirror takes one destination argument'],
    [['make-mirror', '', '--endpoints', 'a'], 2, 'not an endpoint: ""'],
    [['check', 'perf', '--load', 'huge'], 4, 'unknown load option huge'],
    [['member', 'add'], 128, 'member name not provided'],
    [['member', 'add', 'a'], 128, 'member peer urls not provided'],
    [['member', 'add', 'a', 'http://b'], 128, 'too many arguments, did you mean --peer-urls=http://b'],
    [['member', 'remove'], 128, 'member ID is not provided'],
    [
      ['member', 'remove', 'xyz'],
      128,
      'bad member ID arg (strconv.ParseUint: parsing "xyz": invalid syntax), expecting ID in Hex',
    ],
    [['member', 'update', '1'], 128, 'member peer urls not provided'],
    [['member', 'replace'], 128, 'member replace takes one name or ID of a member'],
    [['move-leader'], 128, 'move-leader command needs 1 argument'],
    [['downgrade', 'enable'], 128, 'TARGET_VERSION not provided'],
    [['completion', 'tcsh'], 128, 'completion takes the name of a shell: bash, zsh, fish, powershell'],
  ])('%j', async (args, code, text) => {
    expect(await ours({ args })).toEqual({ code, stdout: '', stderr: `Error: ${text}\n` });
  });

  test('nobody there: one line that says who was not reached', async () => {
    for (const words of [
      ['put', 'a', 'b'],
      ['lock', 'a'],
      ['elect', 'a', 'b'],
      ['member', 'remove', '1'],
    ]) {
      const { code, stderr } = await ours({
        args: ['--endpoints=127.0.0.1:1', '--command-timeout=300ms', '--dial-timeout=100ms', ...words],
      });
      expect([code, stderr]).toEqual([
        1,
        expect.stringMatching(
          /^Error: context deadline exceeded \(no connection to 127\.0\.0\.1:1: .*: no server listens there\)\n$/,
        ),
      ]);
    }
  });

  test.each(['bash', 'zsh', 'fish', 'powershell'])('completion for %s knows the commands', async (shell) => {
    const { code, stdout } = await ours({ args: ['completion', shell] });
    expect(code).toBe(0);
    for (const word of ['member', 'replace', 'lock', 'make-mirror', 'write-out'])
      expect(stdout).toContain(word);
  });

  test('bash takes the script, and completes by it', async () => {
    const { stdout } = await ours({ args: ['completion', 'bash'] });
    const script = `${stdout}\nCOMP_WORDS=(quoratectl member re); COMP_CWORD=2; _quoratectl; echo "\${COMPREPLY[@]}"`;
    const child = spawnBound('bash', ['-c', script]);
    let text = '';
    child.stdout.on('data', (bytes: Buffer) => {
      text += bytes.toString();
    });
    await once(child, 'close');
    expect(text).toBe('remove replace\n');
  });
});
