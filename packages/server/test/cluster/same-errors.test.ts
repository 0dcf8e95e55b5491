/**
 * Every call of every service, on a member in each state: what it answers is the same wherever it is asked, and etcd's.
 */
import { type MethodDescriptor, services } from '@quorate/proto';
import { expect, test } from 'vitest';
import type { Member } from '../../src/member.ts';
import { handlersOf } from '../support/cluster-clients.ts';
import { callBytes, callStream, type Headers } from '../support/direct-calls.ts';
import { SimCluster } from '../support/sim-cluster.ts';

const key = Buffer.from('k');
const { KV, Watch, Lease, Cluster, Maintenance } = {
  KV: services['etcdserverpb.KV'],
  Watch: services['etcdserverpb.Watch'],
  Lease: services['etcdserverpb.Lease'],
  Cluster: services['etcdserverpb.Cluster'],
  Maintenance: services['etcdserverpb.Maintenance'],
};
const Lock = services['v3lockpb.Lock'];
const Election = services['v3electionpb.Election'];
const Health = services['grpc.health.v1.Health'];
const leaderKey = { name: key, key: Buffer.from('k/7'), rev: 2n, lease: 7n };

const ANSWER = {
  ok: 'OK',
  open: 'open',
  write: '4 context deadline exceeded',
  read: '14 etcdserver: request timed out',
  noLeader: '14 etcdserver: no leader',
  stopped: '14 etcdserver: server stopped',
  learner: '9 etcdserver: rpc not supported for learner',
} as const;

interface Row {
  readonly method: MethodDescriptor<unknown, unknown>;
  readonly request: Uint8Array;
}

function row<Request, Response>(
  method: MethodDescriptor<Request, Response>,
  request: Parameters<MethodDescriptor<Request, Response>['request']['encode']>[0],
): Row {
  return { method: method as never, request: method.request.encode(request) };
}

const ROWS: readonly Row[] = [
  row(KV.Range, { key }),
  row(KV.RangeStream, { key }),
  row(KV.Put, { key, value: key }),
  row(KV.DeleteRange, { key }),
  row(KV.Txn, { success: [{ requestPut: { key } }] }),
  row(KV.Txn, { success: [{ requestRange: { key } }] }),
  row(KV.Compact, { revision: 1n }),
  row(Watch.Watch, { createRequest: { key } }),
  row(Lease.LeaseGrant, { TTL: 60n }),
  row(Lease.LeaseRevoke, { ID: 7n }),
  row(Lease.LeaseKeepAlive, { ID: 7n }),
  row(Lease.LeaseTimeToLive, { ID: 7n }),
  row(Lease.LeaseLeases, {}),
  row(Cluster.MemberAdd, { peerURLs: ['http://x:2380'] }),
  row(Cluster.MemberRemove, { ID: 9n }),
  row(Cluster.MemberUpdate, { ID: 9n, peerURLs: ['http://x:2380'] }),
  row(Cluster.MemberPromote, { ID: 9n }),
  row(Cluster.MemberList, { linearizable: true }),
  row(Cluster.MemberList, {}),
  row(Maintenance.Alarm, { action: 0 }),
  row(Maintenance.Alarm, { action: 1, memberID: 9n, alarm: 1 }),
  row(Maintenance.Status, {}),
  row(Maintenance.Defragment, {}),
  row(Maintenance.Hash, {}),
  row(Maintenance.HashKV, {}),
  row(Maintenance.MoveLeader, { targetID: 9n }),
  row(Maintenance.Downgrade, { action: 0, version: '3.6' }),
  row(Lock.Lock, { name: key, lease: 7n }),
  row(Lock.Unlock, { key }),
  row(Election.Campaign, { name: key, lease: 7n, value: key }),
  row(Election.Proclaim, { leader: leaderKey, value: key }),
  row(Election.Leader, { name: key }),
  row(Election.Observe, { name: key }),
  row(Election.Resign, { leader: leaderKey }),
  row(Health.Check, {}),
  row(Health.List, {}),
  row(Health.Watch, {}),
];

const nameOf = ({ method }: Row): string => method.path.split('.').at(-1)!;

/** What a call comes to; a stream that goes on for 20 seconds is open. */
async function outcome(cluster: SimCluster, member: Member, row: Row, headers: Headers): Promise<string> {
  const handlers = handlersOf(member);
  const { path } = row.method;
  let ended: string | null = null;
  const done = (status: number, message: string): void => {
    ended = status === 0 ? 'OK' : `${status} ${message}`;
  };
  if (handlers.get(path)!.kind === 'unary') {
    void callBytes(handlers, path, row.request, headers).then((answer) =>
      done(answer.status, answer.message),
    );
  } else {
    void callStream(handlers, path, [row.request], { headers, halfClose: false }).then((answer) =>
      done(answer.status, answer.message),
    );
  }
  const limitMs = cluster.env.monotonicMs() + 20_000;
  await cluster.eventually(() => ended !== null || cluster.env.monotonicMs() > limitMs);
  return ended ?? 'open';
}

async function table(
  cluster: SimCluster,
  member: Member,
  headers: Headers = {},
): Promise<Record<string, string>> {
  const answers: Record<string, string> = {};
  for (const [at, row] of ROWS.entries()) {
    const twin = ROWS.findIndex(({ method }) => method === row.method) < at ? ' (2)' : '';
    answers[nameOf(row) + twin] = await outcome(cluster, member, row, headers);
  }
  return answers;
}

/** One member without a leader, the other two gone; and a learner of a cluster that works. */
async function members(seed: number): Promise<{ cluster: SimCluster; alone: Member; learner: Member }> {
  const cluster = new SimCluster(seed, ['a', 'b', 'c']);
  await cluster.bootstrap();
  await cluster.pass(6000);
  const leader = await cluster.leader();
  await cluster.propose(leader, { kind: 'lease-grant', id: 7n, ttlSec: 3600 });
  await cluster.add(leader, 'd', true);
  const learner = await cluster.start('d', ['a', 'b', 'c', 'd'], { initialClusterState: 'existing' });
  await cluster.settled();
  const [alone, other] = cluster.others(leader).filter((member) => member !== learner);
  cluster.crash(cluster.nameOf(leader));
  cluster.crash(cluster.nameOf(other!));
  await cluster.eventually(() => alone!.leader === 0n && learner.leader === 0n);
  return { cluster, alone: alone!, learner };
}

const everywhere = (answer: string): Record<string, string> =>
  Object.fromEntries(
    ROWS.map((row, at) => {
      const twin = ROWS.findIndex(({ method }) => method === row.method) < at ? ' (2)' : '';
      return [nameOf(row) + twin, answer];
    }),
  );

test('the table has every call but those of authentication', () => {
  const asked = new Set(ROWS.map(({ method }) => method.path));
  asked.add(Maintenance.Snapshot.path);
  const all = Object.entries(services).filter(([name]) => !/Auth$|reflection/.test(name));
  const paths = all.flatMap(([, methods]) => Object.values(methods).map(({ path }) => path));
  expect(paths.filter((path) => !asked.has(path))).toEqual([]);
});

test('sem-168 sem-169 err-ErrGRPCNotSupportedForLearner a learner, with a leader and without', async () => {
  const { cluster, learner } = await members(1);
  const refused = { ...everywhere(ANSWER.learner), 'Maintenance/Status': ANSWER.ok };
  expect(await table(cluster, learner)).toEqual(refused);
  const local = row(KV.Range, { key, serializable: true });
  expect(await outcome(cluster, learner, local, {})).toBe('OK');
  expect(await outcome(cluster, learner, local, { hasleader: 'true' })).toBe(ANSWER.noLeader);
});

test('sem-007 sem-008 err-ErrGRPCNoLeader without a leader, for callers that insist on one', async () => {
  const { cluster, alone } = await members(2);
  expect(await table(cluster, alone, { hasleader: 'true' })).toEqual(everywhere(ANSWER.noLeader));
});

test('sem-009 sem-016 without a leader, for callers that do not', async () => {
  const { cluster, alone } = await members(3);
  expect(await table(cluster, alone)).toEqual({
    'KV/Range': ANSWER.read,
    'KV/RangeStream': ANSWER.read,
    'KV/Put': ANSWER.write,
    'KV/DeleteRange': ANSWER.write,
    'KV/Txn': ANSWER.write,
    'KV/Txn (2)': ANSWER.read,
    'KV/Compact': ANSWER.write,
    'Watch/Watch': ANSWER.open,
    'Lease/LeaseGrant': ANSWER.write,
    'Lease/LeaseRevoke': ANSWER.write,
    'Lease/LeaseKeepAlive': ANSWER.noLeader,
    'Lease/LeaseTimeToLive': ANSWER.noLeader,
    'Lease/LeaseLeases': ANSWER.ok,
    'Cluster/MemberAdd': '14 etcdserver: unhealthy cluster',
    'Cluster/MemberRemove': ANSWER.write,
    'Cluster/MemberUpdate': ANSWER.write,
    'Cluster/MemberPromote': ANSWER.noLeader,
    'Cluster/MemberList': ANSWER.read,
    'Cluster/MemberList (2)': ANSWER.ok,
    'Maintenance/Alarm': ANSWER.write,
    'Maintenance/Alarm (2)': ANSWER.write,
    'Maintenance/Status': ANSWER.ok,
    'Maintenance/Defragment': ANSWER.ok,
    'Maintenance/Hash': ANSWER.ok,
    'Maintenance/HashKV': ANSWER.ok,
    'Maintenance/MoveLeader': '9 etcdserver: not leader',
    'Maintenance/Downgrade': ANSWER.read,
    // Their server talks to the others as a client: every error is UNKNOWN, with its text.
    'Lock/Lock': '2 context deadline exceeded',
    'Lock/Unlock': '2 context deadline exceeded',
    'Election/Campaign': '2 context deadline exceeded',
    'Election/Proclaim': '2 context deadline exceeded',
    'Election/Leader': '2 etcdserver: request timed out',
    'Election/Observe': '2 etcdserver: request timed out',
    'Election/Resign': '2 context deadline exceeded',
    'Health/Check': ANSWER.ok,
    'Health/List': ANSWER.ok,
    'Health/Watch': ANSWER.open,
  });
});

test('err-ErrGRPCStopped a member that has stopped, whatever the caller insists on', async () => {
  const { cluster, alone } = await members(4);
  // What is open when it stops ends, too.
  const waiting = ROWS.filter(({ method }) => handlersOf(alone).get(method.path)?.kind === 'unary').map(
    (row) => callBytes(handlersOf(alone), row.method.path, row.request),
  );
  await cluster.until(alone.stop());
  const answers = await cluster.until(Promise.all(waiting));
  expect(answers.filter(({ status }) => status !== 0).length).toBeGreaterThan(10);
  expect(await table(cluster, alone)).toEqual(everywhere(ANSWER.stopped));
  expect(await table(cluster, alone, { hasleader: 'true' })).toEqual(everywhere(ANSWER.stopped));
});
