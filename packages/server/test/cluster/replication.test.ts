/** Clusters of whole members in virtual time: beginning, replicating, losing members and getting them back. */
import { describe, expect, test } from 'vitest';
import { SimCluster } from '../support/sim-cluster.ts';

describe('a cluster of three', () => {
  test('begins, elects one leader, and every member holds the same', async () => {
    const cluster = new SimCluster(1, ['a', 'b', 'c']);
    await cluster.bootstrap();
    const leader = await cluster.leader();
    for (let number = 0; number < 50; number++) await cluster.put(leader, `k${number % 7}`, `v${number}`);
    await cluster.settled();
    const hashes = await Promise.all(cluster.running.map((member) => cluster.hash(member)));
    expect(new Set(hashes).size).toBe(1);
    expect(new Set(cluster.running.map(({ clusterId }) => clusterId)).size).toBe(1);
    expect(
      leader
        .members()
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(['a', 'b', 'c']);
  });

  test('sem-018 writes and linearizable reads work on every member', async () => {
    const cluster = new SimCluster(2, ['a', 'b', 'c']);
    await cluster.bootstrap();
    const leader = await cluster.leader();
    const [follower, other] = cluster.others(leader);
    await cluster.put(follower!, 'k', 'through a follower');
    expect(await cluster.get(other!, 'k')).toBe('through a follower');
    expect(await cluster.get(leader, 'k')).toBe('through a follower');
  });

  test('case-01 the leader is lost: the others go on with everything, and it comes back', async () => {
    const cluster = new SimCluster(3, ['a', 'b', 'c']);
    await cluster.bootstrap();
    const first = await cluster.leader();
    const name = cluster.nameOf(first);
    await cluster.put(first, 'k', '1');
    cluster.crash(name);
    const second = await cluster.leader();
    expect(second.memberId).not.toBe(first.memberId);
    expect(await cluster.get(second, 'k')).toBe('1');
    await cluster.put(second, 'k', '2');
    const back = await cluster.start(name);
    await cluster.settled();
    expect(await cluster.get(back, 'k')).toBe('2');
  });

  test('sem-197 the cluster counts as the lowest release once all have said theirs', async () => {
    const cluster = new SimCluster(4, ['a', 'b', 'c']);
    await cluster.bootstrap();
    await cluster.eventually(() => cluster.running.every(({ clusterVersion }) => clusterVersion === '3.7.0'));
  });
});
