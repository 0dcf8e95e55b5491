/** Members come, go, are promoted and replaced, in virtual time. */
import { errorFacts } from '@quorate/proto';
import { describe, expect, test } from 'vitest';
import { MemberRemovedError } from '../../src/member.ts';
import { BootstrapError } from '../../src/membership/bootstrap.ts';
import { SimCluster } from '../support/sim-cluster.ts';
import { put } from '../support/sim-member.ts';

const code = (error: unknown) => (error as { code: string }).code;

async function ofThree(seed: number): Promise<SimCluster> {
  const cluster = new SimCluster(seed, ['a', 'b', 'c']);
  await cluster.bootstrap();
  // Connections count once they have stood for the health interval.
  await cluster.pass(6000);
  return cluster;
}

const refusal = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no refusal',
    (error) => code(error),
  );

describe('adding', () => {
  test('case-42 sem-161 a member is added, joins, learns everything and votes', async () => {
    const cluster = await ofThree(1);
    const leader = await cluster.leader();
    await cluster.put(leader, 'before', '1');
    const id = await cluster.add(leader, 'd');
    expect(leader.members().find((member) => member.id === id)).toMatchObject({ name: '', isLearner: false });
    const joined = await cluster.start('d', ['a', 'b', 'c', 'd'], { initialClusterState: 'existing' });
    expect(joined.memberId).toBe(id);
    expect(joined.clusterId).toBe(leader.clusterId);
    expect(await cluster.get(joined, 'before')).toBe('1');
    await cluster.eventually(() => leader.members().find((member) => member.id === id)?.name === 'd');
    expect(joined.isLearner).toBe(false);
    // It counts: with two of four gone, nothing is decided; with one gone, everything goes on.
    cluster.crash(cluster.nameOf(cluster.others(leader)[0]!));
    await cluster.put(await cluster.leader(), 'after', '2');
  });

  test('case-42 a member that joins after the log was released gets a snapshot', async () => {
    const cluster = new SimCluster(2, ['a'], {
      snapshotCount: 20,
      snapshotCatchUpEntries: 5,
      walSegmentBytes: 16384,
    });
    await cluster.bootstrap();
    const leader = await cluster.leader();
    for (let number = 0; number < 200; number++) await cluster.put(leader, `k${number % 9}`, 'x'.repeat(500));
    await cluster.pass(1000);
    await cluster.add(leader, 'b');
    const joined = await cluster.start('b', ['a', 'b'], { initialClusterState: 'existing' });
    await cluster.settled();
    expect(cluster.network.tally.snapshots).toBeGreaterThan(0);
    expect(await cluster.hash(joined)).toBe(await cluster.hash(leader));
    cluster.crash('b');
    const again = await cluster.start('b', ['a', 'b'], { initialClusterState: 'existing' });
    await cluster.put(await cluster.leader(), 'after', '1');
    expect(await cluster.get(again, 'after')).toBe('1');
  });

  test('case-42 who was down meanwhile learns of the new member from that member, which leads by now', async () => {
    // With the check on, nobody is added while one of three is away; it may go away right after the check, too.
    const cluster = new SimCluster(8, ['a', 'b', 'c'], { strictReconfigCheck: false });
    await cluster.bootstrap();
    const leader = await cluster.leader();
    const absent = cluster.nameOf(cluster.others(leader)[0]!);
    cluster.crash(absent);
    const id = await cluster.add(leader, 'd');
    const joined = await cluster.start('d', ['a', 'b', 'c', 'd'], { initialClusterState: 'existing' });
    await cluster.put(leader, 'k', '1');
    await cluster.settled();
    await cluster.ask((done) => leader.cluster.moveLeader(id, Number.POSITIVE_INFINITY, done));
    await cluster.eventually(() => joined.leader === id);
    await cluster.put(joined, 'k', '2');
    const { term } = joined;
    const back = await cluster.start(absent, ['a', 'b', 'c']);
    expect(back.members()).toHaveLength(3);
    expect(await cluster.get(back, 'k')).toBe('2');
    await cluster.settled();
    expect(back.members().map((member) => member.id)).toContain(id);
    await cluster.put(back, 'k', '3');
    expect([joined.leader, joined.term, back.leader]).toEqual([id, term, id]);
    expect(cluster.network.tally.snapshots).toBe(0);
  });

  test('case-42 and by a snapshot, when the log is gone that names it', async () => {
    const cluster = new SimCluster(9, ['a', 'b', 'c'], {
      strictReconfigCheck: false,
      snapshotCount: 20,
      snapshotCatchUpEntries: 5,
      walSegmentBytes: 16384,
    });
    await cluster.bootstrap();
    const leader = await cluster.leader();
    const absent = cluster.nameOf(cluster.others(leader)[0]!);
    cluster.crash(absent);
    const id = await cluster.add(leader, 'd');
    const joined = await cluster.start('d', ['a', 'b', 'c', 'd'], { initialClusterState: 'existing' });
    await cluster.settled();
    await cluster.ask((done) => leader.cluster.moveLeader(id, Number.POSITIVE_INFINITY, done));
    await cluster.eventually(() => joined.leader === id);
    for (let number = 0; number < 200; number++) await cluster.put(joined, `k${number % 9}`, 'x'.repeat(500));
    await cluster.pass(1000);
    const before = cluster.network.tally.snapshots;
    const back = await cluster.start(absent, ['a', 'b', 'c']);
    await cluster.put(back, 'k', 'v');
    expect(await cluster.get(back, 'k')).toBe('v');
    expect(back.members()).toHaveLength(4);
    expect(back.leader).toBe(id);
    expect(cluster.network.tally.snapshots).toBeGreaterThan(before);
  });

  test('sem-167 a promotion through a follower shows there when it is answered', async () => {
    const cluster = await ofThree(11);
    const leader = await cluster.leader();
    const id = await cluster.add(leader, 'd', true);
    await cluster.start('d', ['a', 'b', 'c', 'd'], { initialClusterState: 'existing' });
    await cluster.settled();
    await cluster.pass(1000);
    const follower = cluster.others(leader)[0]!;
    // What the leader commits gets into its log later than the answer to its question arrives.
    const host = cluster.host(cluster.nameOf(follower));
    host.stalled = true;
    cluster.env.setTimer(300, () => {
      host.stalled = false;
    });
    const shown = await cluster.ask<boolean>((done) =>
      follower.cluster.promote(id, Number.POSITIVE_INFINITY, (error) =>
        done(error, follower.members().find((member) => member.id === id)?.isLearner === false),
      ),
    );
    expect(shown).toBe(true);
  });

  test('err-ErrGRPCPeerURLExist sem-161 no two members share a peer URL', async () => {
    const cluster = await ofThree(3);
    const leader = await cluster.leader();
    const { peerUrl } = cluster.host('b');
    const again = cluster.ask<bigint>((done) =>
      leader.cluster.add([peerUrl], false, Number.POSITIVE_INFINITY, done),
    );
    expect(await refusal(again)).toBe('PEER_URL_EXIST');
  });

  test('err-ErrGRPCMemberExist the same addition twice within a second is the same member', async () => {
    const cluster = await ofThree(4);
    const leader = await cluster.leader();
    const add = (done: (error: Error | null) => void) =>
      leader.cluster.add(['http://d:2380'], true, Number.POSITIVE_INFINITY, (error) => done(error));
    const [first, second] = [cluster.ask(add), refusal(cluster.ask(add))];
    await first;
    expect(await second).toBe('MEMBER_EXIST');
  });

  test('sem-163 a second unstarted voter is refused, a second member of one is not', async () => {
    const alone = new SimCluster(5, ['a']);
    await alone.bootstrap();
    const id = await alone.add(await alone.leader(), 'b');
    expect(id).not.toBe(0n);
    const cluster = new SimCluster(6, ['a', 'b']);
    await cluster.bootstrap();
    await cluster.pass(6000);
    const leader = await cluster.leader();
    await cluster.add(leader, 'd');
    expect(await refusal(cluster.add(leader, 'e'))).toBe('MEMBER_NOT_ENOUGH_STARTED');
  });

  test('err-ErrGRPCUnhealthy sem-164 without contact to a quorum of the larger cluster nobody is added', async () => {
    const cluster = await ofThree(7);
    const leader = await cluster.leader();
    cluster.crash(cluster.nameOf(cluster.others(leader)[0]!));
    await cluster.pass(100);
    expect(await refusal(cluster.add(leader, 'd', true))).toBe('UNHEALTHY_CLUSTER');
    expect(leader.members()).toHaveLength(3);
  });
});

describe('removing', () => {
  test('case-43 sem-162 a follower is removed, stops with a clear message, and its id is never used again', async () => {
    const cluster = await ofThree(10);
    const leader = await cluster.leader();
    const gone = cluster.others(leader)[0]!;
    await cluster.remove(leader, gone.memberId);
    const error = await cluster.until(gone.stopped);
    expect(error?.message).toBe('the member has been permanently removed from the cluster');
    expect(leader.members()).toHaveLength(2);
    expect(await refusal(cluster.remove(leader, gone.memberId))).toBe('MEMBER_NOT_FOUND');
    expect(await refusal(cluster.promote(leader, gone.memberId))).toBe('MEMBER_NOT_FOUND');
    await cluster.put(leader, 'k', 'v');
  });

  test('case-43 the leader removes itself: it hands over, stops, and the others go on', async () => {
    const cluster = await ofThree(11);
    const leader = await cluster.leader();
    await cluster.put(leader, 'k', '1');
    await cluster.remove(leader, leader.memberId);
    expect(code(await cluster.until(leader.stopped))).toBe('MEMBER_REMOVED');
    const next = await cluster.leader();
    expect(next.memberId).not.toBe(leader.memberId);
    expect(await cluster.get(next, 'k')).toBe('1');
    expect(next.members()).toHaveLength(2);
  });

  test('case-43 sem-165 a dead member may go while the quorum holds; a living one that the quorum needs may not', async () => {
    const cluster = await ofThree(12);
    const leader = await cluster.leader();
    const [dead, alive] = cluster.others(leader);
    cluster.crash(cluster.nameOf(dead!));
    await cluster.pass(100);
    expect(await refusal(cluster.remove(leader, alive!.memberId))).toBe('UNHEALTHY_CLUSTER');
    const warned = cluster.env.logged.find(({ message }) => message.includes('could cost the quorum'));
    expect(warned?.fields?.reason).toBe(
      '2 of 3 voters have been in contact for 5 s; 3 must be, so that a quorum of 2 is left',
    );
    await cluster.remove(leader, dead!.memberId);
    expect(leader.members()).toHaveLength(2);
  });

  test('err-ErrGRPCMemberNotEnoughStarted the last voter stays, whatever the flags say', async () => {
    for (const strictReconfigCheck of [true, false]) {
      const cluster = new SimCluster(13, ['a'], { strictReconfigCheck });
      await cluster.bootstrap();
      const leader = await cluster.leader();
      expect(await refusal(cluster.remove(leader, leader.memberId))).toBe('MEMBER_NOT_ENOUGH_STARTED');
      await cluster.put(leader, 'k', 'v');
    }
  });

  test('case-42 a dead member is replaced under its own address: removed, wiped, added anew', async () => {
    const cluster = await ofThree(14);
    const leader = await cluster.leader();
    const name = cluster.nameOf(cluster.others(leader)[0]!);
    const old = cluster.host(name).id;
    await cluster.put(leader, 'k', 'v');
    cluster.crash(name);
    await cluster.pass(100);
    await cluster.remove(leader, old);
    cluster.hosts.delete(name);
    cluster.addHost(name);
    await cluster.pass(6000);
    const id = await cluster.add(leader, name);
    expect(id).not.toBe(old);
    const fresh = await cluster.start(name, ['a', 'b', 'c'], { initialClusterState: 'existing' });
    expect(fresh.memberId).toBe(id);
    expect(await cluster.get(fresh, 'k')).toBe('v');
  });

  test('case-42 a removed member that was cut off meanwhile hears it when it starts again', async () => {
    const cluster = await ofThree(15);
    const leader = await cluster.leader();
    const gone = cluster.others(leader)[0]!;
    const name = cluster.nameOf(gone);
    await cluster.remove(leader, gone.memberId);
    await cluster.until(gone.stopped);
    const again = cluster.start(name).then(
      () => null,
      (error) => error,
    );
    expect(code(await again)).toBe('MEMBER_REMOVED');
  });
});

describe('learners', () => {
  test('case-44 sem-167 a learner catches up, is promoted through a follower, and stays a voter', async () => {
    const cluster = await ofThree(20);
    const leader = await cluster.leader();
    for (let number = 0; number < 30; number++) await cluster.put(leader, 'k', `${number}`);
    const id = await cluster.add(leader, 'd', true);
    const follower = cluster.others(leader)[0]!;
    expect(await refusal(cluster.promote(follower, id))).toBe('LEARNER_NOT_READY');
    const learner = await cluster.start('d', ['a', 'b', 'c', 'd'], { initialClusterState: 'existing' });
    await cluster.settled();
    expect(learner.isLearner).toBe(true);
    await cluster.eventually(() => leader.members().find((member) => member.id === id)?.name === 'd');
    await cluster.promote(follower, id);
    await cluster.settled();
    expect(learner.isLearner).toBe(false);
    expect(await refusal(cluster.promote(leader, id))).toBe('MEMBER_NOT_LEARNER');
    // Counted by the leader alone, which decided, whoever was asked.
    expect(leader.counts().promotions).toEqual({
      successes: 1,
      failures: new Map([
        [errorFacts.LEARNER_NOT_READY.message, 1],
        [errorFacts.MEMBER_NOT_LEARNER.message, 1],
      ]),
    });
    expect(follower.counts().promotions).toEqual({ successes: 0, failures: new Map() });
    cluster.crash('d');
    const again = await cluster.start('d');
    expect(again.isLearner).toBe(false);
    expect(again.members().find((member) => member.id === id)?.name).toBe('d');
  });

  test('err-ErrGRPCTooManyLearners sem-166 there are no more learners than allowed', async () => {
    const cluster = await ofThree(21);
    const leader = await cluster.leader();
    const id = await cluster.add(leader, 'd', true);
    expect(await refusal(cluster.add(leader, 'e', true))).toBe('TOO_MANY_LEARNERS');
    // Learners may always go.
    await cluster.remove(leader, id);
    await cluster.add(leader, 'e', true);
  });

  test('case-44 sem-171 new peer URLs do not make a learner a voter', async () => {
    const cluster = await ofThree(22);
    const leader = await cluster.leader();
    const id = await cluster.add(leader, 'd', true);
    await cluster.ask((done) => leader.cluster.update(id, ['anything'], Number.POSITIVE_INFINITY, done));
    expect(leader.members().find((member) => member.id === id)).toMatchObject({
      peerUrls: ['anything'],
      isLearner: true,
    });
    const update = (of: bigint, url: string) =>
      refusal(cluster.ask((done) => leader.cluster.update(of, [url], Number.POSITIVE_INFINITY, done)));
    expect(await update(99n, 'http://x:1')).toBe('MEMBER_NOT_FOUND');
    expect(await update(id, cluster.host('a').peerUrl)).toBe('PEER_URL_EXIST');
  });
});

describe('beginning and joining', () => {
  const message = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => 'started',
      (error) => {
        expect(error).toBeInstanceOf(BootstrapError);
        return (error as Error).message;
      },
    );

  test('who was not added cannot join, and the list has to match', async () => {
    const cluster = await ofThree(30);
    cluster.addHost('d');
    const join = (among: string[]) => message(cluster.start('d', among, { initialClusterState: 'existing' }));
    expect(await join(['a', 'b', 'c', 'd'])).toContain('member count is unequal');
    await cluster.add(await cluster.leader(), 'e');
    expect(await join(['a', 'b', 'c', 'd'])).toContain(
      'unmatched member while checking PeerURLs (http://d:2380)',
    );
    expect(await join(['d'])).toBe(
      'cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs',
    );
  });

  test('the list may write an address where the cluster knows a name', async () => {
    const cluster = await ofThree(33);
    cluster.addHost('d');
    const id = await cluster.add(await cluster.leader(), 'd');
    const names = ['a', 'b', 'c', 'd'];
    const initialCluster = names.map((name) => ({
      name,
      peerUrls: [name === 'd' ? 'http://10.0.0.4:2380' : cluster.host(name).peerUrl],
    }));
    const join = () => cluster.start('d', names, { initialClusterState: 'existing', initialCluster });
    expect(await message(join())).toContain(
      'unmatched member while checking PeerURLs (http://10.0.0.4:2380)',
    );
    cluster.resolveHost = async (host) => (host === 'd' ? '10.0.0.4' : `other ${host}`);
    expect((await join()).memberId).toBe(id);
  });

  test('case-42 who asks a member that lags first asks another: it does not know of the addition yet', async () => {
    const cluster = await ofThree(36);
    const leader = await cluster.leader();
    const name = cluster.nameOf(cluster.others(leader)[0]!);
    // Nothing gets into its log, and so nothing is applied.
    cluster.host(name).stalled = true;
    const id = await cluster.add(leader, 'd');
    expect(cluster.member(name).members()).toHaveLength(3);
    const among = [name, ...['a', 'b', 'c', 'd'].filter((each) => each !== name)];
    const joining = cluster.start('d', among, { initialClusterState: 'existing' });
    await cluster.pass(3_000);
    cluster.host(name).stalled = false;
    expect((await joining).memberId).toBe(id);
  });

  test('case-10 case-44 who joins while nobody answers asks again, for a while', async () => {
    const cluster = await ofThree(34);
    const id = await cluster.add(await cluster.leader(), 'd');
    for (const name of ['a', 'b', 'c']) cluster.crash(name);
    const join = () => cluster.start('d', ['a', 'b', 'c', 'd'], { initialClusterState: 'existing' });
    const beganMs = cluster.env.monotonicMs();
    expect(await message(join())).toMatch(/^cannot fetch cluster info from peer urls: /);
    const triedMs = cluster.env.monotonicMs() - beganMs;
    expect(triedMs).toBeGreaterThan(25_000);
    expect(triedMs).toBeLessThan(60_000);
    cluster.crash('d');
    const joining = join();
    for (const name of ['a', 'b', 'c']) await cluster.start(name, ['a', 'b', 'c']);
    expect((await joining).memberId).toBe(id);
  });

  test('case-10 case-45 killed before anything of the log is in the store, members find each other by their logs', async () => {
    const cluster = new SimCluster(35, ['a', 'b', 'c'], { storeLimits: { flushAfterMs: 3_600_000 } });
    await cluster.bootstrap();
    await cluster.pass(6000);
    await cluster.add(await cluster.leader(), 'd');
    const names = ['a', 'b', 'c', 'd'];
    const { memberId } = await cluster.start('d', names, { initialClusterState: 'existing' });
    await cluster.put(await cluster.leader(), 'k', 'v');
    await cluster.settled();
    await cluster.pass(1000);
    for (const name of names) cluster.crash(name);
    // Whoever starts them says what is true by now: the cluster exists. And one after the other, nobody is there to be asked.
    for (const name of names) await cluster.start(name, names, { initialClusterState: 'existing' });
    await cluster.leader();
    expect(await cluster.get(cluster.member('d'), 'k')).toBe('v');
    expect(cluster.member('d').memberId).toBe(memberId);
    expect(cluster.member('d').members()).toHaveLength(4);
  });

  test('case-25 a member that lost its data may not take part again under its old id', async () => {
    const cluster = await ofThree(31);
    const name = cluster.nameOf(cluster.others(await cluster.leader())[0]!);
    cluster.crash(name);
    cluster.hosts.delete(name);
    cluster.addHost(name);
    expect(await message(cluster.start(name, ['a', 'b', 'c']))).toMatch(
      /^member [0-9a-f]+ has already been bootstrapped$/,
    );
    const rejoin = cluster.start(name, ['a', 'b', 'c'], { initialClusterState: 'existing' });
    expect(await message(rejoin)).toContain('has already been bootstrapped');
  });

  test('a start of a joining member that was cut short is repeated', async () => {
    const cluster = await ofThree(32);
    const id = await cluster.add(await cluster.leader(), 'd');
    const host = cluster.host('d');
    for (const place of ['startBeforeBootstrap', 'startBeforeReplay']) {
      host.failpoint = (at) => {
        if (at === place) throw new Error('power loss');
      };
      await expect(
        cluster.start('d', ['a', 'b', 'c', 'd'], { initialClusterState: 'existing' }),
      ).rejects.toThrow();
      cluster.crash('d');
    }
    const joined = await cluster.start('d', ['a', 'b', 'c', 'd'], { initialClusterState: 'existing' });
    expect(joined.memberId).toBe(id);
    await cluster.put(await cluster.leader(), 'k', 'v');
    expect(await cluster.get(joined, 'k')).toBe('v');
  });

  test('case-45 force-new-cluster keeps the data and removes everybody else, learners too', async () => {
    const cluster = await ofThree(33);
    const leader = await cluster.leader();
    await cluster.add(leader, 'd', true);
    await cluster.put(leader, 'k', 'v');
    await cluster.settled();
    const name = cluster.nameOf(cluster.others(leader)[0]!);
    for (const each of ['a', 'b', 'c']) cluster.crash(each);
    const alone = await cluster.start(name, [name], { forceNewCluster: true });
    expect(alone.members().map((member) => member.name)).toEqual([name]);
    await cluster.put(alone, 'k2', 'v2');
    expect(await cluster.get(alone, 'k')).toBe('v');
    cluster.crash(name);
    const again = await cluster.start(name, ['a', 'b', 'c']);
    expect(again.members()).toHaveLength(1);
    expect(await cluster.get(again, 'k2')).toBe('v2');
  });

  test.each([
    ['not known to be committed, does not keep it from living', 'cut off'],
    ['committed, is final', 'connected'],
  ] as const)('case-45 force-new-cluster: the removal of the member itself, %s', async (_, how) => {
    const cluster = new SimCluster(34, ['a', 'b', 'c'], { strictReconfigCheck: false });
    await cluster.bootstrap();
    const leader = await cluster.leader();
    const name = cluster.nameOf(leader);
    await cluster.put(leader, 'k', 'before');
    await cluster.settled();
    if (how === 'cut off') {
      const others = cluster.others(leader).map(({ memberId }) => memberId);
      cluster.network.partition([leader.memberId], others);
    }
    const { appliedIndex } = leader;
    leader.cluster.remove(leader.memberId, Number.POSITIVE_INFINITY, () => {});
    leader.propose(put('k', 'after'), 0, Number.POSITIVE_INFINITY, () => {});
    await cluster.pass(60);
    expect(leader.appliedIndex > appliedIndex).toBe(how === 'connected');
    for (const each of ['a', 'b', 'c']) cluster.crash(each);
    const alone = cluster.start(name, [name], { forceNewCluster: true });
    if (how === 'connected') {
      await expect(alone).rejects.toThrow(MemberRemovedError);
      return;
    }
    expect((await alone).members().map((member) => member.name)).toEqual([name]);
    // What it wrote behind the removal stays.
    expect(await cluster.get(await alone, 'k')).toBe('after');
    cluster.crash(name);
    const again = await cluster.start(name, ['a', 'b', 'c']);
    await cluster.put(again, 'k', 'again');
    expect(again.members()).toHaveLength(1);
  });
});
