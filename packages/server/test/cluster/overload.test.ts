/** Too much of everything: full databases, slow disks, members that do not keep up, large transactions. */
import { services } from '@quorate/proto';
import { describe, expect, test } from 'vitest';
import { DomainError } from '../../src/errors.ts';
import type { Member } from '../../src/member.ts';
import type { MemberConfig } from '../../src/member-config.ts';
import type { Operation } from '../../src/operations.ts';
import { ask, handlersOf, KeepAlive, refusalOf } from '../support/cluster-clients.ts';
import { SimCluster } from '../support/sim-cluster.ts';
import { put } from '../support/sim-member.ts';

const KV = services['etcdserverpb.KV'];
const Lease = services['etcdserverpb.Lease'];
const Maintenance = services['etcdserverpb.Maintenance'];
const NO_SPACE = 1;

async function ofThree(
  seed: number,
  configs: readonly Partial<MemberConfig>[] = [],
): Promise<{ cluster: SimCluster; leader: Member; followers: readonly [Member, Member] }> {
  const names = ['a', 'b', 'c'];
  const cluster = new SimCluster(seed, names);
  for (const [at, name] of names.entries()) await cluster.start(name, names, configs[at] ?? {});
  await cluster.pass(3000);
  const leader = await cluster.leader();
  for (const member of cluster.running) handlersOf(member);
  const [one, other] = cluster.others(leader);
  return { cluster, leader, followers: [one!, other!] };
}

describe('space', () => {
  test('case-19 sem-176 sem-178 sem-181 err-ErrGRPCNoSpace one full member stops all that needs room, everywhere, until somebody clears it', async () => {
    // One member alone has the small quota; it is asked, and all hear of it.
    const { cluster, leader, followers } = await ofThree(1, [{ quotaBytes: 300_000 }]);
    const small = cluster.member('a');
    const others = [leader, ...followers].filter((member) => member !== small);
    await cluster.propose(leader, { kind: 'lease-grant', id: 7n, ttlSec: 3600 });
    const value = Buffer.alloc(20_000, 1);
    const full: [number, string] = [8, 'etcdserver: mvcc: database space exceeded'];
    let refused: unknown = 'no refusal';
    for (let n = 0; n < 60 && refused === 'no refusal'; n++) {
      refused = await refusalOf(ask(cluster, small, KV.Put, { key: Buffer.from(`k${n}`), value }));
    }
    expect(refused).toEqual(full);
    await cluster.settled();
    const alarm = { memberID: small.memberId, alarm: NO_SPACE };
    for (const member of [small, ...others]) {
      expect(await refusalOf(ask(cluster, member, KV.Put, { key: Buffer.from('x') }))).toEqual(full);
      const txn = { success: [{ requestPut: { key: Buffer.from('x') } }] };
      expect(await refusalOf(ask(cluster, member, KV.Txn, txn))).toEqual(full);
      expect(await refusalOf(ask(cluster, member, Lease.LeaseGrant, { TTL: 60n }))).toEqual(full);
      const { alarms } = await ask(cluster, member, Maintenance.Alarm, { action: 0 });
      expect(alarms).toMatchObject([alarm]);
      // Reads, deletions, compactions, revocations and renewals go on.
      expect((await ask(cluster, member, KV.Range, { key: Buffer.from('k0') })).kvs.length).toBeLessThan(2);
      expect(await new KeepAlive(cluster, member).renew(7n)).toBe(3600n);
    }
    await ask(cluster, others[0]!, KV.DeleteRange, { key: Buffer.from('k'), rangeEnd: Buffer.from('l') });
    await ask(cluster, others[0]!, KV.Compact, { revision: BigInt(others[0]!.store.revision) });
    await ask(cluster, others[1]!, Lease.LeaseRevoke, { ID: 7n });
    // Freed space clears nothing; a member that restarts knows the alarm (sem-179).
    const restarted = cluster.nameOf(followers[1]);
    cluster.crash(restarted);
    const again = await cluster.start(restarted);
    expect(again.alarms()).toEqual([{ memberId: small.memberId, alarm: NO_SPACE }]);
    const anyone = cluster.running.find((member) => member !== small)!;
    await ask(cluster, anyone, Maintenance.Alarm, { action: 2, ...alarm });
    await ask(cluster, anyone, KV.Put, { key: Buffer.from('x') });
  });
});

describe('a slow member', () => {
  test('case-21 a follower whose disk hangs holds up nobody, and catches up', async () => {
    const { cluster, leader, followers } = await ofThree(2);
    const host = cluster.host(cluster.nameOf(followers[0]));
    host.stalled = true;
    const beganMs = cluster.env.monotonicMs();
    for (let n = 0; n < 50; n++) await cluster.put(leader, `k${n}`, 'v');
    expect(cluster.env.monotonicMs() - beganMs).toBeLessThan(50 * 25);
    expect(await cluster.get(followers[1], 'k49')).toBe('v');
    expect((await cluster.leader()).memberId).toBe(leader.memberId);
    host.stalled = false;
    await cluster.settled();
    expect(await cluster.get(followers[0], 'k49')).toBe('v');
  });

  test('case-21 a leader with a slow disk keeps its leases and its heartbeats', async () => {
    const { cluster, leader, followers } = await ofThree(3);
    await cluster.propose(leader, { kind: 'lease-grant', id: 7n, ttlSec: 2 });
    cluster.host(cluster.nameOf(leader)).diskDelayMs = 400;
    const { term } = leader;
    const keepAlive = new KeepAlive(cluster, followers[0]);
    for (let n = 0; n < 20; n++) {
      leader.propose(put(`k${n}`, 'v'), 0, Number.POSITIVE_INFINITY, () => {});
      await cluster.pass(300);
      expect(await keepAlive.renew(7n)).toBe(2n);
    }
    expect(leader.term).toBe(term);
    await cluster.settled();
    expect(await cluster.get(followers[1], 'k19')).toBe('v');
  });

  test('sem-017 sem-010 err-ErrGRPCTimeout a leader whose majority hangs times requests out and stays the leader', async () => {
    const { cluster, leader, followers } = await ofThree(4);
    for (const member of followers) cluster.host(cluster.nameOf(member)).stalled = true;
    const write = cluster.put(leader, 'k', 'v');
    await expect(write).rejects.toMatchObject({ code: 'REQUEST_TIMED_OUT' });
    for (const member of followers) cluster.host(cluster.nameOf(member)).stalled = false;
    await cluster.put(leader, 'k', 'v2');
  });

  test('sem-017 err-ErrGRPCTimeoutDueToLeaderFail what a lost leader had taken fails for that reason', async () => {
    const { cluster, leader, followers } = await ofThree(5);
    const asked = followers[0];
    // The entry reaches the leader and nobody else.
    const passedOn = cluster.put(asked, 'k', 'v');
    const outcome = passedOn.then(
      () => 'written',
      (error: DomainError) => error.code,
    );
    cluster.network.cut(leader.memberId, followers[0].memberId);
    cluster.network.cut(leader.memberId, followers[1].memberId);
    expect(await outcome).toBe('TIMEOUT_DUE_TO_LEADER_FAIL');
  });
});

describe('load', () => {
  test('sem-013 err-ErrGRPCRequestTooManyRequests when applying lags, new proposals are refused and reads of local data are not', async () => {
    const { cluster, leader } = await ofThree(6);
    const { store } = leader;
    const begin = store.begin.bind(store);
    let busy = true;
    const { StoreBusyError } = await import('@quorate/mvcc');
    store.begin = (index, term) => {
      if (busy) throw new StoreBusyError('full');
      return begin(index, term);
    };
    const codes = new Map<string, number>();
    let answered = 0;
    for (let n = 0; n < 7_000; n++) {
      leader.propose(put('k', `${n}`), 0, Number.POSITIVE_INFINITY, (error) => {
        const code = error instanceof DomainError ? error.code : 'written';
        codes.set(code, (codes.get(code) ?? 0) + 1);
        answered++;
      });
      if (n % 100 === 99) await cluster.pass(10);
    }
    expect(codes.get('TOO_MANY_REQUESTS')).toBeGreaterThan(500);
    expect(codes.get('written')).toBeUndefined();
    // The end of a lease is let in all the same.
    let expiry: unknown = 'waits';
    const expire = { kind: 'lease-expire', id: 7n, grantIndex: 1, term: leader.term } as const;
    leader.propose(expire, 0, Number.POSITIVE_INFINITY, (error) => {
      expiry = (error as DomainError | null)?.code;
    });
    expect(expiry).toBe('waits');
    const range = { key: Buffer.from('k'), serializable: true };
    expect((await ask(cluster, leader, KV.Range, range)).count).toBe(0n);
    expect((await cluster.leader()).memberId).toBe(leader.memberId);
    busy = false;
    await cluster.eventually(() => answered === 7_000);
    await cluster.settled();
    expect(codes.get('written')).toBeGreaterThan(4_000);
  });

  test('case-55 case-68 thousands of expiries and large transactions: heartbeats, renewals and small writes get their turn', async () => {
    const { cluster, leader, followers } = await ofThree(7);
    const { term } = leader;
    for (let id = 100n; id < 3_100n; id++) {
      leader.propose({ kind: 'lease-grant', id, ttlSec: 2 }, 0, Number.POSITIVE_INFINITY, () => {});
    }
    await cluster.propose(leader, { kind: 'lease-grant', id: 7n, ttlSec: 2 });
    const large: Operation = {
      kind: 'txn',
      compare: [],
      success: Array.from({ length: 128 }, (_, n) => ({ ...put(`large${n}`, 'v'.repeat(300)) })),
      failure: [],
    };
    const keepAlive = new KeepAlive(cluster, followers[0]);
    // Work takes time: whoever watches it gives way.
    cluster.env.costPerLookMs = 0.02;
    let slowestMs = 0;
    for (let round = 0; round < 15; round++) {
      for (let n = 0; n < 3; n++) leader.propose(large, 0, Number.POSITIVE_INFINITY, () => {});
      const beganMs = cluster.env.monotonicMs();
      await cluster.put(followers[1], 'small', `${round}`);
      slowestMs = Math.max(slowestMs, cluster.env.monotonicMs() - beganMs);
      expect(await keepAlive.renew(7n)).toBe(2n);
      await cluster.pass(100);
    }
    expect(slowestMs).toBeLessThan(300);
    expect(leader.term).toBe(term);
    cluster.env.costPerLookMs = 0;
    await cluster.eventually(() => leader.lessor.list().length === 0);
  });
});
