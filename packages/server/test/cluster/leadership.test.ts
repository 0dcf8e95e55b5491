/** Who leads: moved on request, handed over at a stop, regained; what clients see meanwhile. */
import { describe, expect, test } from 'vitest';
import { SimCluster } from '../support/sim-cluster.ts';
import { put } from '../support/sim-member.ts';

const code = (error: unknown) => (error as { code: string }).code;
const refusal = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no refusal',
    (error) => code(error),
  );

async function ofThree(seed: number): Promise<SimCluster> {
  const cluster = new SimCluster(seed, ['a', 'b', 'c']);
  await cluster.bootstrap();
  await cluster.pass(1000);
  return cluster;
}

describe('moving', () => {
  test('case-41 sem-172 to a voter, and only by the leader', async () => {
    const cluster = await ofThree(1);
    const leader = await cluster.leader();
    const [target, other] = cluster.others(leader);
    const move = (from: typeof leader, to: bigint) =>
      cluster.ask((done) => from.cluster.moveLeader(to, Number.POSITIVE_INFINITY, done));
    expect(await refusal(move(other!, target!.memberId))).toBe('NOT_LEADER');
    expect(await refusal(move(leader, 99n))).toBe('BAD_LEADER_TRANSFEREE');
    await move(leader, leader.memberId);
    await move(leader, target!.memberId);
    expect((await cluster.leader()).memberId).toBe(target!.memberId);
    await cluster.put(other!, 'k', 'v');
  });

  test('case-41 err-ErrGRPCBadLeaderTransferee a learner cannot lead', async () => {
    const cluster = await ofThree(2);
    await cluster.pass(6000);
    const leader = await cluster.leader();
    const id = await cluster.add(leader, 'd', true);
    const move = cluster.ask((done) => leader.cluster.moveLeader(id, Number.POSITIVE_INFINITY, done));
    expect(await refusal(move)).toBe('BAD_LEADER_TRANSFEREE');
  });

  test('case-41 errors.ErrTimeoutLeaderTransfer to a dead member: given up, and the leader leads on', async () => {
    const cluster = await ofThree(3);
    const leader = await cluster.leader();
    const dead = cluster.others(leader)[0]!;
    cluster.crash(cluster.nameOf(dead));
    const move = cluster.ask((done) =>
      leader.cluster.moveLeader(dead.memberId, cluster.env.monotonicMs() + 3000, done),
    );
    expect(await refusal(move)).toBe('TIMEOUT_LEADER_TRANSFER');
    await cluster.put(leader, 'k', 'v');
    expect((await cluster.leader()).memberId).toBe(leader.memberId);
  });

  test('case-41 again and again under writes: acknowledged ones stay, and writing never stops for long', async () => {
    const cluster = await ofThree(4);
    const acknowledged = new Set<string>();
    let lastMs = cluster.env.monotonicMs();
    let longestGapMs = 0;
    for (let round = 0; round < 20; round++) {
      const leader = await cluster.leader();
      const target = cluster.others(leader)[round % 2]!;
      const moved = cluster.ask((done) =>
        leader.cluster.moveLeader(target.memberId, Number.POSITIVE_INFINITY, done),
      );
      for (let number = 0; number < 10; number++) {
        const key = `${round}.${number}`;
        cluster.running[number % 3]!.propose(put(key, 'v'), 0, Number.POSITIVE_INFINITY, (error) => {
          if (error !== null) return;
          acknowledged.add(key);
          const nowMs = cluster.env.monotonicMs();
          longestGapMs = Math.max(longestGapMs, nowMs - lastMs);
          lastMs = nowMs;
        });
        await cluster.pass(20);
      }
      await moved;
    }
    await cluster.pass(8000);
    await cluster.settled();
    expect(acknowledged.size).toBeGreaterThan(100);
    expect(longestGapMs).toBeLessThan(2000);
    for (const member of cluster.running) {
      for (const key of acknowledged) expect(member.store.get(Buffer.from(key))).not.toBeNull();
    }
  });
});

describe('stopping', () => {
  test('case-07 sem-173 a leader that stops hands over, so that nobody waits for an election', async () => {
    const cluster = await ofThree(10);
    const leader = await cluster.leader();
    const beganMs = cluster.env.monotonicMs();
    await cluster.until(leader.stop());
    await cluster.leader();
    expect(cluster.env.monotonicMs() - beganMs).toBeLessThan(1000);
  });
});

describe('what clients see', () => {
  test('sem-016 sem-010 without a leader writes wait and time out, reads too', async () => {
    const cluster = await ofThree(20);
    const leader = await cluster.leader();
    const [survivor, other] = cluster.others(leader);
    cluster.crash(cluster.nameOf(leader));
    cluster.crash(cluster.nameOf(other!));
    await cluster.eventually(() => survivor!.leader === 0n);
    expect(await refusal(cluster.put(survivor!, 'k', 'v'))).toBe('CONTEXT_DEADLINE_EXCEEDED');
    expect(await refusal(cluster.get(survivor!, 'k'))).toBe('REQUEST_TIMED_OUT');
  });

  test('case-29 sem-017 a follower whose words do not reach the leader says that the connection was lost', async () => {
    const cluster = await ofThree(22);
    const leader = await cluster.leader();
    const follower = cluster.others(leader)[0]!;
    cluster.network.cut(follower.memberId, leader.memberId);
    expect(await refusal(cluster.put(follower, 'k', 'v'))).toBe('TIMEOUT_DUE_TO_CONNECTION_LOST');
    await cluster.put(leader, 'k', 'v');
  });

  test('case-27 a leader cut off from its majority confirms no read and acknowledges no write', async () => {
    const cluster = await ofThree(21);
    const leader = await cluster.leader();
    const [one, other] = cluster.others(leader);
    cluster.network.partition([leader.memberId], [one!.memberId, other!.memberId]);
    const write = refusal(cluster.put(leader, 'k', 'old'));
    const read = refusal(cluster.get(leader, 'k'));
    expect(await write).toBe('REQUEST_TIMED_OUT');
    expect(['REQUEST_TIMED_OUT', 'LEADER_CHANGED']).toContain(await read);
    const next = await cluster.leader();
    expect(next.memberId).not.toBe(leader.memberId);
    await cluster.put(next, 'k', 'new');
    cluster.network.heal();
    await cluster.settled();
    expect(await cluster.get(leader, 'k')).toBe('new');
  });
});

describe('the release of the cluster', () => {
  test('sem-194 sem-195 err-ErrGRPCNoInflightDowngrade a downgrade is validated, begun, refused twice, and cancelled', async () => {
    const cluster = await ofThree(30);
    const leader = await cluster.leader();
    await cluster.eventually(() => leader.clusterVersion === '3.7.0');
    const follower = cluster.others(leader)[0]!;
    const ask = (action: 'validate' | 'enable' | 'cancel', target: string) =>
      cluster.ask<string>((done) =>
        follower.cluster.downgrade(action, target, Number.POSITIVE_INFINITY, (error, version) =>
          done(error, version),
        ),
      );
    expect(await refusal(ask('validate', 'three'))).toBe('WRONG_DOWNGRADE_VERSION_FORMAT');
    expect(await refusal(ask('validate', '3.5'))).toBe('INVALID_DOWNGRADE_TARGET_VERSION');
    expect(await ask('validate', '3.6')).toBe('3.7');
    expect(await ask('cancel', '')).toBe('3.7');
    await ask('enable', '3.6.0');
    await cluster.settled();
    expect(cluster.running.map(({ downgradeTarget }) => downgradeTarget)).toEqual([
      '3.6.0',
      '3.6.0',
      '3.6.0',
    ]);
    await cluster.eventually(() => leader.clusterVersion === '3.6.0');
    expect(await refusal(ask('enable', '3.5'))).toBe('DOWNGRADE_IN_PROCESS');
    await ask('cancel', '');
    await cluster.eventually(() => leader.clusterVersion === '3.7.0');
    expect(leader.downgradeTarget).toBeNull();
  });

  test('case-47 sem-198 data of a cluster that counts as a newer release are refused', async () => {
    const cluster = await ofThree(31);
    const leader = await cluster.leader();
    await cluster.eventually(() => leader.clusterVersion === '3.7.0');
    await cluster.propose(leader, { kind: 'cluster-version', version: '3.8.0' });
    await cluster.settled();
    const name = cluster.nameOf(leader);
    await cluster.until(leader.stop());
    await expect(cluster.start(name)).rejects.toThrow(
      'invalid downgrade; server version 3.7.0 is lower than determined cluster version 3.8.0',
    );
  });
});
