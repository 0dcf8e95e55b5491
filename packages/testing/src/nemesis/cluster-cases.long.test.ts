/**
 * The rows of the fault catalogue that concern a cluster, on real processes. The scripts are `cases.ts`.
 *
 * CASE_SERVER=etcd runs them against the real etcd: what a script demands must be fair. Those whose faults every nemesis
 * run (`nemesis.long.test.ts`) brings anyway are left to it, unless CASES=all.
 */
import { afterAll, describe, expect, it } from 'vitest';
import type { ServerKind } from '../process/server-process.ts';
import { CASES, caseVerdict, cleanUp, unableToRun } from './cases.ts';

const kind = (process.env.CASE_SERVER ?? 'quorate') as ServerKind;
const seed = process.env.CASE_SEED ?? String(Math.floor(Math.random() * 2 ** 31));

describe(`cluster cases on ${kind}, seed ${seed}`, () => {
  afterAll(cleanUp);

  const all = process.env.CASES === 'all' || kind === 'etcd';
  for (const row of CASES.filter(({ inNemesis }) => all || inNemesis !== true)) {
    const reason = unableToRun(row, kind);
    if (reason !== null) console.warn(`SKIPPED: case ${row.number}: ${reason}`);
    it.skipIf(reason !== null)(`case-${row.number} ${row.holds}`, async () => {
      // A load that did not go on fails it too.
      const { violations } = await caseVerdict(row, kind, seed);
      expect(violations).toEqual([]);
    });
  }
});
