import type { Network, PeerReport, SnapshotContent } from '@quorate/server';
import { describe, expect, test } from 'vitest';
import { SimEnv } from './env.ts';
import { type LinkQuality, PERFECT_LINK, SimNetwork } from './network.ts';
import { Random } from './random.ts';

const text = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString());

function world(quality: Partial<LinkQuality> = {}) {
  const env = new SimEnv(1);
  const network = new SimNetwork(env, new Random(1, 'network'));
  network.quality = { ...PERFECT_LINK, ...quality };
  return { env, network, one: network.port(1n), two: network.port(2n) };
}

/** A content of so many numbered chunks, and whether it was closed. */
function chunks(count: number): SnapshotContent & { closed: boolean } {
  let next = 0;
  return {
    closed: false,
    next(done) {
      done(null, next < count ? Buffer.from(`chunk ${next++}`) : null);
    },
    close() {
      this.closed = true;
    },
  };
}

/** Reads a content to its end, as a member would. */
function readAll(network: Network, came: (string | null)[]): void {
  network.onSnapshot((_from, _message, content, done) => {
    const pull = (): void =>
      content.next((error, chunk) => {
        came.push(error === null ? text(chunk) : error.message);
        if (error !== null || chunk === null) done(error);
        else pull();
      });
    pull();
  });
}

describe('messages', () => {
  test('on an ordered link nothing overtakes within a kind; on others it does', () => {
    for (const ordered of [true, false]) {
      const { env, one, two } = world({ jitterMs: 50, ordered });
      const came: number[] = [];
      two.onMessage((_from, message) => came.push(message[0]!));
      for (let i = 0; i < 50; i++) one.send(2n, Uint8Array.of(i), 'append');
      env.advance(1000);
      expect(came).toHaveLength(50);
      const inOrder = came.every((value, position) => value === position);
      expect(inOrder).toBe(ordered);
    }
  });

  test('a cut in one direction leaves the other; the sender is told; no connection counts as made', () => {
    const { env, network, one, two } = world();
    const reports: PeerReport[] = [];
    const came: string[] = [];
    one.onReport((report) => reports.push(report));
    one.onMessage((_from, message) => came.push(text(message)!));
    two.onMessage((_from, message) => came.push(text(message)!));
    expect(one.connectedSince(2n)).toBe(1000);
    network.cut(1n, 2n);
    expect(one.connectedSince(2n)).toBeNull();
    one.send(2n, Buffer.from('lost'), 'vote');
    two.send(1n, Buffer.from('kept'), 'vote');
    env.advance(10);
    expect(came).toEqual(['kept']);
    expect(reports).toEqual([{ to: 2n, what: 'unreachable' }]);
    network.mend(1n, 2n);
    expect(one.connectedSince(2n)).toBe(1010);
  });

  test('peers that were taken away are not heard any more', () => {
    const { env, one, two } = world();
    const came: string[] = [];
    two.onMessage((_from, message) => came.push(text(message)!));
    two.setPeers(new Map([[1n, []]]));
    two.setPeers(new Map());
    one.send(2n, Buffer.from('from the past'), 'vote');
    env.advance(10);
    expect(came).toEqual([]);
  });
});

describe('snapshots', () => {
  test('arrive chunk by chunk, and both sides hear of the end', () => {
    const { env, one, two } = world();
    const reports: PeerReport[] = [];
    const came: (string | null)[] = [];
    one.onReport((report) => reports.push(report));
    readAll(two, came);
    const content = chunks(3);
    one.sendSnapshot(2n, Buffer.from('meta'), content);
    env.advance(100);
    expect(came).toEqual(['chunk 0', 'chunk 1', 'chunk 2', null]);
    expect(reports).toEqual([{ to: 2n, what: 'snapshot-ok' }]);
    expect(content.closed).toBe(true);
  });

  test('case-49 a stream that breaks fails on both sides', () => {
    const { env, network, one, two } = world({ chunkLoss: 0.3 });
    const reports: PeerReport[] = [];
    const came: (string | null)[] = [];
    one.onReport((report) => reports.push(report));
    readAll(two, came);
    const content = chunks(100);
    one.sendSnapshot(2n, Buffer.from('meta'), content);
    env.advance(5000);
    expect(came.at(-1)).toBe('the connection broke');
    expect(reports).toEqual([{ to: 2n, what: 'snapshot-failed' }]);
    expect(content.closed).toBe(true);
    expect(network.tally.snapshotsBroken).toBe(1);
  });

  test('a receiver that ends fails the snapshot at the sender', () => {
    const { env, network, one, two } = world();
    const reports: PeerReport[] = [];
    one.onReport((report) => reports.push(report));
    readAll(two, []);
    one.sendSnapshot(2n, Buffer.from('meta'), chunks(1000));
    env.advance(50);
    network.crash(2n);
    env.advance(5000);
    expect(reports).toEqual([{ to: 2n, what: 'snapshot-failed' }]);
  });

  test('a damaged chunk differs in one bit', () => {
    const { env, network, one, two } = world({ chunkDamage: 1 });
    const came: (string | null)[] = [];
    readAll(two, came);
    one.sendSnapshot(2n, Buffer.from('meta'), chunks(1));
    env.advance(100);
    expect(came[0]).toHaveLength('chunk 0'.length);
    expect(came[0]).not.toBe('chunk 0');
    expect(network.tally.chunksDamaged).toBe(1);
  });
});

describe('calls', () => {
  test('are answered, refused, or end at their time, exactly once', () => {
    const { env, network, one, two } = world();
    const answers: unknown[] = [];
    const ask = (to: bigint, method: string) =>
      one.call(to, method, Buffer.from('q'), 300, (error, response) =>
        answers.push(error?.message ?? text(response)),
      );
    two.onCall('echo', (from, request, done) => done(null, Buffer.from(`${text(request)} from ${from}`)));
    two.onCall('refuse', (_from, _request, done) => done(new Error('never'), null));
    two.onCall('silent', () => {});
    ask(2n, 'echo');
    ask(2n, 'refuse');
    ask(2n, 'silent');
    ask(2n, 'unknown');
    ask(3n, 'echo');
    env.advance(299);
    expect(answers).toHaveLength(4);
    network.cut(2n, 1n);
    ask(2n, 'echo');
    env.advance(1000);
    expect(answers.toSorted()).toEqual([
      'never',
      'no answer in time',
      'no answer in time',
      'no call is named unknown',
      'q from 1',
      'there is no connection',
    ]);
  });
});
