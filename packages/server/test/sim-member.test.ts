/** The whole member in virtual time: power losses, quota, alarms, stopping, start-up refusals. */
import { memoryBackend } from '@quorate/mvcc';
import { Random } from '@quorate/testing';
import { describe, expect, test } from 'vitest';
import type { Operation } from '../src/operations.ts';
import { put, SimWorld } from './support/sim-member.ts';

const code = (error: unknown) => (error as { code: string }).code;

describe('case-22 power loss', () => {
  test('200 losses at random moments: acknowledged writes stay, at their revisions, and nothing is applied twice', async () => {
    let lostUnsynced = 0;
    let losses = 0;
    let acknowledgedCount = 0;
    for (let seed = 0; seed < 40; seed++) {
      const random = new Random(seed, 'load');
      const world = new SimWorld(seed);
      const acknowledged = new Map<string, number>();
      for (let life = 0; life < 5; life++) {
        const member = await world.start();
        for (const [value, revision] of acknowledged) {
          const key = value.split('=')[0]!;
          const record = member.store.getAt(Buffer.from(key), revision);
          expect(Buffer.from(record!.value).toString()).toBe(value);
          expect(record!.modRevision).toBe(revision);
        }
        // In the middle of something: between writing and syncing, between the log and its answer, within a flush.
        const anywhere = random.chance(0.5);
        let placesLeft = random.between(1, anywhere ? 400 : 30);
        let lost = false;
        world.failpoint = (name) => {
          if (!(anywhere || name === 'walBeforeSync') || --placesLeft > 0) return;
          lost = true;
          world.powerLoss();
          throw new Error('power loss');
        };
        const { env } = world;
        for (let number = 0; !lost; number++) {
          const key = `k${random.int(8)}`;
          const value = `${key}=${life}.${number}`;
          member.propose(put(key, value), 0, Number.POSITIVE_INFINITY, (error, outcome) => {
            if (error === null && outcome?.kind === 'put') acknowledged.set(value, outcome.revision);
          });
          try {
            for (let turns = random.int(4); turns > 0 && !lost; turns--) env.turn();
            if (random.chance(0.1) && !lost) env.advance(random.int(300));
          } catch (error) {
            // Of the places that it may come in, some have nobody above them: there a process ends.
            if (!lost) throw error;
          }
        }
        losses++;
      }
      acknowledgedCount += acknowledged.size;
      lostUnsynced += world.disk.tally.droppedWrites + world.disk.tally.tornWrites;
    }
    expect(losses).toBe(200);
    expect(lostUnsynced).toBeGreaterThan(20);
    expect(acknowledgedCount).toBeGreaterThan(1000);
  });
});

describe('quota and alarms', () => {
  const NO_SPACE = 1;
  const CORRUPT = 2;
  const alarm = (action: number, kind: number, memberId: bigint): Operation => ({
    kind: 'alarm',
    action,
    memberId,
    alarm: kind,
  });

  test('sem-176 sem-178 sem-179 case-19 err-ErrGRPCNoSpace a full database refuses what needs room, and says so to all', async () => {
    const world = new SimWorld(1);
    const member = await world.start({ quotaBytes: 64 * 1024 });
    await world.propose(member, { kind: 'lease-grant', id: 7n, ttlSec: 100 });
    let refused: unknown = null;
    let keys = 0;
    for (; refused === null && keys < 1000; keys++) {
      refused = await world.propose(member, put(`k${keys}`, 'v'.repeat(1000))).then(
        () => null,
        (error) => error,
      );
    }
    expect(code(refused)).toBe('NO_SPACE');
    expect(member.alarms()).toEqual([{ memberId: member.memberId, alarm: NO_SPACE }]);
    const tiny = put('a', '');
    const txn: Operation = { kind: 'txn', compare: [], success: [], failure: [tiny] };
    for (const operation of [tiny, txn, { kind: 'lease-grant', id: 8n, ttlSec: 100 } as const]) {
      await expect(world.propose(member, operation)).rejects.toMatchObject({ code: 'NO_SPACE' });
    }
    // What gives room back works, and so do reads.
    const all = { key: Buffer.from('k'), rangeEnd: Buffer.from('l'), prevKv: false } as const;
    expect(
      member.store.rangeSync({ key: all.key, end: all.rangeEnd, revision: 0, limit: 0 }).count,
    ).toBeGreaterThan(10);
    await world.propose(member, {
      kind: 'txn',
      compare: [],
      success: [{ kind: 'delete-range', ...all }],
      failure: [],
    });
    await world.propose(member, { kind: 'lease-revoke', id: 7n });
    await world.propose(member, { kind: 'compact', revision: member.store.revision, physical: false });
    await world.until(new Promise((resolve) => member.store.flush(resolve)));
    await expect(world.propose(member, tiny)).rejects.toMatchObject({ code: 'NO_SPACE' });
    await world.until(member.stop());
    // It survives a restart, and ends when it is disarmed.
    const again = await world.start();
    expect(again.alarms()).toEqual([{ memberId: member.memberId, alarm: NO_SPACE }]);
    await expect(world.propose(again, tiny)).rejects.toMatchObject({ code: 'NO_SPACE' });
    await world.propose(again, alarm(2, NO_SPACE, member.memberId));
    expect((await world.propose(again, tiny)).kind).toBe('put');
    await world.until(again.stop());
  });

  test('sem-180 err-ErrGRPCCorrupt a corrupt cluster takes no changes at all', async () => {
    const world = new SimWorld(2);
    const member = await world.start();
    await world.propose(member, put('a', '1'));
    await world.propose(member, alarm(1, CORRUPT, 5n));
    const refused: Operation[] = [
      put('a', '2'),
      { kind: 'delete-range', key: Buffer.from('a'), rangeEnd: Buffer.alloc(0), prevKv: false },
      { kind: 'txn', compare: [], success: [put('a', '2')], failure: [] },
      { kind: 'compact', revision: 2, physical: false },
      { kind: 'lease-grant', id: 3n, ttlSec: 5 },
      { kind: 'lease-revoke', id: 3n },
    ];
    for (const operation of refused) {
      await expect(world.propose(member, operation)).rejects.toMatchObject({ code: 'CORRUPT_CLUSTER' });
    }
    expect(Buffer.from(member.store.get(Buffer.from('a'))!.value).toString()).toBe('1');
    await world.until(member.stop());
  });

  test('sem-181 sem-182 raising, raising again, clearing and clearing what is not there', async () => {
    const world = new SimWorld(3);
    const member = await world.start();
    const ask = async (operation: Operation) => {
      const outcome = await world.propose(member, operation);
      return outcome.kind === 'alarm' ? outcome.alarms : null;
    };
    const raised = { memberId: 2n ** 64n - 1n, alarm: 9 };
    expect(await ask(alarm(1, 0, 4n))).toEqual([]);
    expect(await ask(alarm(1, 9, raised.memberId))).toEqual([raised]);
    expect(await ask(alarm(1, 9, raised.memberId))).toEqual([raised]);
    expect(member.alarms()).toEqual([raised]);
    expect(await ask(alarm(2, 9, 4n))).toEqual([]);
    expect(await ask(alarm(2, 9, raised.memberId))).toEqual([raised]);
    expect(await ask(alarm(2, 9, raised.memberId))).toEqual([]);
    await world.until(member.stop());
  });
});

describe('limits', () => {
  test('sem-012 err-ErrGRPCRequestTooLarge a request beyond the limit is refused before it goes anywhere', async () => {
    const world = new SimWorld(1);
    const member = await world.start({ maxRequestBytes: 1000 });
    const before = member.committedIndex;
    await expect(world.propose(member, put('a', '1'), 1001)).rejects.toMatchObject({
      code: 'REQUEST_TOO_LARGE',
    });
    expect(member.committedIndex).toBe(before);
    await world.propose(member, put('a', '1'), 1000);
    await world.until(member.stop());
  });

  test('sem-013 err-ErrGRPCRequestTooManyRequests more requests than may wait are refused, those before are answered', async () => {
    const world = new SimWorld(1);
    const member = await world.start({ snapshotCount: 100_000 });
    const answers = new Map<string, number>();
    for (let i = 0; i < 50_100; i++) {
      member.propose(put('a', ''), 0, Number.POSITIVE_INFINITY, (error) => {
        const answer = error === null ? 'ok' : code(error);
        answers.set(answer, (answers.get(answer) ?? 0) + 1);
      });
    }
    expect(Object.fromEntries(answers)).toEqual({ TOO_MANY_REQUESTS: 100 });
    for (let i = 0; i < 50 && answers.get('ok') !== 50_000; i++) world.env.advance(100);
    expect(Object.fromEntries(answers)).toEqual({ TOO_MANY_REQUESTS: 100, ok: 50_000 });
    await world.until(member.stop());
  });
});

describe('case-07 stopping', () => {
  test('err-ErrGRPCStopped what is under way ends well, what comes later is refused, stopping twice is stopping once', async () => {
    const world = new SimWorld(1);
    const member = await world.start();
    const answers: (string | null)[] = [];
    const propose = (key: string) =>
      member.propose(put(key, ''), 0, Number.POSITIVE_INFINITY, (error) =>
        answers.push(error && code(error)),
      );
    propose('under way');
    const stop = member.stop();
    propose('too late');
    const again = member.stop();
    member.confirmRead(Number.POSITIVE_INFINITY, (error) => answers.push(error && code(error)));
    await world.until(Promise.all([stop, again]));
    expect(answers).toEqual(['SERVER_STOPPED', 'SERVER_STOPPED', null]);
    expect(await member.stopped).toBe(null);
    const restarted = await world.start();
    expect(restarted.store.get(Buffer.from('under way'))).not.toBe(null);
    expect(restarted.store.get(Buffer.from('too late'))).toBe(null);
    await world.until(restarted.stop());
  });

  test('a failing log ends the member: requests are told, nothing hangs', async () => {
    const world = new SimWorld(1);
    const member = await world.start();
    world.disk.inject({ operation: 'sync' });
    await expect(world.propose(member, put('a', '1'))).rejects.toMatchObject({ code: 'SERVER_STOPPED' });
    expect(await world.until(member.stopped)).toBeInstanceOf(Error);
    await expect(world.propose(member, put('a', '1'))).rejects.toMatchObject({ code: 'SERVER_STOPPED' });
    await world.until(member.stop());
  });
});

describe('case-25 log and store that do not belong together', () => {
  async function used() {
    const world = new SimWorld(1);
    const member = await world.start({ snapshotCount: 5 });
    for (let i = 0; i < 400; i++) await world.propose(member, put(`k${i}`, 'v'.repeat(900)));
    await world.until(member.stop());
    return world;
  }

  test('a store whose log is gone is refused', async () => {
    const world = await used();
    for (const name of world.disk.list('/data/wal')) world.disk.remove(`/data/wal/${name}`);
    await expect(world.start()).rejects.toMatchObject({
      code: 'inconsistent',
      message: expect.stringMatching(/the log is new/),
    });
  });

  test('a store older than what the log has let go is refused', async () => {
    const world = await used();
    world.backend = memoryBackend();
    await expect(world.start()).rejects.toMatchObject({
      code: 'inconsistent',
      message: expect.stringMatching(/the log begins at/),
    });
  });

  test('a store ahead of its log is refused', async () => {
    const world = await used();
    const other = new SimWorld(2);
    const member = await other.start();
    await other.propose(member, put('a', '1'));
    await other.until(member.stop());
    other.backend = world.backend.reopen();
    await expect(other.start()).rejects.toMatchObject({
      code: 'inconsistent',
      message: expect.stringMatching(/the log ends at/),
    });
  });

  test('a member is who its log says, whatever the flags of the first cluster say later', async () => {
    const world = await used();
    const before = await world.start();
    await world.until(before.stop());
    const initialCluster = [{ name: 'm1', peerUrls: ['http://other:2380'] }];
    const after = await world.start({ initialCluster });
    expect(after.memberId).toBe(before.memberId);
    expect(after.clusterId).toBe(before.clusterId);
    await world.until(after.stop());
  });
});
