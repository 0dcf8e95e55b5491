/**
 * Strategy: a few leases of a few seconds; random grants, renewals, revocations, proposals that fail or take long,
 * losses of leadership and restarts, and time in steps of any size.
 *
 * Invariants, after every step and from outside: no lease ends before the last promise made for it (grant or renewal
 * answered) plus its TTL; every lease that is not renewed is gone soon after that; a renewal never succeeds once the
 * lease's end was visible. (Reliability notes, lease checker.)
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DomainError } from '../../src/errors.ts';
import { LeaseWorld } from '../support/lease-world.ts';

const id = fc.bigInt({ min: 1n, max: 4n });
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('grant' as const), id, ttlSec: fc.integer({ min: 2, max: 6 }) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('renew' as const), id }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('revoke' as const), id }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 2_500 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('latency' as const), ms: fc.constantFrom(0, 1, 50, 700) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('failing' as const), on: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('leader' as const),
      downMs: fc.integer({ min: 0, max: 3_000 }),
    }),
  },
);

describe('any life of leases', () => {
  it('case-52 case-54 never early, never for ever, never renewed after the end', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const world = new LeaseWorld();
        world.lessor.promote(1_000);
        /** Lease -> the time before which it must not end. Absent: no such lease, or revoked by a client. */
        const promisedUntilMs = new Map<bigint, number>();
        const ttlMs = new Map<bigint, number>();
        const check = (): void => {
          for (const [lease, untilMs] of promisedUntilMs) {
            if (world.lessor.exists(lease)) continue;
            expect(world.env.monotonicMs()).toBeGreaterThanOrEqual(untilMs);
            promisedUntilMs.delete(lease);
          }
        };
        const pass = (ms: number): void => {
          // In small steps, so that an early end is seen when it happens.
          for (let left = ms; left > 0; left -= 100) {
            world.env.advance(Math.min(100, left));
            check();
          }
        };
        for (const action of steps) {
          switch (action.kind) {
            case 'grant': {
              const code = world.refusal({ kind: 'lease-grant', id: action.id, ttlSec: action.ttlSec });
              expect(code === null || code === 'LEASE_EXIST').toBe(true);
              if (code !== null) break;
              ttlMs.set(action.id, action.ttlSec * 1000);
              promisedUntilMs.set(action.id, world.env.monotonicMs() + action.ttlSec * 1000);
              break;
            }
            case 'renew': {
              const calledMs = world.env.monotonicMs();
              const lease = action.id;
              world.lessor.renew(lease, (error, ttlSec) => {
                if (error !== null || ttlSec === 0) return;
                expect(world.lessor.exists(lease)).toBe(true);
                promisedUntilMs.set(lease, calledMs + ttlMs.get(lease)!);
              });
              break;
            }
            case 'revoke':
              world.apply({ kind: 'lease-revoke', id: action.id });
              promisedUntilMs.delete(action.id);
              break;
            case 'time':
              pass(action.ms);
              break;
            case 'latency':
              world.commitMs = action.ms;
              break;
            case 'failing':
              world.failure = action.on ? new DomainError('REQUEST_TIMED_OUT') : null;
              break;
            case 'leader':
              // What is on its way may still be applied, in the next reign.
              world.lessor.demote();
              world.term += 1;
              pass(action.downMs);
              world.lessor.promote(1_000);
              break;
          }
          world.env.settle();
          check();
        }
        world.failure = null;
        pass(6_000 + 1_000 + 500 + 700 + 100);
        expect(world.lessor.list()).toEqual([]);
      }),
      { numRuns: Number(process.env.LEASE_RUNS ?? 400) },
    );
  });
});
