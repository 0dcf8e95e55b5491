/**
 * Leases on a virtual clock: when they end, how they are renewed, and what survives a restart or a change of leader.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { DomainError } from '../../src/errors.ts';
import { LeaseWorld } from '../support/lease-world.ts';

let world: LeaseWorld;

beforeEach(() => {
  world = new LeaseWorld();
  world.lessor.promote(0);
});

describe('granting and revoking', () => {
  it('sem-083 sem-084 err-ErrGRPCLeaseExist err-ErrGRPCLeaseTTLTooLarge', () => {
    world.grant(7n, 10);
    expect(world.refusal({ kind: 'lease-grant', id: 7n, ttlSec: 10 })).toBe('LEASE_EXIST');
    expect(world.refusal({ kind: 'lease-grant', id: 7n, ttlSec: 9_000_000_001 })).toBe('LEASE_TTL_TOO_LARGE');
    world.grant(8n, 9_000_000_000);
    world.grant(-5n, 10);
    expect(world.lessor.view(-5n)).toEqual({ id: -5n, grantedTtlSec: 10, remainingMs: 10_000 });
    expect(world.lessor.view(99n)).toBeNull();
  });

  it('sem-086 granting and revoking leave the revision alone', () => {
    world.grant(7n, 10);
    world.apply({ kind: 'lease-revoke', id: 7n });
    expect(world.store.revision).toBe(1);
  });

  it('sem-087 err-ErrGRPCLeaseNotFound revoking takes all keys in one revision, in order', () => {
    world.grant(7n, 10);
    for (const key of ['c', 'a', 'b']) world.store.put(key, 'v', 7n);
    world.store.put('free');
    world.apply({ kind: 'lease-revoke', id: 7n });
    const last = world.store.history.at(-1)!;
    expect(last.events.map((event) => `${event.type} ${Buffer.from(event.record.key)}`)).toEqual([
      'delete a',
      'delete b',
      'delete c',
    ]);
    expect(world.store.revision).toBe(last.revision);
    expect(world.exists('free')).toBe(true);
    expect(world.refusal({ kind: 'lease-revoke', id: 7n })).toBe('LEASE_NOT_FOUND');
  });

  it('sem-088 sem-051 the latest put decides what is attached', () => {
    world.grant(7n, 10);
    world.grant(8n, 10);
    world.store.put('k', 'v', 7n);
    world.store.put('k', 'v', 8n);
    world.store.put('gone', 'v', 7n);
    world.store.delete('gone');
    world.apply({ kind: 'lease-revoke', id: 7n });
    expect(world.exists('k')).toBe(true);
    world.apply({ kind: 'lease-revoke', id: 8n });
    expect(world.exists('k')).toBe(false);
  });

  it('sem-099 the list is in order of expiry', () => {
    world.grant(1n, 30);
    world.grant(2n, 10);
    world.grant(3n, 20);
    expect(world.lessor.list()).toEqual([2n, 3n, 1n]);
    world.renew(2n);
    world.env.advance(5_000);
    world.renew(3n);
    world.renew(2n);
    expect(world.lessor.list().at(-1)).toBe(1n);
    world.lessor.demote();
    expect(new Set(world.lessor.list())).toEqual(new Set([1n, 2n, 3n]));
  });
});

describe('expiry', () => {
  it('sem-096 never before the TTL, and within milliseconds after it', () => {
    world.grant(7n, 10);
    world.store.put('k', 'v', 7n);
    world.env.advance(9_999.9);
    expect(world.proposed).toEqual([]);
    world.env.advance(0.2);
    expect(world.proposed).toEqual([
      { atMs: 10_000, operation: { kind: 'lease-expire', id: 7n, grantIndex: 1, term: 1 } },
    ]);
    world.env.advance(1);
    expect(world.exists('k')).toBe(false);
    expect(world.lessor.exists(7n)).toBe(false);
  });

  it('sem-096 case-36 the wall clock does not matter', () => {
    world.grant(7n, 10);
    world.env.wallOffsetMs += 3_600_000;
    world.env.advance(9_999);
    world.env.wallOffsetMs -= 7_200_000;
    expect(world.lessor.exists(7n)).toBe(true);
    world.env.advance(3);
    expect(world.lessor.exists(7n)).toBe(false);
  });

  it('sem-089 renewing gives the full TTL from now', () => {
    world.grant(7n, 10);
    world.env.advance(9_000);
    expect(world.renew(7n).answer).toBe(10);
    expect(world.lessor.view(7n)!.remainingMs).toBe(10_000);
    world.env.advance(9_999);
    expect(world.lessor.exists(7n)).toBe(true);
    world.env.advance(3);
    expect(world.lessor.exists(7n)).toBe(false);
  });

  it('a TTL of 285 years fires no timer at once', () => {
    world.grant(7n, 9_000_000_000);
    world.env.advance(86_400_000 * 30);
    expect(world.lessor.exists(7n)).toBe(true);
    expect(world.env.timerCount).toBe(1);
  });

  it('one timer serves all, and none is left without leases', () => {
    for (let id = 1n; id <= 1000n; id++) world.grant(id, 10 + Number(id % 7n));
    expect(world.env.timerCount).toBe(1);
    world.env.advance(20_000);
    expect(world.lessor.list()).toEqual([]);
    world.env.advance(100_000);
    expect(world.env.timerCount).toBe(0);
  });

  it('sem-095 a failed revocation is tried again, and the lease does not come back to life', () => {
    world.grant(7n, 10);
    world.failure = new DomainError('TOO_MANY_REQUESTS');
    world.env.advance(12_100);
    expect(world.proposed.map((entry) => entry.atMs)).toEqual([10_000, 10_500, 11_000, 11_500, 12_000]);
    const renewal = world.renew(7n);
    expect(renewal.answer).toBeNull();
    world.failure = null;
    world.env.advance(600);
    expect(world.lessor.exists(7n)).toBe(false);
    expect(renewal.answer).toBe(0);
  });

  it('sem-094 case-54 renewing an expired lease waits for its revocation and answers 0', () => {
    world.commitMs = 300;
    world.grant(7n, 10);
    world.store.put('k', 'v', 7n);
    world.env.advance(10_001);
    const renewal = world.renew(7n);
    expect(renewal.answer).toBeNull();
    world.env.advance(298);
    expect(renewal.answer).toBeNull();
    world.env.advance(10);
    expect(renewal.answer).toBe(0);
    expect(world.exists('k')).toBe(false);
    expect(world.renew(7n).answer).toBe(0);
  });

  it('sem-089 case-54 renewing an unknown lease answers 0', () => {
    expect(world.renew(404n).answer).toBe(0);
  });

  it('revoked by a client while the expiry is on its way, and granted anew: the new lease lives', () => {
    world.commitMs = 100;
    world.grant(7n, 10);
    world.env.advance(10_050);
    expect(world.proposed).toHaveLength(1);
    world.apply({ kind: 'lease-revoke', id: 7n });
    world.env.advance(60);
    world.grant(7n, 10);
    world.env.advance(9_000);
    expect(world.lessor.exists(7n)).toBe(true);
  });
});

describe('case-55 100,000 leases that end in one second', () => {
  it('are revoked at a bounded rate, a bounded number at a time, all of them, none early', () => {
    const count = 100_000;
    for (let index = 0; index < count; index++) {
      world.env.advance(0.01);
      world.grant(BigInt(index + 1), 10);
    }
    const firstEndMs = 10_000;
    world.env.advance(firstEndMs - world.env.monotonicMs() - 1);
    expect(world.proposed).toEqual([]);
    world.env.advance(30_000);
    expect(world.lessor.list()).toEqual([]);
    expect(world.proposed).toHaveLength(count);
    expect(world.mostInFlight).toBeLessThanOrEqual(64);
    const perTenth = new Map<number, number>();
    for (const { atMs } of world.proposed) {
      const tenth = Math.floor(atMs / 100);
      perTenth.set(tenth, (perTenth.get(tenth) ?? 0) + 1);
    }
    // 5,000 a second, and one burst of 100.
    expect(Math.max(...perTenth.values())).toBeLessThanOrEqual(600);
    const lastMs = world.proposed.at(-1)!.atMs;
    expect(lastMs).toBeLessThan(firstEndMs + 25_000);
    // In order of expiry.
    const ids = world.proposed.map(({ operation }) =>
      operation.kind === 'lease-expire' ? Number(operation.id) : 0,
    );
    expect(ids).toEqual(ids.toSorted((one, other) => one - other));
  });
});

describe('leaders', () => {
  it('nothing expires here and nothing is renewed where this member does not lead', () => {
    world.lessor.demote();
    world.grant(7n, 10);
    world.env.advance(60_000);
    expect(world.proposed).toEqual([]);
    expect(world.env.timerCount).toBe(0);
    expect(world.lessor.primary).toBe(false);
    expect(world.renew(7n).answer).toBe('NOT_PRIMARY_LESSOR');
    expect(world.lessor.view(7n)!.remainingMs).toBe(10_000);
  });

  it('sem-097 a new leader gives the full time again and the extension on top', () => {
    world.grant(7n, 10);
    world.env.advance(9_000);
    world.lessor.demote();
    world.env.advance(5_000);
    world.lessor.promote(1_000);
    expect(world.lessor.view(7n)!.remainingMs).toBe(11_000);
  });

  it('sem-097 pile-ups are spread: no second has more than its share, none ends earlier', () => {
    world.lessor.demote();
    for (let id = 1n; id <= 20_000n; id++) world.grant(id, 10);
    world.lessor.promote(0);
    const ends = world.lessor.list().map((id) => world.lessor.view(id)!.remainingMs);
    expect(ends[0]).toBe(10_000);
    for (let index = 3_750; index < ends.length; index++) {
      expect(ends[index]! - ends[index - 3_750]!).toBeGreaterThanOrEqual(1_000);
    }
    expect(ends.at(-1)).toBeLessThan(10_000 + 6_000);
  });

  it('case-53 what was under way when leadership was lost concerns nobody', () => {
    world.commitMs = 8_000;
    world.grant(7n, 10);
    const renewals = [];
    world.env.advance(10_001);
    renewals.push(world.renew(7n));
    world.lessor.demote();
    world.env.settle();
    expect(renewals[0]!.answer).toBe('NOT_PRIMARY_LESSOR');
    world.lessor.promote(0);
    expect(world.renew(7n).answer).toBe(10);
    const proposals = world.proposed.length;
    world.env.advance(5_000);
    expect(world.proposed).toHaveLength(proposals);
  });

  it('closing answers those who wait and leaves no timer', () => {
    world.grant(7n, 10);
    world.failure = new DomainError('SERVER_STOPPED');
    world.env.advance(10_000);
    const renewal = world.renew(7n);
    world.lessor.close();
    world.env.settle();
    expect(renewal.answer).toBe('SERVER_STOPPED');
    expect(world.env.timerCount).toBe(0);
  });
});

describe('what an expiry means', () => {
  it('case-53 found by a leader of the past, it ends nothing', () => {
    world.grant(7n, 10);
    world.term = 2;
    expect(world.refusal({ kind: 'lease-expire', id: 7n, grantIndex: 1, term: 1 })).toBe(
      'NOT_PRIMARY_LESSOR',
    );
    expect(world.lessor.exists(7n)).toBe(true);
    expect(world.refusal({ kind: 'lease-expire', id: 7n, grantIndex: 1, term: 2 })).toBeNull();
    expect(world.lessor.exists(7n)).toBe(false);
  });

  it('case-54 a lease granted anew under the id of one that expired lives its own time', () => {
    world.commitMs = 50;
    world.grant(7n, 10);
    world.env.advance(10_001);
    expect(world.proposed.map(({ operation }) => operation.kind)).toEqual(['lease-expire']);
    // Overtakes the expiry that is on its way.
    world.apply({ kind: 'lease-revoke', id: 7n });
    world.grant(7n, 10);
    world.store.put('k', 'v', 7n);
    world.env.advance(5_000);
    expect(world.lessor.exists(7n)).toBe(true);
    expect(world.exists('k')).toBe(true);
    world.env.advance(5_100);
    expect(world.exists('k')).toBe(false);
  });

  it('a lease from before grants were noted expires as well', () => {
    const transaction = world.store.begin(world.store.appliedIndex + 1);
    const row = Buffer.alloc(16);
    row.writeBigInt64BE(60n, 0);
    transaction.putMeta('leases', Buffer.from('0000000000000007', 'hex'), row);
    transaction.commit();
    world.restart();
    world.lessor.promote(0);
    world.env.advance(60_010);
    expect(world.lessor.exists(7n)).toBe(false);
  });
});

describe('restart', () => {
  it('sem-100 sem-102 all leases are there with their full TTL, and still take their keys', () => {
    for (let id = 1n; id <= 10_000n; id++) world.grant(id, 60 + Number(id % 100n));
    world.grant(-3n, 30);
    world.store.put('k', 'v', -3n);
    world.apply({ kind: 'lease-revoke', id: 5n });
    world.env.advance(20_000);
    world.restart();
    expect(world.lessor.exists(5n)).toBe(false);
    expect(world.lessor.list()).toHaveLength(10_000);
    world.lessor.promote(1_000);
    expect(world.lessor.view(-3n)).toEqual({ id: -3n, grantedTtlSec: 30, remainingMs: 31_000 });
    world.apply({ kind: 'lease-revoke', id: -3n });
    expect(world.exists('k')).toBe(false);
  });
});

describe('checkpoints', () => {
  beforeEach(() => {
    world = new LeaseWorld({ checkpoints: 'stored' });
    world.lessor.promote(0);
  });

  it('sem-101 every five minutes, for leases with more than five minutes left', () => {
    world.grant(1n, 1_000);
    world.grant(2n, 400);
    world.grant(3n, 290);
    world.env.advance(300_100);
    expect(world.proposed.filter((entry) => entry.operation.kind === 'lease-checkpoint')).toEqual([
      {
        atMs: 300_000,
        operation: {
          kind: 'lease-checkpoint',
          term: 1,
          checkpoints: [{ id: 1n, grantIndex: 1, remainingTtlSec: 700 }],
        },
      },
    ]);
  });

  it('sem-101 case-56 the remainder survives restarts and changes of leader, and does not start over', () => {
    world.grant(1n, 1_000);
    world.env.advance(300_100);
    world.restart();
    world.lessor.promote(0);
    expect(world.lessor.view(1n)!.remainingMs).toBe(700_000);
    for (let change = 0; change < 5; change++) {
      world.lessor.demote();
      world.lessor.promote(0);
      expect(world.lessor.view(1n)!.remainingMs).toBeLessThanOrEqual(700_000);
    }
  });

  it('sem-101 renewing clears the remainder before it is promised', () => {
    world.grant(1n, 1_000);
    world.env.advance(300_100);
    const renewal = world.renew(1n);
    expect(renewal.answer).toBeNull();
    world.env.advance(2);
    expect(renewal.answer).toBe(1_000);
    world.restart();
    world.lessor.promote(0);
    expect(world.lessor.view(1n)!.remainingMs).toBe(1_000_000);
  });

  it('many leases go in several proposals, one after the other', () => {
    for (let id = 1n; id <= 2_500n; id++) world.grant(id, 1_000);
    world.env.advance(300_100);
    const sizes = world.proposed.map(({ operation }) =>
      operation.kind === 'lease-checkpoint' ? operation.checkpoints.length : 0,
    );
    expect(sizes).toEqual([1_000, 1_000, 500]);
    expect(world.mostInFlight).toBe(1);
  });

  it('sem-101 a renewal while a checkpoint is on its way is not undone by it', () => {
    world.commitMs = 50;
    world.grant(1n, 1_000);
    world.env.advance(300_010);
    const renewal = world.renew(1n);
    world.env.advance(200);
    expect(renewal.answer).toBe(1_000);
    world.restart();
    world.lessor.promote(0);
    expect(world.lessor.view(1n)!.remainingMs).toBe(1_000_000);
  });

  it('case-56 what a leader of the past wrote down, or what was meant for an earlier lease, counts for nothing', () => {
    world.grant(1n, 1_000);
    const grantIndex = world.store.appliedIndex;
    const checkpoint = (term: number, grant: number) =>
      world.apply({
        kind: 'lease-checkpoint',
        term,
        checkpoints: [{ id: 1n, grantIndex: grant, remainingTtlSec: 5 }],
      });
    world.term = 2;
    checkpoint(1, grantIndex);
    checkpoint(2, grantIndex + 1);
    world.restart();
    world.lessor.promote(0);
    expect(world.lessor.view(1n)!.remainingMs).toBe(1_000_000);
    checkpoint(2, grantIndex);
    world.lessor.demote();
    world.lessor.promote(0);
    expect(world.lessor.view(1n)!.remainingMs).toBe(5_000);
  });

  it('sem-101 without persistence a change of leader knows the remainder and a restart does not', () => {
    world = new LeaseWorld({ checkpoints: 'memory' });
    world.lessor.promote(0);
    world.grant(1n, 1_000);
    world.env.advance(300_100);
    world.lessor.demote();
    world.lessor.promote(0);
    expect(world.lessor.view(1n)!.remainingMs).toBe(700_000);
    world.restart();
    world.lessor.promote(0);
    expect(world.lessor.view(1n)!.remainingMs).toBe(1_000_000);
  });
});
