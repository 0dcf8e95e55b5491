/**
 * Rows of the fault catalogue as scripts. Each runs in a world of its own (`world.ts`): under load, with watchers, and with
 * the verdict of all checkers at the end; a script only brings its fault and checks what is special about it.
 *
 * To add a case: a row with its number, what must hold, and a script, in the file of its kind under `cases/`; `cases/script.ts`
 * has what scripts are written with.
 */
import type { ServerKind } from '../process/server-process.ts';
import { CATCH_UP } from './cases/catch-up.ts';
import { CRASHES } from './cases/crashes.ts';
import { DISKS, unmountDisks } from './cases/disks.ts';
import { LEASES } from './cases/leases.ts';
import { LINKS } from './cases/links.ts';
import { MEMBERSHIP } from './cases/membership.ts';
import { PARTITIONS } from './cases/partitions.ts';
import { type Case, until } from './cases/script.ts';
import { removeClocks, TIME } from './cases/time.ts';
import type { WorkerKind } from './workload.ts';
import { inWorld, type Verdict, type World } from './world.ts';

export const CASES: readonly Case[] = [
  ...CRASHES,
  ...DISKS,
  ...PARTITIONS,
  ...LINKS,
  ...TIME,
  ...MEMBERSHIP,
  ...CATCH_UP,
  ...LEASES,
].sort((a, b) => a.number - b.number);

/** Takes away what the cases share beyond their worlds. */
export function cleanUp(): void {
  removeClocks();
  unmountDisks();
}

const LOAD: readonly WorkerKind[] = ['register', 'bank', 'set'];

/** Why the case cannot be run here; null: it can. */
export function unableToRun({ only, unable }: Case, kind: ServerKind): string | null {
  return only === undefined || only === kind ? (unable?.() ?? null) : `of ${only} alone`;
}

/** Answered calls of the load without which a case shows nothing: before its script, and again from its beginning on. */
const LEAST_CALLS = 100;

/** The case in a world of its own. @throws CaseFailure when the script finds a promise broken, or there was no load */
export function caseVerdict(
  { number, options = {}, script }: Case,
  kind: ServerKind,
  seed: string,
): Promise<Verdict> {
  return inWorld({ kind, size: 3, seed: `${seed}/${number}`, load: LOAD, ...options }, async (world) => {
    // Something has to be going on when the fault comes, and to go on with it and after it.
    await until('the load has begun', 90_000, () => answeredToLoad(world) > LEAST_CALLS);
    const before = answeredToLoad(world);
    await script(world);
    await until('the load has gone on', 60_000, () => answeredToLoad(world) - before > LEAST_CALLS);
  });
}

/** What scripts and operators ask themselves is no load. */
function answeredToLoad({ recorder }: World): number {
  return recorder.calls.filter(
    ({ client, outcome }) => outcome.kind === 'ok' && !/^(script|operator)/.test(client),
  ).length;
}

/** The same in one line: `ok, ...`, `skipped: ...`, or what was broken. */
export async function runCase(row: Case, kind: ServerKind, seed: string): Promise<string> {
  const reason = unableToRun(row, kind);
  if (reason !== null) return `skipped: ${reason}`;
  try {
    const { history, violations, leaderChanges } = await caseVerdict(row, kind, seed);
    if (violations.length > 0)
      return violations
        .map(({ rule, detail }) => `${rule}: ${detail}`)
        .join('; ')
        .slice(0, 2000);
    return `ok, ${history.calls.length} calls, ${leaderChanges} leader changes`;
  } catch (error) {
    return (error as Error).message.slice(0, 2000);
  }
}
