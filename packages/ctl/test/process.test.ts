/** quoratectl as a process: watches, commands run for events, signals, pipes, bytes that are no text, dead servers. */
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { connect } from '@quorate/client';
import { findProgram, freePorts, type ServerProcess, startEtcd } from '@quorate/testing';
import { spawnBound } from '@quorate/testing/child';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { etcdctl, ours } from './harness.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const ourCommand = [process.execPath, '--conditions=@quorate/source', main];

const installed = findProgram('etcd') !== null && findProgram('etcdctl') !== null;
if (!installed)
  console.warn(
    'etcd and etcdctl are not installed (packages etcd-server, etcd-client): quoratectl is not run against them',
  );

/** A running command whose output can be waited for. */
class Running {
  readonly child: ChildProcess;
  readonly closed: Promise<number | null>;
  stdout = '';
  stderr = '';
  private readonly waiters = new Set<() => void>();

  constructor(command: readonly string[], env: Record<string, string>) {
    const [program = '', ...args] = command;
    this.child = spawnBound(program, args, { env: { PATH: process.env.PATH ?? '', ...env } });
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString('latin1');
      for (const wake of this.waiters) wake();
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
      for (const wake of this.waiters) wake();
    });
    this.closed = new Promise((resolve) => this.child.once('close', (code) => resolve(code)));
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition())
      await new Promise<void>((resolve) => {
        this.waiters.add(resolve);
      });
  }
}

describe.skipIf(!installed)('quoratectl as a process', () => {
  let server: ServerProcess;
  let env: Record<string, string>;

  beforeAll(async () => {
    server = await startEtcd();
    env = { ETCDCTL_ENDPOINTS: server.endpoint };
  });
  afterAll(async () => {
    await server?.stop();
  });

  /**
   * Runs the same watch with both programs over what happened before, which both get in one answer; gives both
   * outputs, stopped by `last`.
   */
  async function watchBoth(
    args: readonly string[],
    happen: () => Promise<unknown>,
    last: string,
    stdin = '',
  ): Promise<{ mine: string; theirs: string }> {
    await happen();
    const both = [new Running([...ourCommand, ...args], env), new Running(['etcdctl', ...args], env)];
    for (const one of both) {
      one.child.stdin?.write(stdin);
      if (!args.includes('-i')) one.child.stdin?.end();
    }
    await Promise.all(both.map((one) => one.until(() => one.stdout.includes(last))));
    for (const one of both) one.child.kill('SIGTERM');
    await Promise.all(both.map((one) => one.closed));
    return { mine: both[0]?.stdout ?? '', theirs: both[1]?.stdout ?? '' };
  }

  /** Puts and a delete under `prefix`; the watch starts at a known revision, so nothing depends on who is first. */
  async function history(prefix: string): Promise<{ revision: string; happen: () => Promise<void> }> {
    const client = connect(server.endpoint);
    const { header } = await client.kv.put(`${prefix}/0`, 'before');
    return {
      revision: `${header.revision + 1}`,
      async happen() {
        await client.kv.put(`${prefix}/0`, 'after');
        await client.kv.put(`${prefix}/1`, 'new');
        await client.kv.delete(`${prefix}/0`);
        await client.kv.put(`${prefix}/last`, 'LAST');
        client.close();
      },
    };
  }

  for (const format of ['simple', 'fields', 'simple --hex', 'simple --prev-kv', 'fields --prev-kv'])
    test(`watch -w ${format} prints what etcdctl prints`, async () => {
      const { revision, happen } = await history(`w-${format}`);
      const args = ['watch', `w-${format}/`, '--prefix', '--rev', revision, '-w', ...format.split(' ')];
      const last = format.includes('hex') ? '\\x4c\\x41\\x53\\x54' : 'LAST';
      const { mine, theirs } = await watchBoth(args, happen, last);
      expect(mine).toBe(theirs);
      expect(mine).toContain(format.includes('fields') ? '"Type" : DELETE' : 'DELETE');
    });

  test('watch -w json prints what etcdctl prints, and the reason field of 3.7', async () => {
    const { revision, happen } = await history('wj');
    const args = ['watch', 'wj/', '--prefix', '--rev', revision, '-w', 'json', '--prev-kv'];
    const { mine, theirs } = await watchBoth(args, happen, Buffer.from('LAST').toString('base64'));
    expect(mine).toBe(theirs.replaceAll('"Created":false}', '"Created":false,"CancelReason":""}'));
  });

  test('watch prints events as they happen', async () => {
    const running = new Running([...ourCommand, 'watch', 'live/', '--prefix', '--rev', '1'], env);
    const client = connect(server.endpoint);
    await client.kv.put('live/a', '1');
    await running.until(() => running.stdout === 'PUT\nlive/a\n1\n');
    await client.kv.delete('live/a');
    await running.until(() => running.stdout === 'PUT\nlive/a\n1\nDELETE\nlive/a\n\n');
    client.close();
    running.child.kill('SIGTERM');
    await running.closed;
  });

  test('watch with a command runs it for every event', async () => {
    const { revision, happen } = await history('we');
    const script = 'echo $ETCD_WATCH_REVISION $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE';
    const args = ['watch', 'we/', '--prefix', '--rev', revision, '--', 'sh', '-c', script];
    const { mine, theirs } = await watchBoth(args, happen, 'PUT" "we/last" "LAST"');
    expect(mine).toBe(theirs);
    expect(mine).toContain('"DELETE" "we/0" ""');
  });

  test('watch ends with 1 when its command fails', async () => {
    const args = ['watch', 'first', '--rev', '1', '--', 'sh', '-c', 'exit 7'];
    const client = connect(server.endpoint);
    await client.kv.put('first', 'x');
    client.close();
    const mine = new Running([...ourCommand, ...args], env);
    const theirs = new Running(['etcdctl', ...args], env);
    expect(await mine.closed).toBe(await theirs.closed);
    expect(mine.stderr).toBe(theirs.stderr.replace(/["]sh["] ["]-c["] ["]exit 7["]/, '"sh" "-c" "exit 7"'));
    expect(mine.stderr).toBe('command ["sh" "-c" "exit 7"] error (exit status 7)\n');
  });

  test('watch -i takes watches and progress from standard input', async () => {
    const { revision, happen } = await history('wi');
    const stdin = `watch wi/ --prefix --rev ${revision}\n`;
    const { mine, theirs } = await watchBoth(['watch', '-i'], happen, 'LAST', stdin);
    expect(mine).toBe(theirs);
    const running = new Running([...ourCommand, 'watch', '-i'], env);
    running.child.stdin?.write(`watch wi/last --rev ${revision}\n`);
    await running.until(() => running.stdout.includes('LAST'));
    running.child.stdin?.write('progress\n');
    await running.until(() => /progress notify: \d+\n/.test(running.stdout));
    running.child.stdin?.end();
    expect(await running.closed).toBe(3);
    expect(running.stderr).toBe('Error: Error reading watch request line: EOF\n');
  });

  test('progress with -w json is a line for people and an answer without events', async () => {
    const running = new Running([...ourCommand, 'watch', '-i', '-w', 'json'], env);
    running.child.stdin?.write('watch wp\n');
    const client = connect(server.endpoint);
    // Until the watch is there, a progress request is not answered.
    while (!running.stdout.includes('"Events":[{')) await client.kv.put('wp', 'x');
    client.close();
    running.child.stdin?.write('progress\n');
    await running.until(() => /progress notify: \d+\n\{"Header":\{.*\},"Events":\[\],/.test(running.stdout));
    running.child.kill('SIGTERM');
    await running.closed;
  });

  test('leases: the same texts for the same lease', async () => {
    const client = connect(server.endpoint);
    const { id } = await client.lease.grant(1000);
    await client.kv.put('leased/1', 'x', { lease: id });
    await client.kv.put('leased/2', 'y', { lease: id });
    const hex = id.toString(16);
    for (const rest of [[], ['-w', 'json'], ['-w', 'fields']])
      for (const args of [
        ['lease', 'keep-alive', hex, '--once', ...rest],
        ['lease', 'timetolive', hex, '--keys', ...rest],
        ['lease', 'list', ...rest],
      ]) {
        const [mine, theirs] = [await ours({ args, env }), await etcdctl({ args, env })];
        // A second may pass between the two; the server gives the keys in any order.
        const plain = (text: string): string =>
          text
            .replace(/remaining\(\d+s\)/, 'remaining')
            .replace(/("ttl":|"TTL" : )99\d/, '$1')
            .replace('leased/2 leased/1', 'leased/1 leased/2')
            .replace(/"Key" : "leased\/.*\n/g, '')
            .replace('"bGVhc2VkLzI=","bGVhc2VkLzE="', '"bGVhc2VkLzE=","bGVhc2VkLzI="');
        expect(plain(mine.stdout)).toBe(plain(theirs.stdout));
        expect(mine.code).toBe(0);
      }
    const kept = new Running([...ourCommand, 'lease', 'keep-alive', hex], env);
    await kept.until(() =>
      kept.stdout.includes(`lease ${hex.padStart(16, '0')} keepalived with TTL(1000)\n`),
    );
    const revoked = await ours({ args: ['lease', 'revoke', hex], env });
    expect(revoked.stdout).toBe(`lease ${hex.padStart(16, '0')} revoked\n`);
    kept.child.kill('SIGTERM');
    await kept.closed;
    client.close();
  });

  test('lease keep-alive says so when the lease is gone', async () => {
    const outcome = await ours({ args: ['lease', 'keep-alive', '77'], env });
    expect(outcome).toEqual({ code: 0, stdout: 'lease 0000000000000077 expired or revoked.\n', stderr: '' });
  });

  test('keys and values that are no text keep their bytes, from words and from standard input', async () => {
    // A shell can name any bytes; Node's spawn can not.
    const script = `"$@" put "$(printf 'raw-\\377\\376')" "$(printf '\\200\\001x')"`;
    const put = new Running(['sh', '-c', script, 'sh', ...ourCommand], env);
    expect(await put.closed).toBe(0);
    const client = connect(server.endpoint);
    const stored = await client.kv.get(Uint8Array.of(0x72, 0x61, 0x77, 0x2d, 0xff, 0xfe));
    expect(Array.from(stored?.value ?? [])).toEqual([0x80, 1, 0x78]);
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    await ours({ args: ['put', 'bytes'], stdin: bytes, env });
    expect((await client.kv.get('bytes'))?.value).toEqual(bytes);
    const printed = await ours({ args: ['get', 'bytes', '--print-value-only'], env });
    expect(Buffer.from(printed.stdout, 'latin1')).toEqual(Buffer.concat([bytes, Buffer.from('\n')]));
    client.close();
  });

  test('a reader that goes away ends the program quietly', async () => {
    await ours({ args: ['put', 'large', 'x'.repeat(100_000)], env });
    const script = `"$@" get large | head -c 1; echo " \${PIPESTATUS[0]}"`;
    const piped = new Running(['bash', '--norc', '-c', script, 'bash', ...ourCommand], env);
    expect(await piped.closed).toBe(0);
    expect(piped.stdout).toBe('l 0\n');
    expect(piped.stderr).toBe('');
  });

  test('so does one of complaints', async () => {
    const script = `"$@" get --nonsense 2> >(exec true); echo $?`;
    const piped = new Running(['bash', '--norc', '-c', script, 'bash', ...ourCommand], env);
    expect(await piped.closed).toBe(0);
    expect(piped.stdout).toBe('1\n');
  });

  test('bytes that are no text, in transactions and locks', async () => {
    const name = "$(printf 'raw\\377')";
    const run = async (line: string): Promise<Buffer> => {
      const one = new Running(
        ['bash', '--norc', '-c', `${line.replaceAll('CTL', '"$@"')}`, 'bash', ...ourCommand],
        env,
      );
      expect([await one.closed, one.stderr]).toEqual([0, '']);
      return Buffer.from(one.stdout, 'latin1');
    };
    const raw = Buffer.from('raw\xff', 'latin1');
    await run(`printf '\\nput "raw\\377" "v\\\\xfe\\377"\\n\\n\\n' | CTL txn`);
    expect(await run(`CTL get "${name}"`)).toEqual(
      Buffer.concat([raw, Buffer.from('\nv\xfe\xff\n', 'latin1')]),
    );
    // What the lock's own key is, seen from inside it.
    const inside = await run(`CTL lock "${name}" -- CTL get raw --prefix --keys-only`);
    expect(inside.includes(Buffer.concat([raw, Buffer.from('/')]))).toBe(true);
  });

  test('an open standard input does not keep the process', async () => {
    const running = new Running([...ourCommand, 'put', 'k', 'v'], env);
    expect(await running.closed).toBe(0);
    expect(running.stdout).toBe('OK\n');
  });

  test('protobuf output is the answer itself', async () => {
    for (const args of [['get', 'k'], ['member', 'list'], ['txn']]) {
      const input = { args: [...args, '-w', 'protobuf'], stdin: '\nget k\n\n\n', env };
      const [mine, theirs] = [await ours(input), await etcdctl(input)];
      expect(Buffer.from(mine.stdout, 'latin1')).toEqual(Buffer.from(theirs.stdout, 'latin1'));
      expect(mine.stdout.length).toBeGreaterThan(20);
    }
  });

  test('a table is drawn as etcdctl draws it', async () => {
    const input = { args: ['member', 'list', '-w', 'table'], env };
    const [mine, theirs] = [await ours(input), await etcdctl(input)];
    expect(mine.stdout).toBe(theirs.stdout);
    expect(mine.stdout).toContain('IS LEARNER');
  });

  test('endpoint health, status and hashkv with one server that is not there', async () => {
    const [nobody] = await freePorts(1);
    const dead = `127.0.0.1:${nobody}`;
    const globals = ['--endpoints', `${server.endpoint},${dead}`, '--command-timeout', '300ms'];
    const health = await ours({ args: ['endpoint', 'health', ...globals] });
    expect(health.code).toBe(1);
    expect(health.stdout).toMatch(/^[^ ]+ is healthy: successfully committed proposal: took = \d/);
    expect(health.stderr).toBe(
      `${dead} is unhealthy: failed to commit proposal: context deadline exceeded\nError: unhealthy cluster\n`,
    );
    const json = await ours({ args: ['endpoint', 'health', '-w', 'json', ...globals] });
    expect(JSON.parse(json.stdout)).toMatchObject([
      { endpoint: server.endpoint, health: true },
      { endpoint: dead, health: false, error: 'context deadline exceeded' },
    ]);
    const status = await ours({ args: ['endpoint', 'status', ...globals] });
    expect(status.stderr).toBe(`Failed to get the status of endpoint ${dead} (context deadline exceeded)\n`);
    expect(status).toMatchObject({ code: 1, stdout: expect.stringContaining(server.endpoint) });
    expect(status.stdout.trim().split(', ')).toHaveLength(16);
    const hashkv = await ours({ args: ['endpoint', 'hashkv', ...globals] });
    expect(hashkv).toMatchObject({
      code: 1,
      stderr: `Failed to get the hash of endpoint ${dead} (context deadline exceeded)\nError: context deadline exceeded\n`,
    });
    const defrag = await ours({ args: ['defrag', '--endpoints', dead, '--command-timeout', '300ms'] });
    expect(defrag.code).toBe(1);
    expect(defrag.stderr).toMatch(
      /^Failed to defragment etcd member\[.*\]\. took .*\. \(context deadline exceeded\)\n$/,
    );
  });

  test('a server that is not there', async () => {
    const [nobody] = await freePorts(1);
    const globals = ['--endpoints', `127.0.0.1:${nobody}`, '--command-timeout', '300ms'];
    for (const args of [
      ['get', 'a'],
      ['put', 'a', 'b'],
      ['member', 'list'],
      ['alarm', 'list'],
      ['compaction', '3'],
    ]) {
      const told = (reason: string) =>
        `Error: context deadline exceeded (no connection to 127.0.0.1:${nobody}: ${reason})\n`;
      // A machine that is busy may not get to the reason in time.
      for (let stderr = told('no answer in time'); stderr === told('no answer in time'); ) {
        const outcome = await ours({ args: [...args, ...globals] });
        expect(outcome).toMatchObject({ code: 1, stdout: '' });
        stderr = outcome.stderr;
        if (stderr === told('no answer in time')) continue;
        expect(stderr).toBe(told(`connect ECONNREFUSED 127.0.0.1:${nobody}: no server listens there`));
      }
    }
  });

  test('an alarm: health says so, list shows it, disarm ends it', async () => {
    const client = connect(server.endpoint);
    const { services, AlarmType, AlarmRequest_AlarmAction: Action } = await import('@quorate/proto');
    const { header } = await client.maintenance.status();
    const alarm = { action: Action.ACTIVATE, memberID: header.memberId, alarm: AlarmType.NOSPACE };
    await client.call(services['etcdserverpb.Maintenance'].Alarm, alarm, 'write');
    client.close();
    for (const rest of [[], ['-w', 'json']]) {
      const args = ['alarm', 'list', ...rest];
      const [mine, theirs] = [await ours({ args, env }), await etcdctl({ args, env })];
      expect(mine).toEqual({ ...theirs, stderr: '' });
      expect(mine.stdout).toContain(rest.length === 0 ? 'alarm:NOSPACE' : '"alarm":1');
    }
    const health = await ours({ args: ['endpoint', 'health'], env });
    expect(health.stderr).toContain('failed to commit proposal: Active Alarm(s): NOSPACE \n');
    const put = await ours({ args: ['put', 'k', 'v'], env });
    expect(put).toMatchObject({ code: 1, stderr: 'Error: etcdserver: mvcc: database space exceeded\n' });
    const disarmed = await ours({ args: ['alarm', 'disarm'], env });
    expect(disarmed.stdout).toBe(`memberID:${header.memberId} alarm:NOSPACE \n`);
    expect((await ours({ args: ['alarm', 'list'], env })).stdout).toBe('');
  });
});
