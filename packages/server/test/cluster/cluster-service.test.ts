/** The Cluster and Maintenance services of whole clusters, as callers see them: answers, statuses and texts. */
import { DowngradeRequest_DowngradeAction as DowngradeAction, services } from '@quorate/proto';
import { describe, expect, test } from 'vitest';
import { createServices } from '../../src/api/services.ts';
import type { Member } from '../../src/member.ts';
import { TestStreamCall } from '../support/calls.ts';
import { call, callBytes } from '../support/direct-calls.ts';
import { SimCluster } from '../support/sim-cluster.ts';

const Cluster = services['etcdserverpb.Cluster'];
const Maintenance = services['etcdserverpb.Maintenance'];
const KV = services['etcdserverpb.KV'];

async function ofThree(seed: number): Promise<{ cluster: SimCluster; leader: Member }> {
  const cluster = new SimCluster(seed, ['a', 'b', 'c']);
  await cluster.bootstrap();
  await cluster.pass(6000);
  return { cluster, leader: await cluster.leader() };
}

const handlersOf = (member: Member) => createServices(member).handlers;

/** Status and text of a refusal. */
const refusal = (answer: Promise<unknown>): Promise<[number, string] | 'no refusal'> =>
  answer.then(
    () => 'no refusal',
    (error) => [error.status, error.message],
  );

describe('Cluster', () => {
  test('sem-161 sem-170 sem-003 members are added, listed in order of id, updated and removed', async () => {
    const { cluster, leader } = await ofThree(1);
    const handlers = handlersOf(cluster.others(leader)[0]!);
    const added = await cluster.until(
      call(handlers, Cluster.MemberAdd, { peerURLs: ['http://e:2380', 'http://d:2380'], isLearner: true }),
    );
    expect(added.member).toMatchObject({
      name: '',
      peerURLs: ['http://d:2380', 'http://e:2380'],
      isLearner: true,
    });
    expect(added.members).toHaveLength(4);
    expect(added.header?.revision).toBe(0n);
    const ID = added.member!.ID;
    const updated = await cluster.until(
      call(handlers, Cluster.MemberUpdate, { ID, peerURLs: ['http://f:2380'] }),
    );
    expect(updated.members.find((member) => member.ID === ID)?.peerURLs).toEqual(['http://f:2380']);
    const removed = await cluster.until(call(handlers, Cluster.MemberRemove, { ID }));
    expect(removed.members).toHaveLength(3);
    const { members } = await cluster.until(call(handlers, Cluster.MemberList, { linearizable: true }));
    expect(members.map((member) => member.ID)).toEqual(
      members.map((member) => member.ID).toSorted((a, b) => (a < b ? -1 : 1)),
    );
    expect(members.map((member) => member.name).toSorted()).toEqual(['a', 'b', 'c']);
  });

  test.each([
    [[], 'err-ErrGRPCMemberBadURLs none'],
    [['not a url'], 'no URL'],
    [['ftp://a:1'], 'another scheme'],
    [['http://a'], 'no port'],
    [['http://a:1/path'], 'a path'],
  ])('err-ErrGRPCMemberBadURLs sem-161 %j is no list of peer URLs', async (peerURLs) => {
    const cluster = new SimCluster(2, ['a']);
    await cluster.bootstrap();
    const answer = call(handlersOf(cluster.member('a')), Cluster.MemberAdd, { peerURLs });
    expect(await refusal(cluster.until(answer))).toEqual([3, 'etcdserver: given member URLs are invalid']);
  });

  test('err-ErrGRPCMemberNotFound err-ErrGRPCMemberNotLearner err-ErrGRPCLearnerNotReady err-ErrGRPCTooManyLearners texts', async () => {
    const { cluster, leader } = await ofThree(3);
    const handlers = handlersOf(leader);
    const ask = (answer: Promise<unknown>) => refusal(cluster.until(answer));
    expect(await ask(call(handlers, Cluster.MemberRemove, { ID: 1n }))).toEqual([
      5,
      'etcdserver: member not found',
    ]);
    expect(await ask(call(handlers, Cluster.MemberPromote, { ID: leader.memberId }))).toEqual([
      9,
      'etcdserver: can only promote a learner member',
    ]);
    const { member } = await cluster.until(
      call(handlers, Cluster.MemberAdd, { peerURLs: ['http://d:2380'], isLearner: true }),
    );
    expect(await ask(call(handlers, Cluster.MemberPromote, { ID: member!.ID }))).toEqual([
      9,
      'etcdserver: can only promote a learner member which is in sync with leader',
    ]);
    expect(
      await ask(call(handlers, Cluster.MemberAdd, { peerURLs: ['http://e:2380'], isLearner: true })),
    ).toEqual([9, 'etcdserver: too many learner members in cluster']);
    expect(await ask(call(handlers, Cluster.MemberAdd, { peerURLs: ['http://a:2380'] }))).toEqual([
      9,
      'etcdserver: Peer URLs already exists',
    ]);
  });
});

describe('Maintenance', () => {
  test('err-ErrGRPCNotLeader err-ErrGRPCBadLeaderTransferee err-errors.ErrTimeoutLeaderTransfer MoveLeader', async () => {
    const { cluster, leader } = await ofThree(10);
    const [target, other] = cluster.others(leader);
    const move = (from: Member, targetID: bigint) =>
      refusal(cluster.until(call(handlersOf(from), Maintenance.MoveLeader, { targetID })));
    expect(await move(other!, target!.memberId)).toEqual([9, 'etcdserver: not leader']);
    expect(await move(leader, 5n)).toEqual([9, 'etcdserver: bad leader transferee']);
    expect(await move(leader, target!.memberId)).toBe('no refusal');
    expect((await cluster.leader()).memberId).toBe(target!.memberId);
    cluster.crash(cluster.nameOf(other!));
    expect(await move(target!, other!.memberId)).toEqual([
      2,
      'etcdserver: request timed out, leader transfer took too long',
    ]);
  });

  test('sem-194 err-ErrGRPCWrongDowngradeVersionFormat err-ErrGRPCInvalidDowngradeTargetVersion err-ErrGRPCDowngradeInProcess err-errors.ErrUnknownMethod Downgrade', async () => {
    const { cluster, leader } = await ofThree(11);
    const handlers = handlersOf(leader);
    await cluster.eventually(() => leader.clusterVersion === '3.7.0');
    const downgrade = (action: number, version: string) =>
      cluster.until(call(handlers, Maintenance.Downgrade, { action, version }));
    const { VALIDATE, ENABLE, CANCEL } = DowngradeAction;
    expect(await refusal(downgrade(VALIDATE, '3'))).toEqual([
      3,
      'etcdserver: wrong downgrade target version format',
    ]);
    expect(await refusal(downgrade(ENABLE, '3.5'))).toEqual([
      3,
      'etcdserver: invalid downgrade target version',
    ]);
    expect(await refusal(downgrade(9, '3.6'))).toEqual([2, 'etcdserver: unknown method']);
    expect((await downgrade(VALIDATE, '3.6.0')).version).toBe('3.7');
    expect((await downgrade(ENABLE, '3.6')).version).toBe('3.7');
    expect(await refusal(downgrade(ENABLE, '3.6'))).not.toBe('no refusal');
    const status = await cluster.until(call(handlers, Maintenance.Status, {}));
    expect(status.downgradeInfo).toEqual({ enabled: true, targetVersion: '3.6.0' });
    await downgrade(CANCEL, '');
    expect((await cluster.until(call(handlers, Maintenance.Status, {}))).downgradeInfo?.enabled).toBe(false);
  });

  test('err-ErrGRPCClusterVersionUnavailable err-ErrGRPCDowngradeInProcess a downgrade needs a version, and is begun once', async () => {
    const cluster = new SimCluster(12, ['a', 'b', 'c']);
    await cluster.bootstrap();
    const leader = await cluster.leader();
    const handlers = handlersOf(leader);
    const enable = () =>
      refusal(
        cluster.until(
          call(handlers, Maintenance.Downgrade, { action: DowngradeAction.ENABLE, version: '3.6' }),
        ),
      );
    expect(leader.clusterVersion).toBeNull();
    expect(await enable()).toEqual([9, 'etcdserver: cluster version not found during downgrade']);
    await cluster.eventually(() => leader.clusterVersion === '3.7.0');
    expect(await enable()).toBe('no refusal');
    // The next one below is another matter, and still one at a time.
    await cluster.eventually(() => leader.clusterVersion === '3.6.0');
    const again = call(handlers, Maintenance.Downgrade, { action: DowngradeAction.ENABLE, version: '3.5' });
    expect(await refusal(cluster.until(again))).toEqual([
      9,
      'etcdserver: cluster has a downgrade job in progress',
    ]);
  });
});

describe('a learner', () => {
  test('err-ErrGRPCNotSupportedForLearner sem-168 sem-169 answers status and serializable ranges, nothing else', async () => {
    const { cluster, leader } = await ofThree(20);
    await cluster.put(leader, 'k', 'v');
    await cluster.add(leader, 'd', true);
    const learner = await cluster.start('d', ['a', 'b', 'c', 'd'], { initialClusterState: 'existing' });
    await cluster.settled();
    const handlers = handlersOf(learner);
    const status = await cluster.until(call(handlers, Maintenance.Status, {}));
    expect(status).toMatchObject({ isLearner: true, leader: leader.memberId });
    const key = Buffer.from('k');
    const range = await cluster.until(call(handlers, KV.Range, { key, serializable: true }));
    expect(Buffer.from(range.kvs[0]!.value).toString()).toBe('v');
    const refused = [9, 'etcdserver: rpc not supported for learner'];
    expect(await refusal(cluster.until(call(handlers, KV.Range, { key })))).toEqual(refused);
    let count = 0;
    for (const [path, handler] of handlers) {
      if (handler.kind !== 'unary' || path === Maintenance.Status.path) continue;
      const answer = await cluster.until(callBytes(handlers, path, new Uint8Array(0)));
      expect([path, answer.status, answer.message]).toEqual([path, ...refused]);
      count++;
    }
    expect(count).toBeGreaterThan(20);
    for (const [path, handler] of handlers) {
      if (handler.kind !== 'stream' || path === Maintenance.Snapshot.path) continue;
      const stream = new TestStreamCall(path, {}).open(handler);
      expect([path, stream.ended]).toEqual([path, { status: refused[0], message: refused[1] }]);
    }
  });
});
