/** Members that come to differ: noticed by the rolling hash at once, by comparing keys later; who stops, and whom the alarm names. */
import { services } from '@quorate/proto';
import { describe, expect, test } from 'vitest';
import { StateHash } from '../../src/integrity/state-hash.ts';
import { oddOnes } from '../../src/integrity/verdict.ts';
import type { Member } from '../../src/member.ts';
import type { MemberConfig } from '../../src/member-config.ts';
import { ask, refusalOf } from '../support/cluster-clients.ts';
import { SimCluster } from '../support/sim-cluster.ts';
import { put } from '../support/sim-member.ts';

const KV = services['etcdserverpb.KV'];
const Maintenance = services['etcdserverpb.Maintenance'];
const CORRUPT = 2;

async function of(
  names: readonly string[],
  seed: number,
  config: Partial<MemberConfig> = {},
): Promise<{ cluster: SimCluster; leader: Member; followers: readonly Member[] }> {
  const cluster = new SimCluster(seed, names, config);
  await cluster.bootstrap();
  await cluster.pass(1000);
  const leader = await cluster.leader();
  return { cluster, leader, followers: cluster.others(leader) };
}

const THREE = ['a', 'b', 'c'];

/** From now on this member applies every put to key `victim` with another value. */
function applyDifferently(member: Member): void {
  const { store } = member;
  const begin = store.begin.bind(store);
  store.begin = (index, term) => {
    const transaction = begin(index, term);
    const plain = transaction.put.bind(transaction);
    transaction.put = (key, value, lease) =>
      plain(key, Buffer.from(key).toString() === 'victim' ? Buffer.from('wrong') : value, lease);
    return transaction;
  };
}

/** The bytes in this member's store change, and nobody applied anything: a page that rots. */
function rot(member: Member): void {
  const { store } = member;
  const hashKv = store.hashKv.bind(store);
  store.hashKv = (revision, done) =>
    hashKv(revision, (error, result) => done(error, result && { ...result, hash: result.hash ^ 1 }));
}

const errorsOf = (cluster: SimCluster): string[] =>
  cluster.env.logged.filter(({ level }) => level === 'fatal').map(({ fields }) => String(fields?.error));

describe('the rolling hash', () => {
  test('case-23 case-24 a follower that applies differently stops within a round trip, and the others go on', async () => {
    const { cluster, leader, followers } = await of(THREE, 1);
    await cluster.pass(500);
    const odd = followers[0]!;
    applyDifferently(odd);
    const beganMs = cluster.env.monotonicMs();
    const stopped = odd.stopped;
    await cluster.put(leader, 'victim', 'right');
    const error = await cluster.until(stopped);
    expect(error).toMatchObject({ code: 'STATE_DIVERGED' });
    expect(error!.message).toMatch(/differs from that of the cluster at entry \d+: remove it/);
    // A heartbeat, the answer, and the verdict.
    expect(cluster.env.monotonicMs() - beganMs).toBeLessThan(300);
    expect(cluster.running).toHaveLength(2);
    await cluster.put(leader, 'k', 'v');
    expect(leader.alarms()).toEqual([]);
  });

  test('case-24 a leader that applies differently is the one to stop', async () => {
    const { cluster, leader, followers } = await of(THREE, 2);
    await cluster.pass(500);
    applyDifferently(leader);
    await cluster.put(leader, 'victim', 'right');
    expect(await cluster.until(leader.stopped)).toMatchObject({ code: 'STATE_DIVERGED' });
    const next = await cluster.leader();
    expect(followers).toContain(next);
    expect(await cluster.get(next, 'victim')).toBe('right');
  });

  test('case-24 of two members nobody is stopped: the alarm says that nobody can tell', async () => {
    const { cluster, leader, followers } = await of(['a', 'b'], 3);
    applyDifferently(followers[0]!);
    await cluster.put(leader, 'victim', 'right');
    await cluster.eventually(() => leader.alarms().length > 0);
    await cluster.pass(1000);
    expect(leader.alarms()).toEqual([{ memberId: 0n, alarm: CORRUPT }]);
    expect(cluster.running).toHaveLength(2);
    await expect(cluster.put(leader, 'k', 'v')).rejects.toMatchObject({ code: 'CORRUPT_CLUSTER' });
  });

  test('a learner that applies differently stops on the word of the voters', async () => {
    const { cluster, leader } = await of(THREE, 4);
    await cluster.pass(6000);
    await cluster.add(leader, 'd', true);
    const learner = await cluster.start('d', [...THREE, 'd'], { initialClusterState: 'existing' });
    await cluster.settled();
    applyDifferently(learner);
    await cluster.put(leader, 'victim', 'right');
    expect(await cluster.until(learner.stopped)).toMatchObject({ code: 'STATE_DIVERGED' });
    expect(cluster.running).toHaveLength(3);
  });

  test('it does not come back with those data', async () => {
    const { cluster, leader, followers } = await of(THREE, 5);
    const odd = followers[0]!;
    const name = cluster.nameOf(odd);
    applyDifferently(odd);
    await cluster.put(leader, 'victim', 'right');
    await cluster.until(odd.stopped);
    const again = await cluster.start(name);
    // It finds out as soon as it is asked again.
    await cluster.put(leader, 'k', 'v');
    expect(await cluster.until(again.stopped)).toMatchObject({ code: 'STATE_DIVERGED' });
  });

  test('restarts, snapshots, refusals, leases, members and compactions leave the members alike', async () => {
    const { cluster, leader } = await of(THREE, 6, {
      snapshotCount: 20,
      snapshotCatchUpEntries: 10,
      walSegmentBytes: 16 * 1024,
    });
    const away = cluster.nameOf(cluster.others(leader)[0]!);
    const write = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n++) {
        await cluster.put(leader, `k${n % 7}`, `v${n}`.padEnd(300, '.'));
        if (n % 10 === 0) {
          await cluster.propose(leader, { kind: 'lease-grant', id: BigInt(n + 1), ttlSec: 2 });
          await cluster.propose(leader, put('leased', 'v', { lease: BigInt(n + 1) }));
          const twice = { kind: 'lease-grant', id: BigInt(n + 1), ttlSec: 2 } as const;
          await cluster.propose(leader, twice).catch(() => {});
          await cluster.propose(leader, {
            kind: 'compact',
            revision: leader.store.revision - 3,
            physical: false,
          });
        }
      }
    };
    await write(0, 30);
    cluster.crash(away);
    await write(30, 250);
    await cluster.start(away);
    await write(250, 260);
    cluster.crash(away);
    await cluster.start(away);
    await cluster.pass(5000);
    await write(260, 270);
    await cluster.settled();
    await cluster.pass(500);
    expect(cluster.network.tally.snapshots).toBeGreaterThan(0);
    expect(errorsOf(cluster)).toEqual([]);
    expect(cluster.running).toHaveLength(3);
    // The row that a flush wrote is that of the state it belongs to.
    for (const member of cluster.running) {
      await cluster.ask((done) => member.store.flush(done));
    }
    const rows = cluster.running.map(({ store }) => new StateHash(store).now);
    expect(new Set(rows.map(({ hash }) => hash)).size).toBe(1);
    expect(rows[0]).toMatchObject({ since: 0, index: leader.appliedIndex });
  });
});

describe('comparing keys', () => {
  test('sem-187 case-23 the periodic check raises CORRUPT for the odd member alone, whoever leads', async () => {
    for (const victim of ['leader', 'follower'] as const) {
      const { cluster, leader, followers } = await of(THREE, 10, {
        corruptionChecks: { initial: false, periodMs: 2000, compactPeriodMs: 0 },
      });
      await cluster.put(leader, 'k', 'v');
      const odd = victim === 'leader' ? leader : followers[1]!;
      await cluster.pass(5000);
      expect(leader.alarms()).toEqual([]);
      rot(odd);
      await cluster.eventually(() => leader.alarms().length > 0);
      await cluster.pass(5000);
      expect(leader.alarms()).toEqual([{ memberId: odd.memberId, alarm: CORRUPT }]);
    }
  });

  test('sem-180 sem-181 err-ErrGRPCCorrupt what the alarm forbids, on every member, and that any member clears it', async () => {
    const { cluster, leader, followers } = await of(THREE, 11, {
      corruptionChecks: { initial: false, periodMs: 1000, compactPeriodMs: 0 },
    });
    await cluster.propose(leader, { kind: 'lease-grant', id: 7n, ttlSec: 600 });
    await cluster.put(leader, 'k', 'v');
    rot(followers[0]!);
    await cluster.eventually(() => leader.alarms().length > 0);
    await cluster.settled();
    const key = Buffer.from('k');
    for (const member of [leader, ...followers]) {
      const corrupt = [15, 'etcdserver: corrupt cluster'];
      expect(await refusalOf(ask(cluster, member, KV.Put, { key, value: key }))).toEqual(corrupt);
      expect(await refusalOf(ask(cluster, member, KV.DeleteRange, { key }))).toEqual(corrupt);
      expect(await refusalOf(ask(cluster, member, KV.Compact, { revision: 1n }))).toEqual(corrupt);
      const Lease = services['etcdserverpb.Lease'];
      expect(await refusalOf(ask(cluster, member, Lease.LeaseGrant, { TTL: 60n }))).toEqual(corrupt);
      expect(await refusalOf(ask(cluster, member, Lease.LeaseRevoke, { ID: 7n }))).toEqual(corrupt);
      expect((await ask(cluster, member, KV.Range, { key })).count).toBe(1n);
      const { alarms } = await ask(cluster, member, Maintenance.Alarm, { action: 0 });
      expect(alarms).toMatchObject([{ memberID: followers[0]!.memberId, alarm: CORRUPT }]);
      const { errors } = await ask(cluster, member, Maintenance.Status, {});
      expect(errors).toEqual([`memberID:${followers[0]!.memberId} alarm:CORRUPT `]);
    }
    cluster.crash(cluster.nameOf(followers[0]!));
    await ask(cluster, followers[1]!, Maintenance.Alarm, {
      action: 2,
      memberID: followers[0]!.memberId,
      alarm: CORRUPT,
    });
    await cluster.put(leader, 'k', 'v2');
  });

  test('sem-187 the check after a compaction finds it too, once per compaction', async () => {
    const { cluster, leader, followers } = await of(THREE, 12, {
      corruptionChecks: { initial: false, periodMs: 0, compactPeriodMs: 1000 },
    });
    for (let n = 0; n < 10; n++) await cluster.put(leader, 'k', `v${n}`);
    rot(followers[0]!);
    await cluster.pass(3000);
    expect(leader.alarms()).toEqual([]);
    await cluster.propose(leader, { kind: 'compact', revision: 5, physical: false });
    await cluster.eventually(() => leader.alarms().length > 0);
    expect(leader.alarms()).toEqual([{ memberId: followers[0]!.memberId, alarm: CORRUPT }]);
    const calls = cluster.network.tally.calls;
    await cluster.pass(5000);
    // All members have answered: nothing is asked again but what the others ask anyway.
    expect(cluster.network.tally.calls - calls).toBeLessThan(20);
  });

  test('sem-187 members that are down or cut off do not hold up the verdict, and without a quorum there is none', async () => {
    const { cluster, leader, followers } = await of(THREE, 13, {
      corruptionChecks: { initial: false, periodMs: 1000, compactPeriodMs: 0 },
    });
    await cluster.put(leader, 'k', 'v');
    cluster.crash(cluster.nameOf(followers[0]!));
    rot(followers[1]!);
    await cluster.eventually(() => leader.alarms().length > 0);
    expect(leader.alarms()).toEqual([{ memberId: 0n, alarm: CORRUPT }]);
  });

  test('sem-188 a member with other keys refuses to start, one that is behind starts', async () => {
    const { cluster, leader, followers } = await of(THREE, 14);
    for (let n = 0; n < 5; n++) await cluster.put(leader, `k${n}`, 'v');
    await cluster.settled();
    await cluster.pass(1000);
    const name = cluster.nameOf(followers[0]!);
    const check = { corruptionChecks: { initial: true, periodMs: 0, compactPeriodMs: 0 } };
    cluster.crash(name);
    await cluster.put(leader, 'more', 'v');
    const behind = await cluster.start(name, THREE, check);
    await cluster.settled();
    expect(behind.store.revision).toBe(leader.store.revision);
    await cluster.until(behind.stop());
    // The others have rotten alike: to this member it is all the same.
    for (const member of cluster.running) rot(member);
    const id = behind.memberId.toString(16);
    await expect(cluster.start(name, THREE, check)).rejects.toThrow(
      `${id} found data inconsistency with peers`,
    );
    await cluster.start(name, THREE);
  });

  test('sem-187 verdicts: a quorum is right, whatever the order; otherwise member 0', () => {
    const of = (...hashes: number[]) => new Map(hashes.map((hash, at) => [BigInt(at + 1), hash]));
    expect(oddOnes(of(5, 5, 5), 3)).toEqual([]);
    expect(oddOnes(of(5, 6, 5), 3)).toEqual([2n]);
    expect(oddOnes(of(6, 5, 5), 3)).toEqual([1n]);
    expect(oddOnes(of(5, 6), 3)).toEqual([0n]);
    expect(oddOnes(of(5, 6, 7), 3)).toEqual([0n]);
    expect(oddOnes(of(5, 6, 5, 7, 5), 5)).toEqual([2n, 4n]);
    expect(oddOnes(of(5, 5, 6, 6), 4)).toEqual([0n]);
    expect(oddOnes(of(5, 5), 3)).toEqual([]);
  });
});
