/** Members that come and go, often: nothing is left behind, and everything that was asked has one outcome. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createGrpcServer, type StreamCall } from '@quorate/grpc-server';
import { afterEach, describe, expect, test } from 'vitest';
import { parseUrl } from '../../src/config/urls.ts';
import type { Env } from '../../src/env.ts';
import type { PeerReport, SnapshotContent } from '../../src/network.ts';
import { Connection } from '../../src/peers/connection.ts';
import type { PeerNetwork } from '../../src/peers/peer-network.ts';
import { loggingEnv, openPeer, until } from '../support/peer-networks.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const QUICK = { silenceMs: 20_000, reconnectMs: 1, maxReconnectMs: 2, handshakeMs: 20_000 };

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const item of opened.splice(0).toReversed()) await item.close();
});

/** An environment that knows which of its timers may still fire. */
function countingEnv(): { env: Env; timers: Set<object> } {
  const { env } = loggingEnv();
  const timers = new Set<object>();
  const setTimer: Env['setTimer'] = (delayMs, callback) => {
    const timer = env.setTimer(delayMs, () => {
      timers.delete(key);
      callback();
    });
    const key = {
      cancel() {
        timers.delete(key);
        timer.cancel();
      },
    };
    timers.add(key);
    return key;
  };
  return { env: { ...env, setTimer }, timers };
}

/** Member 1 reaches member 2 through a proxy, and member 2 nobody. */
async function pair(limits = {}) {
  const { env, timers } = countingEnv();
  const one = await openPeer(1n, { env, limits: { ...QUICK, ...limits } });
  const two = await openPeer(2n);
  const proxy = await TcpProxy.open(Number(two.addresses[0]!.split(':')[1]));
  opened.push(one, two, proxy);
  two.setPeers(new Map([[1n, ['http://127.0.0.1:1']]]));
  one.setPeers(new Map([[2n, [proxy.url]]]));
  await connected(one, proxy);
  return { one, two, proxy, timers };
}

/** Both of its links are up, as far as the peer's sockets tell. */
const connected = (one: PeerNetwork, proxy: TcpProxy) =>
  until(() => one.connectedSince(2n) !== null && proxy.dialled.size >= 2);

function endless(): SnapshotContent & { closed: number } {
  return {
    closed: 0,
    next(done) {
      setImmediate(done, null, Buffer.alloc(16_384));
    },
    close() {
      this.closed++;
    },
  };
}

const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;

describe('a peer whose connections break', () => {
  test('500 times: sockets and timers are those of one connection', async () => {
    const { one, two, proxy, timers } = await pair();
    let came = 0;
    two.onMessage(() => came++);
    let [most, mostTimers] = [0, 0];
    for (let round = 0; round < 500; round++) {
      const since = one.connectedSince(2n);
      proxy.resetAll();
      await until(() => one.connectedSince(2n) !== since);
      await connected(one, proxy);
      // Two links through a proxy: six sockets, and as many again while those that were reset are closing.
      most = Math.max(most, sockets());
      mostTimers = Math.max(mostTimers, timers.size);
    }
    expect(most).toBeLessThanOrEqual(24);
    expect(mostTimers).toBeLessThanOrEqual(8);
    await until(() => {
      one.send(2n, Buffer.from('m'), 'append');
      return came > 0;
    });
    // Who is no peer any more has nothing of this member's.
    one.setPeers(new Map());
    await until(() => proxy.dialled.size === 0);
    await one.close();
    expect(timers.size).toBe(0);
  });

  test('while it is asked: each call has one answer, also when it is repeated from within', async () => {
    const { one, two, proxy } = await pair();
    two.onCall('echo', (_from, request, done) => setImmediate(done, null, request));
    let [asked, answered, failed, left] = [0, 0, 0, 2_000];
    const ask = (): void => {
      if (left-- <= 0) return;
      asked++;
      let isOver = false;
      one.call(2n, 'echo', Buffer.from('q'), 20_000, (error) => {
        if (isOver) throw new Error('a call ended twice');
        isOver = true;
        if (error === null) answered++;
        else failed++;
        ask();
      });
    };
    for (let count = 0; count < 20; count++) ask();
    while (left > 0) {
      await new Promise((resolve) => setTimeout(resolve, 3));
      proxy.resetAll();
    }
    await until(() => answered + failed === asked);
    expect(asked).toBe(2_000);
    expect(failed).toBeGreaterThan(0);
  });

  test('while it is sent snapshots: each has one outcome, and its content is closed', async () => {
    const { one, two, proxy } = await pair();
    const reports: string[] = [];
    one.onReport(({ what }: PeerReport) => {
      if (what !== 'unreachable') reports.push(what);
    });
    let begun = 0;
    two.onSnapshot((_from, _message, incoming) => {
      begun++;
      const pull = (): void => incoming.next((error) => error === null && setImmediate(pull));
      pull();
    });
    const contents = Array.from({ length: 20 }, endless);
    for (const [at, content] of contents.entries()) {
      one.sendSnapshot(2n, Buffer.from('s'), content);
      const before = begun;
      if (at % 2 === 0) await until(() => begun > before);
      await until(() => {
        proxy.resetAll();
        return reports.length === at + 1;
      });
    }
    expect(reports).toEqual(contents.map(() => 'snapshot-failed'));
    expect(contents.every(({ closed }) => closed > 0)).toBe(true);
  });

  test('by falling silent: what was asked of it is told so', async () => {
    const { one, two, proxy } = await pair({ silenceMs: 200, pingIntervalMs: 50 });
    two.onCall('hold', () => {});
    let failure: Error | null = null;
    one.call(2n, 'hold', Buffer.from('q'), 20_000, (error) => {
      failure = error;
    });
    proxy.faults.swallow = true;
    await until(() => failure !== null);
    expect(failure).toMatchObject({ code: 'PEER_TIMEOUT', message: 'no sign of life' });
  });
});

test('a member that closes has no timers left, whatever it was at', async () => {
  const { one, two, proxy, timers } = await pair();
  two.onCall('hold', () => {});
  two.onSnapshot(() => {});
  const outcomes: string[] = [];
  one.call(2n, 'hold', Buffer.from('q'), 3_600_000, (error) => {
    outcomes.push(String(error?.message));
    // Asked again while it closes.
    one.call(2n, 'hold', Buffer.from('q'), 3_600_000, (again) => outcomes.push(String(again?.message)));
  });
  const content = endless();
  one.sendSnapshot(2n, Buffer.from('s'), content);
  await until(() => proxy.dialled.size === 3);
  await one.close();
  await until(() => outcomes.length === 2 && proxy.dialled.size === 0);
  expect(outcomes).toEqual(['this side has closed', 'no connection to member 2']);
  expect(timers.size).toBe(0);
  expect(content.closed).toBeGreaterThan(0);
});

test.each(['http://[::1]:0', 'http://localhost:0', 'unix://peer:1'])(
  'members at %s reach each other',
  async (url) => {
    const here = process.cwd();
    const folder = mkdtempSync(join(tmpdir(), 'peers-'));
    // Unix URLs name files of the working folder.
    process.chdir(folder);
    opened.push({
      async close() {
        process.chdir(here);
        rmSync(folder, { recursive: true });
      },
    });
    const one = await openPeer(1n);
    opened.push(one);
    const two = await openPeer(2n, { listenUrls: [parseUrl(url)] });
    opened.push(two);
    two.onCall('echo', (_from, request, done) => done(null, request));
    two.setPeers(new Map([[1n, ['http://127.0.0.1:1']]]));
    const port = two.addresses[0]!.split(':').at(-1)!;
    one.setPeers(new Map([[2n, [url.replace(/:0$/, `:${port}`)]]]));
    await until(() => one.connectedSince(2n) !== null);
    let answer: unknown = null;
    one.call(2n, 'echo', Buffer.from('q'), 20_000, (error, response) => {
      answer = error ?? Buffer.from(response!).toString();
    });
    await until(() => answer !== null);
    expect(answer).toBe('q');
  },
);

test('why a name with several addresses cannot be reached is told', async () => {
  const { env, lines } = loggingEnv();
  const one = await openPeer(1n, { env });
  opened.push(one);
  const free = await openPeer(2n);
  const port = Number(free.addresses[0]!.split(':')[1]);
  await free.close();
  one.setPeers(new Map([[2n, [`http://localhost:${port}`]]]));
  await until(() => lines.some(({ message }) => message === 'cannot connect to a peer'));
  const line = lines.find(({ message }) => message === 'cannot connect to a peer');
  expect(line?.fields.reason).toContain('ECONNREFUSED');
});

describe('a connection', () => {
  async function to(open: (call: StreamCall) => void) {
    const listener = { onMessage() {}, onHalfClose() {} };
    const server = createGrpcServer({
      handlers: new Map([
        [
          '/a/B',
          {
            kind: 'stream',
            open(call) {
              open(call);
              return listener;
            },
          },
        ],
      ]),
    });
    const { port } = await server.listen({ host: '127.0.0.1' });
    const connection = new Connection(`http://127.0.0.1:${port}`, { maxMessageBytes: 1_000 });
    opened.push(server, { close: async () => connection.destroy() });
    return { server, connection };
  }

  test('ends when its peer says that it goes, and does not wait for it', async () => {
    let isOpen = false;
    const { server, connection } = await to(() => {
      isOpen = true;
    });
    const ended = new Promise<string>((resolve) => {
      connection.stream('/a/B', new Map(), { onMessage() {}, onEnd: (_, text) => resolve(text) });
    });
    await until(() => isOpen);
    const closed = server.close({ graceMs: 3_600_000 });
    expect(await ended).toContain('the server ends the connection');
    await closed;
  });

  test('takes one answer to a call, and not the last of several', async () => {
    const { connection } = await to((call) => {
      call.write(Buffer.from('a'));
      call.write(Buffer.from('b'));
      call.end();
    });
    const outcomes: unknown[] = [];
    await new Promise<void>((resolve) => {
      connection.unary('/a/B', new Map(), Buffer.alloc(0), (error, response) => {
        outcomes.push([error?.message, response]);
        resolve();
      });
    });
    expect(outcomes).toEqual([['the peer answered twice', undefined]]);
  });
});
