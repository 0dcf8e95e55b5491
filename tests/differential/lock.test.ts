/**
 * The services of locks and elections on ours and on the real etcd: same requests, same codes, texts and messages. What may differ
 * is only what a server chooses: ids of leases that nobody named.
 */
import { type Init, type MethodDescriptor, services } from '@quorate/proto';
import { findProgram, type ServerProcess, startEtcd, startQuorate } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Endpoint } from './exchange.ts';

const installed = findProgram('etcd') !== null;
if (!installed) console.warn('SKIPPED: etcd is not installed, so locks were not compared with it');

const { Lock, Unlock } = services['v3lockpb.Lock'];
const { Campaign, Proclaim, Leader, Resign } = services['v3electionpb.Election'];
const { Range, Put, DeleteRange } = services['etcdserverpb.KV'];
const { LeaseGrant, LeaseRevoke, LeaseLeases } = services['etcdserverpb.Lease'];
const b = (text: string) => Buffer.from(text, 'latin1');

interface Step {
  readonly method: MethodDescriptor<unknown, unknown>;
  readonly request: Readonly<Record<string, unknown>>;
}
const step = <Q, R>(method: MethodDescriptor<Q, R>, request: Init<Q>): Step => ({
  method: method as MethodDescriptor<unknown, unknown>,
  request: request as Readonly<Record<string, unknown>>,
});
const grant = (id: number) => step(LeaseGrant, { ID: BigInt(id), TTL: 600n });
const revoke = (id: number) => step(LeaseRevoke, { ID: BigInt(id) });
const under = (name: string) => step(Range, { key: b(`${name}/`), rangeEnd: b(`${name}0`) });
const lock = (name: string, lease: number) => step(Lock, { name: b(name), lease: BigInt(lease) });
const unlock = (key: string) => step(Unlock, { key: b(key) });
const campaign = (name: string, lease: number, value: string) =>
  step(Campaign, { name: b(name), lease: BigInt(lease), value: b(value) });
const leaderKey = (name: string, lease: number, rev: number) => ({
  name: b(name),
  key: b(`${name}/${lease.toString(16)}`),
  rev: BigInt(rev),
  lease: BigInt(lease),
});

/** One history; revisions begin at 1 on both. */
const steps: readonly Step[] = [
  grant(0x1a),
  grant(0x2b),
  lock('a', 0x1a),
  under('a'),
  lock('a', 0x1a),
  lock('', 0x1a),
  lock('with/slash/', 0x1a),
  lock('\xff\x00', 0x1a),
  lock('b', 0x77),
  under('b'),
  unlock('a/1a'),
  unlock('a/1a'),
  unlock('nothing'),
  unlock(''),
  lock('a', 0x2b),
  revoke(0x2b),
  under('a'),
  // A key put there by hand is a holder like any other, and a key of one's own may have a value.
  step(Put, { key: b('hand/1a'), value: b('v') }),
  lock('hand', 0x1a),
  step(Leader, { name: b('e') }),
  campaign('e', 0x1a, 'one'),
  step(Leader, { name: b('e') }),
  campaign('e', 0x1a, 'one'),
  campaign('e', 0x1a, 'two'),
  under('e'),
  campaign('e', 0x77, 'x'),
  step(Proclaim, { value: b('x') }),
  step(Resign, {}),
  step(Proclaim, { leader: leaderKey('e', 0x1a, 1), value: b('no') }),
  step(Proclaim, { leader: leaderKey('none', 0x1a, 3), value: b('no') }),
  step(Resign, { leader: leaderKey('e', 0x1a, 1) }),
  step(Leader, { name: b('e') }),
  step(Leader, { name: b('') }),
  step(DeleteRange, { key: b('e/1a') }),
  step(Leader, { name: b('e') }),
  campaign('r', 0x1a, ''),
  step(Leader, { name: b('r') }),
];

describe.skipIf(!installed)('locks and elections: same requests, same answers as etcd', () => {
  let processes: ServerProcess[] = [];
  let ours: Endpoint;
  let theirs: Endpoint;
  beforeAll(async () => {
    processes = await Promise.all([startQuorate(), startEtcd()]);
    [ours, theirs] = processes.map((server) => new Endpoint(server.name, server.endpoint)) as [
      Endpoint,
      Endpoint,
    ];
  }, 60_000);
  afterAll(async () => {
    ours?.close();
    theirs?.close();
    await Promise.all(processes.map((server) => server.stop()));
  });

  async function answer(endpoint: Endpoint, { method, request }: Step): Promise<unknown> {
    const result = await endpoint.callBytes(method.path, method.request.encode(request as Init<unknown>));
    if (!result.ok) return result;
    const response = method.response.decode(result.bytes) as { header?: Record<string, unknown> };
    const { clusterId: _cluster, memberId: _member, raftTerm: _term, ...header } = response.header ?? {};
    return plain({ ...response, header });
  }

  it('sem-199 sem-201 sem-202 sem-204 sem-205 one history, step by step', async () => {
    for (const [index, one] of steps.entries()) {
      const [our, their] = await Promise.all([answer(ours, one), answer(theirs, one)]);
      expect(our, `step ${index}: ${one.method.path} ${JSON.stringify(plain(one.request))}`).toEqual(their);
    }
  });

  it('sem-205 Proclaim and Resign by the leader itself', async () => {
    const outcomes = await Promise.all(
      [ours, theirs].map(async (endpoint) => {
        const one = campaign('self', 0x1a, 'v');
        const bytes = one.method.request.encode(one.request as Init<unknown>);
        const result = await endpoint.callBytes(one.method.path, bytes);
        if (!result.ok) throw new Error(result.message);
        const { leader } = Campaign.response.decode(result.bytes);
        return [
          await answer(endpoint, step(Proclaim, { leader, value: b('w') })),
          await answer(endpoint, step(Leader, { name: b('self') })),
          await answer(endpoint, step(Resign, { leader })),
          await answer(endpoint, step(Resign, { leader })),
          await answer(endpoint, step(Leader, { name: b('self') })),
        ];
      }),
    );
    expect(outcomes[0]).toEqual(outcomes[1]);
  });

  it('sem-200 lease 0 grants one lease of sixty seconds on both', async () => {
    const before = await Promise.all(
      [ours, theirs].map((endpoint) => answer(endpoint, step(LeaseLeases, {}))),
    );
    const keys = await Promise.all([ours, theirs].map((endpoint) => answer(endpoint, lock('zero', 0))));
    const after = await Promise.all(
      [ours, theirs].map((endpoint) => answer(endpoint, step(LeaseLeases, {}))),
    );
    const count = (value: unknown) => (value as { leases: unknown[] }).leases.length;
    expect(after.map(count)).toEqual(before.map((value) => count(value) + 1));
    for (const key of keys) expect(key).toMatchObject({ key: expect.stringMatching(/^zero\/[0-9a-f]+$/) });
  });
});

/** Messages as plain values: bytes as text, numbers as text. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
  if (typeof value === 'bigint') return `${value}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
  }
  return value;
}
