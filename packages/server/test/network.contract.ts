/**
 * What every `Network` must do; run against each of them.
 *
 * A world has members 1, 2 and 3, each with the other two as peers. Nothing here waits for a time to pass: `until` lets the
 * world go on until something is so.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DomainError } from '../src/errors.ts';
import type { MessageKind, Network, PeerReport, SnapshotContent } from '../src/network.ts';

export interface NetworkWorld {
  readonly networks: ReadonlyMap<bigint, Network>;
  /** Where a member is reached, for `setPeers`. */
  readonly urls: ReadonlyMap<bigint, readonly string[]>;
  monotonicMs(): number;
  /** Goes on until `condition` holds; fails when it never does. */
  until(condition: () => boolean): Promise<void>;
  end(): Promise<void>;
}

const text = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString());
const bytes = (content: string) => Buffer.from(content);

/** A content of numbered chunks; from chunk `failsAt` on it keeps the puller waiting for `fail`. */
function numbered(
  count: number,
  failsAt = -1,
): SnapshotContent & { closes: number; pulled: number; fail: (() => void) | null } {
  return {
    closes: 0,
    pulled: 0,
    fail: null,
    next(done) {
      if (this.pulled === failsAt) {
        this.fail = () => done(new Error('the disk is gone'), null);
        return;
      }
      done(null, this.pulled < count ? bytes(`chunk ${this.pulled++}`) : null);
    },
    close() {
      this.closes++;
    },
  };
}

/** Pulls to the end or to an error. */
function pullAll(
  content: SnapshotContent,
  came: (string | null)[],
  done: (error: Error | null) => void,
): void {
  const pull = (): void =>
    content.next((error, chunk) => {
      if (error === null) came.push(text(chunk));
      if (error !== null || chunk === null) {
        content.close();
        done(error);
      } else pull();
    });
  pull();
}

export function networkContract(open: () => Promise<NetworkWorld>): void {
  let world: NetworkWorld;
  let one: Network;
  let two: Network;
  let three: Network;
  const reports: PeerReport[] = [];

  beforeEach(async () => {
    world = await open();
    [one, two, three] = [1n, 2n, 3n].map((id) => world.networks.get(id)!) as [Network, Network, Network];
    reports.length = 0;
    one.onReport((report) => reports.push(report));
    await world.until(() =>
      [...world.networks].every(([id, network]) =>
        [...world.networks.keys()].every((other) => other === id || network.connectedSince(other) !== null),
      ),
    );
  });
  afterEach(() => world.end());

  const told = (to: bigint, what: PeerReport['what']): boolean =>
    reports.some((report) => report.to === to && report.what === what);

  describe('messages', () => {
    test('arrive in order per sender and kind, with the sender named', async () => {
      const came = new Map<string, number[]>();
      two.onMessage((from, message) => {
        const kind = `${from} ${text(message.subarray(1, 2))}`;
        came.set(kind, [...(came.get(kind) ?? []), message[0]!]);
      });
      const kinds: readonly MessageKind[] = ['vote', 'heartbeat', 'append'];
      for (let number = 0; number < 100; number++) {
        for (const kind of kinds) {
          for (const network of [one, three])
            network.send(2n, Buffer.concat([Uint8Array.of(number), bytes(kind)]), kind);
        }
      }
      const count = () => [...came.values()].reduce((sum, numbers) => sum + numbers.length, 0);
      await world.until(() => count() === 600);
      const expected = Array.from({ length: 100 }, (_, number) => number);
      for (const kind of ['1 v', '1 h', '1 a', '3 v', '3 h', '3 a'])
        expect(came.get(kind), kind).toEqual(expected);
    });

    test('arrive as they were sent, of any length, and may be kept', async () => {
      const sent = [1, 2, 100, 70_000, 1_500_000, 3].map((length, i) => Buffer.alloc(length, i + 1));
      const came: Uint8Array[] = [];
      two.onMessage((_, message) => came.push(message));
      for (const message of sent) one.send(2n, message, 'append');
      await world.until(() => came.length === sent.length);
      expect(came.map((message) => Buffer.from(message).equals(sent[came.indexOf(message)]!))).toEqual(
        sent.map(() => true),
      );
    });

    test('that cannot arrive are reported, outside of send', async () => {
      await two.close();
      let inside = false;
      const seen: boolean[] = [];
      one.onReport((report) => {
        reports.push(report);
        seen.push(inside);
      });
      await world.until(() => {
        inside = true;
        one.send(2n, bytes('m'), 'append');
        one.send(2n, bytes('m'), 'heartbeat');
        inside = false;
        return told(2n, 'unreachable');
      });
      expect(seen).not.toContain(true);
      expect(told(3n, 'unreachable')).toBe(false);
    });

    test('to somebody who is no peer go nowhere', () => {
      expect(() => one.send(9n, bytes('m'), 'vote')).not.toThrow();
    });
  });

  describe('peers', () => {
    test('a connection has a time; it is gone when the other side is', async () => {
      expect(one.connectedSince(2n)).toBeLessThanOrEqual(world.monotonicMs());
      expect(one.connectedSince(9n)).toBeNull();
      await two.close();
      await world.until(() => one.connectedSince(2n) === null);
      expect(one.connectedSince(3n)).not.toBeNull();
    });

    test('one who is removed is heard no more and reaches nobody; the others go on', async () => {
      const came: string[] = [];
      one.onMessage((from, message) => came.push(`${from} ${text(message)}`));
      const urls = new Map(world.urls);
      urls.delete(1n);
      urls.delete(2n);
      one.setPeers(urls);
      expect(one.connectedSince(2n)).toBeNull();
      two.send(1n, bytes('late'), 'append');
      await world.until(() => {
        three.send(1n, bytes('x'), 'append');
        return came.length >= 3;
      });
      expect(new Set(came)).toEqual(new Set(['3 x']));
      let failure: Error | null = null;
      two.onCall('echo', (_, request, done) => done(null, request));
      one.call(2n, 'echo', bytes('q'), 5_000, (error) => {
        failure = error;
      });
      await world.until(() => failure !== null);
    });
  });

  describe('snapshots', () => {
    test('arrive with their message, chunk by chunk; success is reported and the content closed', async () => {
      const came: (string | null)[] = [];
      let head = '';
      two.onSnapshot((from, message, content, done) => {
        head = `${from} ${text(message)}`;
        pullAll(content, came, done);
      });
      const content = numbered(20);
      one.sendSnapshot(2n, bytes('snapshot'), content);
      await world.until(() => told(2n, 'snapshot-ok'));
      expect(head).toBe('1 snapshot');
      expect(came).toEqual([...Array.from({ length: 20 }, (_, number) => `chunk ${number}`), null]);
      expect(content.closes).toBeGreaterThan(0);
    });

    test('are not read ahead without bound', async () => {
      const chunk = Buffer.alloc(256 * 1024);
      let pulled = 0;
      let finish = (): void => {};
      two.onSnapshot((_from, _message, content, done) => {
        content.next(() => {
          finish = () => pullAll(content, [], done);
        });
      });
      const total = 200;
      one.sendSnapshot(2n, bytes('s'), {
        next: (done) => done(null, pulled++ < total ? chunk : null),
        close() {},
      });
      // By when other traffic has gone to and fro many times.
      for (let round = 0; round < 50; round++) {
        let answered = false;
        one.call(2n, 'nothing', bytes(''), 5_000, () => {
          answered = true;
        });
        await world.until(() => answered);
      }
      expect(pulled).toBeLessThan(total / 2);
      finish();
      await world.until(() => told(2n, 'snapshot-ok'));
      expect(pulled).toBe(total + 1);
    });

    test('that the receiver does not need succeed unread', async () => {
      two.onSnapshot((_from, _message, content, done) => {
        content.close();
        done(null);
      });
      const content = numbered(5);
      one.sendSnapshot(2n, bytes('s'), content);
      await world.until(() => told(2n, 'snapshot-ok'));
      expect(content.closes).toBeGreaterThan(0);
    });

    test('that the receiver cannot install fail', async () => {
      two.onSnapshot((_from, _message, content, done) => {
        content.next(() => {
          content.close();
          done(new Error('the disk is full'));
        });
      });
      const content = numbered(5);
      one.sendSnapshot(2n, bytes('s'), content);
      await world.until(() => told(2n, 'snapshot-failed'));
      expect(content.closes).toBeGreaterThan(0);
    });

    test.each([0, 1, 7])('that the sender cannot read on after chunk %i fail twice', async (failsAt) => {
      const came: (string | null)[] = [];
      let isBegun = false;
      let outcome: Error | null | undefined;
      two.onSnapshot((_from, _message, content, done) => {
        isBegun = true;
        pullAll(content, came, (error) => {
          outcome = error;
          done(error);
        });
      });
      const content = numbered(20, failsAt);
      one.sendSnapshot(2n, bytes('s'), content);
      await world.until(() => isBegun && came.length === failsAt && content.fail !== null);
      content.fail!();
      await world.until(() => told(2n, 'snapshot-failed') && outcome !== undefined);
      expect(outcome).toBeInstanceOf(Error);
      expect(came).toEqual(Array.from({ length: failsAt }, (_, number) => `chunk ${number}`));
      expect(content.closes).toBeGreaterThan(0);
    });

    test('that lose their receiver fail', async () => {
      let begun = false;
      two.onSnapshot((_from, _message, content) => {
        content.next(() => {
          begun = true;
        });
      });
      const content = numbered(5);
      one.sendSnapshot(2n, bytes('s'), content);
      await world.until(() => begun);
      await two.close();
      await world.until(() => told(2n, 'snapshot-failed'));
      expect(content.closes).toBeGreaterThan(0);
    });

    test('case-49 one after another all arrive', async () => {
      two.onSnapshot((_from, _message, content, done) => pullAll(content, [], done));
      for (let count = 1; count <= 3; count++) {
        one.sendSnapshot(2n, bytes('s'), numbered(count));
        await world.until(() => reports.filter(({ what }) => what === 'snapshot-ok').length === count);
      }
      expect(told(2n, 'snapshot-failed')).toBe(false);
    });
  });

  describe('calls', () => {
    function ask(method: string, timeoutMs = 5_000, to = 2n) {
      const outcome: { times: number; error: Error | null; answer: string | null } = {
        times: 0,
        error: null,
        answer: null,
      };
      one.call(to, method, bytes('question'), timeoutMs, (error, response) => {
        outcome.times++;
        outcome.error = error;
        outcome.answer = text(response);
      });
      expect(outcome.times).toBe(0);
      return outcome;
    }

    test('are answered, at once or later, by the method that was asked', async () => {
      const held: (() => void)[] = [];
      two.onCall('now', (from, request, done) => done(null, bytes(`${from} ${text(request)}`)));
      two.onCall('later', (_from, _request, done) => held.push(() => done(null, bytes('late'))));
      two.onCall('empty', (_from, _request, done) => done(null, new Uint8Array(0)));
      const [now, later, empty] = [ask('now'), ask('later'), ask('empty')];
      await world.until(() => now.times > 0 && empty.times > 0 && held.length > 0);
      expect(later.times).toBe(0);
      held[0]!();
      await world.until(() => later.times > 0);
      expect([now.answer, later.answer, empty.answer]).toEqual(['1 question', 'late', '']);
      expect([now.error, later.error, empty.error]).toEqual([null, null, null]);
    });

    test('carry the refusal of the other side: its text, and the code of the domain', async () => {
      two.onCall('plain', (_from, _request, done) => done(new Error('out of luck'), null));
      two.onCall('domain', (_from, _request, done) => done(new DomainError('LEASE_NOT_FOUND'), null));
      const [plain, domain] = [ask('plain'), ask('domain')];
      await world.until(() => plain.times > 0 && domain.times > 0);
      expect(plain.error?.message).toBe('out of luck');
      expect((domain.error as DomainError).code).toBe('LEASE_NOT_FOUND');
      expect(domain.error).toBeInstanceOf(DomainError);
    });

    test('end when nobody answers: no such method, silence, no such peer, nobody there', async () => {
      two.onCall('silent', () => {});
      const outcomes = [ask('no such method'), ask('silent', 50), ask('silent', 5_000, 9n)];
      await world.until(() => outcomes.every(({ times }) => times > 0));
      await two.close();
      await world.until(() => one.connectedSince(2n) === null);
      outcomes.push(ask('silent', 200));
      await world.until(() => outcomes.every(({ times }) => times > 0));
      for (const { error, answer, times } of outcomes) {
        expect(error).toBeInstanceOf(Error);
        expect(answer).toBeNull();
        expect(times).toBe(1);
      }
    });

    test('end when the connection does', async () => {
      let asked = false;
      two.onCall('silent', () => {
        asked = true;
      });
      const outcome = ask('silent', 5_000);
      await world.until(() => asked);
      await two.close();
      await world.until(() => outcome.times > 0);
      expect(outcome.error).toBeInstanceOf(Error);
    });
  });

  test('a closed network does nothing more, and closing again changes nothing', async () => {
    const came: string[] = [];
    two.onMessage((from) => came.push(`${from}`));
    one.send(2n, bytes('before'), 'append');
    await world.until(() => came.length === 1);
    await one.close();
    await one.close();
    const content = numbered(1);
    one.send(2n, bytes('after'), 'append');
    one.sendSnapshot(2n, bytes('after'), content);
    await world.until(() => {
      three.send(2n, bytes('x'), 'append');
      return came.includes('3');
    });
    expect(came.filter((from) => from === '1')).toHaveLength(1);
    expect(content.closes).toBeGreaterThan(0);
    expect(reports).toEqual([]);
  });
}
