/**
 * The rows of the fault catalogue that concern a cluster, on real processes. The scripts are `cases.ts`.
 *
 * CASE_SERVER=etcd runs them against the real etcd: what a script demands must be fair.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { ServerKind } from '../process/server-process.ts';
import { CASES, cleanUp } from './cases.ts';
import { inWorld } from './world.ts';

const kind = (process.env.CASE_SERVER ?? 'quorate') as ServerKind;
const seed = process.env.CASE_SEED ?? String(Math.floor(Math.random() * 2 ** 31));

describe(`cluster cases on ${kind}, seed ${seed}`, () => {
  afterAll(cleanUp);

  for (const { number, holds, only = kind, options = {}, unable, script } of CASES) {
    const reason = only === kind ? (unable?.() ?? null) : `of ${only} alone`;
    if (reason !== null) console.warn(`SKIPPED: case ${number}: ${reason}`);
    it.skipIf(reason !== null)(`case-${number} ${holds}`, async () => {
      const load = ['register', 'bank', 'set'] as const;
      const verdict = await inWorld({ kind, size: 3, seed: `${seed}/${number}`, load, ...options }, script);
      expect(verdict.violations).toEqual([]);
      // Something was going on while the fault was.
      expect(verdict.history.calls.length).toBeGreaterThan(100);
    });
  }
});
