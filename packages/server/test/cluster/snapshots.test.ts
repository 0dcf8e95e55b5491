/** Snapshots between members, in virtual time: to those that lag, to those that are new, broken off and crashed at every step. */
import { WatchRequest, WatchResponse } from '@quorate/proto';
import { describe, expect, test } from 'vitest';
import { createServices } from '../../src/api/services.ts';
import { WATCH_PATH } from '../../src/api/watch.ts';
import type { Member } from '../../src/member.ts';
import { TestStreamCall } from '../support/calls.ts';
import { SimCluster } from '../support/sim-cluster.ts';
import { put } from '../support/sim-member.ts';

/** So few that a member that misses a second of writing needs a snapshot. */
const SHORT_LOG = { snapshotCount: 20, snapshotCatchUpEntries: 10, walSegmentBytes: 16 * 1024 };

async function write(cluster: SimCluster, member: Member, from: number, to: number): Promise<void> {
  for (let number = from; number < to; number++) {
    await cluster.put(member, `k${number % 40}`, `v${number}`.padEnd(400, '.'));
  }
}

async function expectEqual(cluster: SimCluster): Promise<void> {
  await cluster.settled();
  const hashes = new Set<number>();
  for (const member of cluster.running) hashes.add(await cluster.hash(member));
  expect(hashes.size).toBe(1);
}

/** A follower that was away for so long that the leader's log no longer reaches back to it. */
async function lagging(seed: number): Promise<{ cluster: SimCluster; leader: Member; name: string }> {
  const cluster = new SimCluster(seed, ['a', 'b', 'c'], SHORT_LOG);
  await cluster.bootstrap();
  const leader = await cluster.leader();
  const name = cluster.nameOf(cluster.others(leader)[0]!);
  await cluster.propose(leader, { kind: 'lease-grant', id: 7n, ttlSec: 1000 });
  await write(cluster, leader, 0, 10);
  cluster.crash(name);
  await write(cluster, leader, 10, 250);
  await cluster.propose(leader, put('leased', 'v', { lease: 7n }));
  await cluster.pass(1000);
  return { cluster, leader, name };
}

describe('a follower that is too far behind', () => {
  test('case-40 case-48 gets a snapshot, holds the same, and goes on by the log', async () => {
    const { cluster, leader, name } = await lagging(1);
    const back = await cluster.start(name);
    await expectEqual(cluster);
    expect(cluster.network.tally.snapshots).toBeGreaterThan(0);
    expect(back.lessor.exists(7n)).toBe(true);
    expect(back.members()).toEqual(leader.members());
    expect(back.clusterVersion).toBe(leader.clusterVersion);
    const before = cluster.network.tally.snapshots;
    await write(cluster, leader, 250, 260);
    await expectEqual(cluster);
    expect(cluster.network.tally.snapshots).toBe(before);
    // What it holds survives it.
    cluster.crash(name);
    const again = await cluster.start(name);
    expect(again.store.revision).toBeGreaterThan(250);
    await expectEqual(cluster);
  });

  test('writes go on while a snapshot is on its way', async () => {
    const { cluster, leader, name } = await lagging(2);
    cluster.network.quality = { delayMs: 20, jitterMs: 5, loss: 0, repeat: 0, ordered: true };
    await cluster.start(name);
    await write(cluster, leader, 250, 400);
    await expectEqual(cluster);
  });

  test('case-49 a transfer that breaks off or arrives damaged is tried again, and disturbs nothing', async () => {
    const { cluster, leader, name } = await lagging(3);
    // Of five questions for chunks all must be answered, and soundly: one try of about fifteen.
    cluster.network.quality = {
      delayMs: 1,
      jitterMs: 0,
      loss: 0,
      repeat: 0,
      ordered: true,
      chunkLoss: 0.3,
      chunkDamage: 0.2,
    };
    await cluster.start(name);
    await write(cluster, leader, 250, 270);
    await expectEqual(cluster);
    const { snapshots, snapshotsBroken, chunksDamaged } = cluster.network.tally;
    expect(snapshots).toBeGreaterThan(1);
    expect(snapshotsBroken + chunksDamaged).toBeGreaterThan(0);
  });

  test.each([
    'installBeforeIntent',
    'installBeforeStore',
    'installBeforeLog',
    'raftBeforeSave',
    'walBeforeSync',
    'walAfterSync',
    'installAfterLog',
  ])(
    'case-05 case-40 a power cut at %s leaves the old or the new state, and it catches up',
    async (place) => {
      const { cluster, leader, name } = await lagging(4);
      const host = cluster.host(name);
      await cluster.start(name);
      let armed = place.startsWith('install');
      let lost = false;
      host.failpoint = (at) => {
        // The log's own places count once the store has been replaced.
        if (at === 'installBeforeLog') armed = true;
        if (!armed || lost || at !== place) return;
        lost = true;
        cluster.crash(name);
        throw new Error('power loss');
      };
      await cluster.eventually(() => lost);
      await write(cluster, leader, 250, 300);
      const back = await cluster.start(name);
      await expectEqual(cluster);
      expect(back.lessor.exists(7n)).toBe(true);
      expect(host.disk.exists('/data/installing-snapshot')).toBe(false);
      cluster.crash(name);
      await cluster.start(name);
      await expectEqual(cluster);
    },
  );
});

describe('a member that joins by a snapshot', () => {
  test('case-05 case-42 and is killed between store and log, goes on though its flags and the others have changed', async () => {
    const cluster = new SimCluster(8, ['a', 'b', 'c'], SHORT_LOG);
    await cluster.bootstrap();
    const leader = await cluster.leader();
    await write(cluster, leader, 0, 250);
    await cluster.pass(6000);
    await cluster.add(leader, 'd', true);
    const host = cluster.host('d');
    let lost = false;
    const crashed = new Promise<void>((resolve) => {
      host.failpoint = (at) => {
        if (at !== 'installBeforeLog') return;
        lost = true;
        cluster.crash('d');
        resolve();
        throw new Error('power loss');
      };
    });
    const joining = ['a', 'b', 'c', 'd'];
    await Promise.race([crashed, cluster.start('d', joining, { initialClusterState: 'existing' })]);
    await cluster.eventually(() => lost);
    expect(host.disk.exists('/data/installing-snapshot')).toBe(true);
    // The flags name a member too few for a plan by now; nobody asks them.
    await cluster.remove(leader, cluster.others(leader)[0]!.memberId);
    const back = await cluster.start('d', joining, { initialClusterState: 'existing' });
    await cluster.settled();
    expect(back.members()).toEqual(leader.members());
    expect(host.disk.exists('/data/installing-snapshot')).toBe(false);
    await expectEqual(cluster);
  });
});

describe('what is open on a member whose state is replaced', () => {
  test('case-48 sem-127 watches get every event once and in order, and those of the future nothing early', async () => {
    const cluster = new SimCluster(6, ['a', 'b', 'c'], SHORT_LOG);
    await cluster.bootstrap();
    const leader = await cluster.leader();
    await write(cluster, leader, 0, 10);
    await cluster.settled();
    const follower = cluster.others(leader)[0]!;
    const handler = createServices(follower).handlers.get(WATCH_PATH);
    const watch = (startRevision: number) => {
      if (handler?.kind !== 'stream') throw new Error('watching is a stream');
      const call = new TestStreamCall(WATCH_PATH, {}).open(handler);
      const rangeEnd = Buffer.from([0]);
      call.send(WatchRequest.encode({ createRequest: { key: rangeEnd, rangeEnd, startRevision } }));
      const revisions: number[] = [];
      return () => {
        for (const message of call.take()) {
          for (const { kv } of WatchResponse.decode(message).events) revisions.push(Number(kv!.modRevision));
        }
        return revisions;
      };
    };
    const fromTheStart = watch(2);
    const fromNow = watch(0);
    const future = watch(200);
    await cluster.pass(100);
    const now = follower.store.revision;
    cluster.network.partition(
      [follower.memberId],
      cluster.others(follower).map(({ memberId }) => memberId),
    );
    await write(cluster, await cluster.leader(), 10, 250);
    await cluster.pass(1000);
    cluster.network.heal();
    await expectEqual(cluster);
    await write(cluster, await cluster.leader(), 250, 260);
    await expectEqual(cluster);
    await cluster.pass(100);
    expect(cluster.network.tally.snapshots).toBeGreaterThan(0);
    const last = follower.store.revision;
    const every = (from: number) => Array.from({ length: last - from + 1 }, (_, index) => from + index);
    expect(fromTheStart()).toEqual(every(2));
    expect(fromNow()).toEqual(every(now + 1));
    expect(future()).toEqual(every(200));
  });
});

describe('case-45 one truth about the members', () => {
  test('from the log alone, from a snapshot alone, and from both', async () => {
    const { cluster, leader, name } = await lagging(5);
    const list = leader.members();
    const byLog = cluster.others(leader).find((member) => cluster.nameOf(member) !== name)!;
    expect(byLog.members()).toEqual(list);
    const bySnapshot = await cluster.start(name);
    await expectEqual(cluster);
    expect(bySnapshot.members()).toEqual(list);
    for (const each of ['a', 'b', 'c']) cluster.crash(each);
    for (const each of ['a', 'b', 'c']) await cluster.start(each);
    await cluster.leader();
    for (const member of cluster.running) expect(member.members()).toEqual(list);
  });
});
