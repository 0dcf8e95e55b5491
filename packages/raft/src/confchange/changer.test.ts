/** Configuration changes: two routes meet, and the rules of every configuration hold on the way. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfChangeError } from '../errors.ts';
import type { ConfState } from '../types.ts';
import { changeConf, enterJoint, leaveJoint, simple } from './changer.ts';
import { canonicalConf, checkConf, EMPTY_CONF, isJoint } from './conf.ts';
import type { ConfChangeStep } from './types.ts';

const id = fc.bigInt({ min: 1n, max: 7n });
const step: fc.Arbitrary<ConfChangeStep> = fc.record({
  kind: fc.constantFrom('add-voter', 'add-learner', 'remove-node'),
  id,
});
const conf: fc.Arbitrary<ConfState> = fc
  .tuple(fc.uniqueArray(id, { minLength: 1, maxLength: 5 }), fc.uniqueArray(id, { maxLength: 3 }))
  .map(([voters, learners]) =>
    canonicalConf({ ...EMPTY_CONF, voters, learners: learners.filter((each) => !voters.includes(each)) }),
  );

function attempt(change: () => ConfState): ConfState | null {
  try {
    return change();
  } catch (error) {
    if (error instanceof ConfChangeError) return null;
    throw error;
  }
}

describe('configuration changes', () => {
  it('a simple change equals the same steps through a joint configuration (thesis §4.3), 5,000 times', () => {
    fc.assert(
      fc.property(conf, fc.array(step, { maxLength: 4 }), (start, steps) => {
        const direct = attempt(() => simple(start, steps));
        if (direct === null) return;
        expect(leaveJoint(enterJoint(start, steps, true))).toEqual(direct);
      }),
      { numRuns: 5_000 },
    );
  });

  it('any sequence of changes keeps the rules of a configuration', () => {
    const change = fc.record({
      transition: fc.constantFrom('auto', 'joint-auto-leave', 'joint-explicit'),
      steps: fc.array(step, { maxLength: 4 }),
      context: fc.constant(new Uint8Array(0)),
    });
    fc.assert(
      fc.property(conf, fc.array(change, { maxLength: 12 }), (start, changes) => {
        let current = start;
        for (const each of changes) {
          const next = attempt(() => changeConf(current, each));
          if (next === null) continue;
          checkConf(next);
          expect(next.voters.length).toBeGreaterThan(0);
          if (isJoint(next) && !isJoint(current)) expect(next.votersOutgoing).toEqual(current.voters);
          current = next;
        }
      }),
      { numRuns: 5_000 },
    );
  });

  it('a simple change never makes two disjoint majorities possible (thesis §4.1)', () => {
    fc.assert(
      fc.property(conf, fc.array(step, { maxLength: 4 }), (start, steps) => {
        const next = attempt(() => simple(start, steps));
        if (next === null) return;
        const all = new Set([...start.voters, ...next.voters]).size;
        const before = Math.floor(start.voters.length / 2) + 1;
        const after = Math.floor(next.voters.length / 2) + 1;
        // Two groups of these sizes inside `all` voters cannot avoid each other.
        expect(before + after).toBeGreaterThan(all);
      }),
    );
  });

  it('refuses what does not fit', () => {
    const start = { ...EMPTY_CONF, voters: [1n, 2n, 3n] };
    const joint = enterJoint(start, [{ kind: 'add-voter', id: 4n }], false);
    expect(() => enterJoint(joint, [], false)).toThrow(ConfChangeError);
    expect(() => simple(joint, [{ kind: 'add-voter', id: 5n }])).toThrow(ConfChangeError);
    expect(() => leaveJoint(start)).toThrow(ConfChangeError);
    const everybody = start.voters.map((each) => ({ kind: 'remove-node' as const, id: each }));
    expect(() => enterJoint(start, everybody, true)).toThrow('no voter would remain');
  });
});
