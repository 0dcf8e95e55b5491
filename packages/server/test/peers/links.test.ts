/** Connections between members that fail in the ways networks have. */
import { afterEach, describe, expect, test } from 'vitest';
import type { PeerReport } from '../../src/network.ts';
import type { PeerNetwork } from '../../src/peers/peer-network.ts';
import { openPeer, until, urlOf } from '../support/peer-networks.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const QUICK = { silenceMs: 300, maxReconnectMs: 200, handshakeMs: 300, pingIntervalMs: 50 };

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const item of opened.splice(0).toReversed()) await item.close();
});

async function keep<T extends { close(): Promise<void> }>(item: Promise<T>): Promise<T> {
  const it = await item;
  opened.push(it);
  return it;
}

const portOf = (network: PeerNetwork) => Number(network.addresses[0]!.split(':')[1]);

/** Member 1 reaches member 2 through a proxy; 2 reaches 1 directly. */
async function pair(limits = {}) {
  const one = await keep(openPeer(1n, { limits: { ...QUICK, ...limits } }));
  const two = await keep(openPeer(2n, { limits: { ...QUICK, ...limits } }));
  const proxy = await keep(TcpProxy.open(portOf(two)));
  const came: Buffer[] = [];
  const reports: PeerReport[] = [];
  two.onMessage((_, message) => came.push(Buffer.from(message)));
  one.onReport((report) => reports.push(report));
  two.setPeers(new Map([[1n, [urlOf(one)]]]));
  one.setPeers(new Map([[2n, [proxy.url]]]));
  await until(() => one.connectedSince(2n) !== null && proxy.dialledCount >= 2);
  return { one, two, proxy, came, reports };
}

describe('a connection that fails', () => {
  test.each([1, 9, 24, 1_000, 40_000, 300_000])(
    'case-32 by a reset after %i more bytes delivers no torn message, and is made again',
    async (bytes) => {
      const { one, proxy, came, reports } = await pair();
      // All connections have passed some hundred bytes of preface and headers by now.
      proxy.faults.resetAfterBytes = 600 + bytes;
      const sent = Buffer.alloc(200_000, 0xa5);
      await until(() => {
        one.send(2n, sent, 'append');
        return proxy.resetCount > 0;
      });
      await until(() => reports.some(({ what }) => what === 'unreachable'));
      proxy.faults.resetAfterBytes = Number.POSITIVE_INFINITY;
      const last = Buffer.from('the last one');
      await until(() => {
        one.send(2n, last, 'append');
        return came.some((message) => message.equals(last));
      });
      expect(came.filter((message) => !message.equals(sent) && !message.equals(last))).toEqual([]);
    },
  );

  test('case-32 by falling silent is noticed, given up, and made again when the way is free', async () => {
    const { one, proxy, came, reports } = await pair();
    proxy.faults.swallow = true;
    await until(() => one.connectedSince(2n) === null);
    await until(() => reports.some(({ what }) => what === 'unreachable'));
    // Attempts go on, each of them ends: no socket stays behind but those of the attempt under way.
    const attempts = proxy.dialledCount;
    await until(() => proxy.dialledCount >= attempts + 6);
    expect(proxy.dialled.size).toBeLessThanOrEqual(4);
    proxy.faults.swallow = false;
    await until(() => {
      one.send(2n, Buffer.from('again'), 'vote');
      return came.length > 0;
    });
    expect(one.connectedSince(2n)).not.toBeNull();
  });

  test('is not one of a member that was paused itself: nobody was asked meanwhile', async () => {
    const { one, two } = await pair();
    const since = one.connectedSince(2n);
    const endMs = performance.now() + 3 * QUICK.silenceMs;
    while (performance.now() < endMs) {
      // Nothing runs in this process: no timer, no socket.
    }
    let answered = false;
    two.onCall('echo', (_from, request, done) => done(null, request));
    one.call(2n, 'echo', Buffer.from('q'), 10_000, (error) => {
      answered = error === null;
    });
    await until(() => answered);
    expect(one.connectedSince(2n)).toBe(since);
  });

  test('case-32 half open: the listener ends what its peer has left without a word', async () => {
    const { one, proxy } = await pair();
    proxy.faults.swallow = true;
    await one.close();
    await until(() => proxy.accepted.size === 0);
  });

  test('case-32 a slow link: votes do not wait behind the log', async () => {
    const { one, proxy, came } = await pair({ silenceMs: 5_000 });
    proxy.faults.bytesPerSec = 400_000;
    const log = Buffer.alloc(500_000);
    const vote = Buffer.from('vote');
    one.send(2n, log, 'append');
    one.send(2n, vote, 'vote');
    await until(() => came.length === 2);
    expect(came.map((message) => message.length)).toEqual([vote.length, log.length]);
  });

  test('a peer that hangs holds up nobody, and what waits for it is bounded and reported', async () => {
    const { one, two, proxy, reports } = await pair({
      silenceMs: 60_000,
      logQueueBytes: 1_000_000,
      inFlightBytes: 100_000,
    });
    const three = await keep(openPeer(3n));
    three.setPeers(new Map([[1n, [urlOf(one)]]]));
    let heard = 0;
    three.onMessage(() => heard++);
    one.setPeers(
      new Map([
        [2n, [proxy.url]],
        [3n, [urlOf(three)]],
      ]),
    );
    await until(() => one.connectedSince(3n) !== null);
    for (const socket of proxy.dialled) socket.pause();
    const message = Buffer.alloc(50_000);
    await until(() => {
      one.send(2n, message, 'append');
      return reports.length > 0;
    });
    expect(reports[0]).toEqual({ to: 2n, what: 'unreachable' });
    one.send(3n, message, 'append');
    await until(() => heard === 1);
    let got = 0;
    two.onMessage(() => got++);
    for (const socket of proxy.dialled) socket.resume();
    await until(() => got > 0);
  });
});

describe('a peer that comes back', () => {
  test('after a restart on the same port', async () => {
    const one = await keep(openPeer(1n, { limits: QUICK }));
    const first = await openPeer(2n);
    const port = String(portOf(first));
    const url = urlOf(first);
    first.setPeers(new Map([[1n, [urlOf(one)]]]));
    one.setPeers(new Map([[2n, [url]]]));
    await until(() => one.connectedSince(2n) !== null);
    const before = one.connectedSince(2n)!;
    await first.close();
    await until(() => one.connectedSince(2n) === null);
    const second = await keep(openPeer(2n, { port }));
    let came = 0;
    second.onMessage(() => came++);
    second.setPeers(new Map([[1n, [urlOf(one)]]]));
    await until(() => {
      one.send(2n, Buffer.from('m'), 'append');
      return came > 0;
    });
    await until(() => one.connectedSince(2n) !== null);
    expect(one.connectedSince(2n)).toBeGreaterThan(before);
  });

  test('and reaches us first is tried at once, not when the next attempt is due', async () => {
    const limits = { ...QUICK, reconnectMs: 3_600_000, maxReconnectMs: 3_600_000 };
    const one = await keep(openPeer(1n, { limits }));
    const probe = await openPeer(2n);
    const port = String(portOf(probe));
    const url = urlOf(probe);
    await probe.close();
    const reports: PeerReport[] = [];
    one.onReport((report) => reports.push(report));
    one.setPeers(new Map([[2n, [url]]]));
    // Queued while dialling, dropped when that failed: both links wait for an hour now.
    one.send(2n, Buffer.from('m'), 'append');
    one.send(2n, Buffer.from('m'), 'vote');
    await until(() => reports.length > 0);
    const two = await keep(openPeer(2n, { port }));
    two.setPeers(new Map([[1n, [urlOf(one)]]]));
    await until(() => one.connectedSince(2n) !== null);
  });

  test('case-35 at another address, and with several of which some are dead', async () => {
    const one = await keep(openPeer(1n, { limits: QUICK }));
    const old = await openPeer(2n);
    old.setPeers(new Map([[1n, [urlOf(one)]]]));
    one.setPeers(new Map([[2n, [urlOf(old)]]]));
    await until(() => one.connectedSince(2n) !== null);
    const oldUrl = urlOf(old);
    await old.close();
    const moved = await keep(openPeer(2n));
    moved.setPeers(new Map([[1n, [urlOf(one)]]]));
    one.setPeers(new Map([[2n, [oldUrl, 'http://127.0.0.1:1', urlOf(moved)]]]));
    await until(() => one.connectedSince(2n) !== null);
    const since = one.connectedSince(2n);
    // The URL in use is still among them: nothing changes.
    one.setPeers(new Map([[2n, [urlOf(moved), oldUrl]]]));
    expect(one.connectedSince(2n)).toBe(since);
    // It is not any more: over to the other one.
    const proxy = await keep(TcpProxy.open(portOf(moved)));
    one.setPeers(new Map([[2n, [proxy.url]]]));
    await until(() => one.connectedSince(2n) !== null && proxy.dialled.size === 2);
  });
});
