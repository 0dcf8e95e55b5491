/** Snapshots on connections that fail, and between members that do not keep up. */
import { afterEach, describe, expect, test } from 'vitest';
import type { PeerReport, SnapshotContent } from '../../src/network.ts';
import { Connection } from '../../src/peers/connection.ts';
import { encodeFrames, FrameKind, frame } from '../../src/peers/frames.ts';
import { Path } from '../../src/peers/handshake.ts';
import { helloMetadata } from '../../src/peers/hello.ts';
import type { PeerNetworkOptions } from '../../src/peers/options.ts';
import type { PeerNetwork } from '../../src/peers/peer-network.ts';
import { CLUSTER_ID, openPeer, until, urlOf } from '../support/peer-networks.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const CHUNK_BYTES = 64 * 1024;
const CHUNKS = 8;
const QUICK = { silenceMs: 400, maxReconnectMs: 100, handshakeMs: 400, pingIntervalMs: 50 };

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const item of opened.splice(0).toReversed()) await item.close();
});

async function pair(options: Partial<PeerNetworkOptions> = {}) {
  const limits = { ...QUICK, ...options.limits };
  const one = await openPeer(1n, { ...options, limits });
  const two = await openPeer(2n, { limits });
  const proxy = await TcpProxy.open(Number(two.addresses[0]!.split(':')[1]));
  opened.push(one, two, proxy);
  const reports: string[] = [];
  one.onReport(({ what }: PeerReport) => {
    if (what !== 'unreachable') reports.push(what);
  });
  two.setPeers(new Map([[1n, [urlOf(one)]]]));
  one.setPeers(new Map([[2n, [proxy.url]]]));
  await until(() => one.connectedSince(2n) !== null);
  return { one, two, proxy, reports };
}

function content(chunks = CHUNKS): SnapshotContent & { closed: boolean; pulled: number } {
  return {
    closed: false,
    pulled: 0,
    next(done) {
      done(null, this.pulled < chunks ? Buffer.alloc(CHUNK_BYTES, ++this.pulled) : null);
    },
    close() {
      this.closed = true;
    },
  };
}

/** Takes in one snapshot after another. */
function receive(two: PeerNetwork) {
  const taken: { chunks: number[]; outcome: Error | null | undefined }[] = [];
  two.onSnapshot((_from, _message, incoming, done) => {
    const snapshot: (typeof taken)[number] = { chunks: [], outcome: undefined };
    taken.push(snapshot);
    const pull = (): void =>
      incoming.next((error, chunk) => {
        if (chunk !== null) {
          snapshot.chunks.push(chunk[0]!);
          pull();
          return;
        }
        snapshot.outcome = error;
        incoming.close();
        done(error);
      });
    pull();
  });
  return taken;
}

const ALL = Array.from({ length: CHUNKS }, (_, number) => number + 1);

describe('a snapshot', () => {
  test.each(ALL)(
    'case-49 interrupted in chunk %i fails on both sides, and arrives when repeated',
    async (cut) => {
      const { one, two, proxy, reports } = await pair();
      const taken = receive(two);
      // The third connection is the snapshot's: preface, headers and message are some hundred bytes.
      proxy.faults.resetAfterBytes = 1_000 + (cut - 1) * CHUNK_BYTES + CHUNK_BYTES / 2;
      const first = content();
      one.sendSnapshot(2n, Buffer.from('s'), first);
      await until(() => reports.length === 1);
      await until(() => taken.length === 0 || taken[0]!.outcome !== undefined);
      expect(reports).toEqual(['snapshot-failed']);
      expect(first.closed).toBe(true);
      if (taken.length > 0) {
        expect(taken[0]!.outcome).toBeInstanceOf(Error);
        expect(taken[0]!.chunks).toEqual(ALL.slice(0, taken[0]!.chunks.length));
        expect(taken[0]!.chunks.length).toBeLessThan(cut);
      }
      proxy.faults.resetAfterBytes = Number.POSITIVE_INFINITY;
      taken.length = 0;
      one.sendSnapshot(2n, Buffer.from('s'), content());
      await until(() => reports.length === 2);
      expect(reports[1]).toBe('snapshot-ok');
      expect(taken.at(-1)).toEqual({ chunks: ALL, outcome: null });
    },
  );

  test('case-32 that falls silent fails on both sides', async () => {
    const { one, two, proxy, reports } = await pair({
      limits: { snapshotStallMs: 400, snapshotWindowBytes: CHUNK_BYTES },
    });
    let outcome: Error | null | undefined;
    let chunks = 0;
    two.onSnapshot((_from, _message, incoming, done) => {
      const pull = (): void =>
        incoming.next((error, chunk) => {
          if (chunk === null) {
            outcome = error;
            done(error);
            return;
          }
          if (++chunks === 2) proxy.faults.swallow = true;
          pull();
        });
      pull();
    });
    one.sendSnapshot(2n, Buffer.from('s'), content(100));
    await until(() => reports.length === 1 && outcome !== undefined);
    expect(reports).toEqual(['snapshot-failed']);
    expect(outcome).toBeInstanceOf(Error);
  });

  test('that the receiver does not get on with fails', async () => {
    const { one, two, reports } = await pair({ limits: { snapshotStallMs: 300 } });
    const errors: (Error | null)[] = [];
    two.onSnapshot((_from, _message, incoming) => {
      incoming.next((error) => {
        errors.push(error);
        const wait = (): void =>
          incoming.next((failure) => {
            errors.push(failure);
          });
        // Looked at only after the sender has given up.
        two.onCall('look', (_caller, _request, done) => {
          wait();
          done(null, new Uint8Array(0));
        });
      });
    });
    const slow = content(100_000);
    one.sendSnapshot(2n, Buffer.from('s'), slow);
    await until(() => reports.length === 1);
    expect(reports).toEqual(['snapshot-failed']);
    expect(slow.closed).toBe(true);
    let looked = false;
    one.call(2n, 'look', Buffer.alloc(0), 5_000, () => {
      looked = true;
    });
    await until(() => looked && errors.length === 2);
    expect(errors[0]).toBeNull();
    expect(errors[1]).toBeInstanceOf(Error);
  });

  test('that takes long to install succeeds all the same: the receiver says that it lives', async () => {
    const { one, two, reports } = await pair({ limits: { snapshotStallMs: 300 } });
    let finish: (() => void) | null = null;
    let heardMs = 0;
    two.onSnapshot((_from, _message, incoming, done) => {
      const pull = (): void =>
        incoming.next((_error, chunk) => {
          if (chunk !== null) pull();
          else {
            heardMs = performance.now();
            finish = () => done(null);
          }
        });
      pull();
    });
    one.sendSnapshot(2n, Buffer.from('s'), content());
    await until(() => finish !== null && performance.now() > heardMs + 1_000);
    expect(reports).toEqual([]);
    finish!();
    await until(() => reports.length === 1);
    expect(reports).toEqual(['snapshot-ok']);
  });

  test('whose content never answers fails', async () => {
    const { one, two, reports } = await pair({ limits: { snapshotStallMs: 300 } });
    receive(two);
    let closed = false;
    one.sendSnapshot(2n, Buffer.from('s'), {
      next() {},
      close() {
        closed = true;
      },
    });
    await until(() => reports.length === 1);
    expect(reports).toEqual(['snapshot-failed']);
    expect(closed).toBe(true);
  });

  test('case-49 while another is under way to the same peer is refused, and the other arrives', async () => {
    const { one, two, reports } = await pair();
    const holds: (() => void)[] = [];
    let chunks = 0;
    two.onSnapshot((_from, _message, incoming, done) => {
      const pull = (): void =>
        incoming.next((error, chunk) => {
          if (error !== null || chunk === null) done(error);
          else if (++chunks === 1) holds.push(pull);
          else pull();
        });
      pull();
    });
    one.sendSnapshot(2n, Buffer.from('s'), content());
    await until(() => holds.length === 1);
    const second = content();
    one.sendSnapshot(2n, Buffer.from('s'), second);
    await until(() => reports.length === 1);
    expect(reports).toEqual(['snapshot-failed']);
    expect(second.pulled).toBe(0);
    expect(second.closed).toBe(true);
    holds[0]!();
    await until(() => reports.length === 2);
    expect(reports[1]).toBe('snapshot-ok');
    expect(chunks).toBe(CHUNKS);
  });

  test('of a sender that died unnoticed makes way for its next one', async () => {
    const { two } = await pair();
    const outcomes: (Error | null)[] = [];
    let count = 0;
    two.onSnapshot((_from, _message, incoming) => {
      count++;
      incoming.next((error) => outcomes.push(error));
    });
    const own = { clusterId: CLUSTER_ID, memberId: 1n, serverVersion: '3.7.0' };
    const connections = [1, 2].map(() => new Connection(urlOf(two), { maxMessageBytes: 1_000_000 }));
    try {
      for (const [index, connection] of connections.entries()) {
        const deaf = { onMessage() {}, onEnd() {} };
        const call = connection.stream(Path.snapshot, helloMetadata(own, 2n), deaf);
        call.write(encodeFrames([frame(FrameKind.message, Buffer.from('s'))]));
        await until(() => count === index + 1);
      }
      await until(() => outcomes.length === 1);
      expect(outcomes[0]).toBeInstanceOf(Error);
    } finally {
      for (const connection of connections) connection.destroy();
    }
  });

  test('keeps to the rate', async () => {
    const { one, two, reports } = await pair({ snapshotBytesPerSec: 2_000_000 });
    receive(two);
    const startMs = performance.now();
    one.sendSnapshot(2n, Buffer.from('s'), content());
    await until(() => reports.length === 1);
    expect(reports).toEqual(['snapshot-ok']);
    // A lower bound: the end waits for the last chunk's share too, timers are a millisecond early at most.
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(
      ((CHUNKS * CHUNK_BYTES) / 2_000_000) * 1_000 - 10,
    );
  });

  test('does not hold up votes and the log of the same peer', async () => {
    const { one, two, proxy, reports } = await pair({ limits: { snapshotStallMs: 20_000 } });
    receive(two);
    const came: string[] = [];
    two.onMessage((_, message) => came.push(Buffer.from(message).toString()));
    proxy.faults.bytesPerSec = 1_000_000;
    one.sendSnapshot(2n, Buffer.from('s'), content(16));
    await until(() => {
      one.send(2n, Buffer.from('vote'), 'vote');
      one.send(2n, Buffer.from('append'), 'append');
      return came.includes('vote') && came.includes('append');
    });
    expect(reports).toEqual([]);
    await until(() => reports.length === 1);
    expect(reports).toEqual(['snapshot-ok']);
  });
});
