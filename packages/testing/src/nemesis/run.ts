/**
 * One nemesis run: a cluster, a load, one fault after the other, rest, and the verdict of all checkers.
 *
 * The seed draws which kinds of faults the run knows (swarm testing: all at once hide each other), their order and
 * their timing, the load, and the snapshot count. Processes are real, so a seed does not replay a run to the letter; it
 * replays its plan.
 *
 * A green run must not be an empty one: `shortfalls` names what there was too little of.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { History } from '../checkers/history.ts';
import type { Violation } from '../checkers/watch.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ServerKind } from '../process/server-process.ts';
import { Random } from '../sim/random.ts';
import type { Fault } from './fault.ts';
import { FAULTS } from './faults.ts';
import type { WorkerKind } from './workload.ts';
import { inWorld } from './world.ts';

export interface NemesisOptions {
  readonly kind: ServerKind;
  readonly size: number;
  /** Of faults and load; starting, coming to rest and checking come on top. */
  readonly seconds: number;
  readonly seed: string;
  /** Only these faults; absent: the seed draws. */
  readonly faults?: readonly string[];
  readonly flags?: readonly string[];
  readonly log?: (line: string) => void;
  /** Watchers ask for progress and trust it; default: not with a server whose progress is known to be wrong. */
  readonly askProgress?: boolean;
  /** Leave folder and history even when all is well. */
  readonly keep?: boolean;
}

export interface NemesisReport {
  readonly options: NemesisOptions;
  readonly plan: readonly string[];
  readonly ok: number;
  readonly failed: number;
  readonly unknown: number;
  readonly kills: number;
  readonly leaderChanges: number;
  readonly revisions: number;
  readonly resumes: number;
  /** By name: how often tried, how often seen to strike. */
  readonly faults: Readonly<Record<string, { tried: number; fired: number }>>;
  readonly violations: readonly Violation[];
  readonly shortfalls: readonly string[];
  /** Where the history is; null: it was not kept. */
  readonly kept: string | null;
}

const LOAD: readonly WorkerKind[] = ['register', 'bank', 'bank', 'set', 'lock', 'lock', 'lease', 'lease'];

export async function runNemesis(options: NemesisOptions): Promise<NemesisReport> {
  const { kind, size, seconds, seed, log = () => {} } = options;
  const plan = drawPlan(options);
  const names = plan.faults.map((fault) => fault.name);
  log(`${kind} x${size}, seed ${seed}, snapshot count ${plan.snapshotCount}, faults: ${names.join(' ')}`);
  const tally: Record<string, { tried: number; fired: number }> = {};
  const flags = [`--snapshot-count=${plan.snapshotCount}`, ...(options.flags ?? [])];
  const verdict = await inWorld({ ...options, flags, load: LOAD }, async (world) => {
    const { cluster, random, recorder } = world;
    await sleep(1000);
    const until = performance.now() + seconds * 1000;
    while (performance.now() < until) {
      const fault = random.pick(plan.faults);
      const fromNs = recorder.nowNs();
      const { fired, detail } = await fault.strike(world);
      recorder.fault(fault.name, `${fired ? '' : 'did not strike: '}${detail}`);
      const counted = tally[fault.name] ?? { tried: 0, fired: 0 };
      tally[fault.name] = { tried: counted.tried + 1, fired: counted.fired + Number(fired) };
      const serves = await cluster.healAll().then(
        () => null,
        (error: Error) => error.message,
      );
      world.disturb(fromNs);
      const tookMs = Math.round((recorder.nowNs() - fromNs) / 1e6);
      log(`  ${fault.name} ${fired ? '' : '(did not strike) '}${detail}, serving after ${tookMs} ms`);
      if (serves !== null) {
        world.violations.push({ rule: 'unserved', detail: `after ${fault.name} (${detail}): ${serves}` });
        break;
      }
      await sleep(random.between(300, 1500));
    }
  });
  const { history, revision, ...seen } = verdict;
  const report = {
    options,
    plan: names,
    ...countCalls(history),
    ...seen,
    revisions: revision,
    faults: tally,
  };
  return { ...report, shortfalls: shortfallsOf(report, seconds) };
}

function drawPlan({ kind, size, seed, faults }: NemesisOptions): {
  faults: readonly Fault[];
  snapshotCount: number;
} {
  const random = new Random(seed, 'plan');
  const snapshotCount = random.pick([50, 100, 1000]);
  if (faults !== undefined) {
    const named = faults.map((name) => FAULTS.find((fault) => fault.name === name) ?? name);
    const wrong = named.filter((fault) => typeof fault === 'string');
    if (wrong.length > 0) throw new Error(`no such fault: ${wrong.join(' ')}`);
    return { faults: named as Fault[], snapshotCount };
  }
  const world = { kind, members: { length: size } } as unknown as Cluster;
  const able = FAULTS.filter((fault) => (fault.unable?.(world) ?? null) === null);
  const drawn = able.filter(() => random.chance(0.4));
  // A run without a new leader proves little.
  const leaderFaults = able.filter((fault) => /leader|all/.test(fault.name));
  return { faults: [...new Set([random.pick(leaderFaults), random.pick(able), ...drawn])], snapshotCount };
}

function countCalls({ calls }: History): { ok: number; failed: number; unknown: number } {
  const count = (kind: string) => calls.filter((call) => call.outcome.kind === kind).length;
  return { ok: count('ok'), failed: count('failed'), unknown: count('unknown') };
}

/** What there was too little of to call a run green. */
function shortfallsOf(
  report: Pick<NemesisReport, 'ok' | 'kills' | 'leaderChanges' | 'revisions' | 'faults' | 'plan'>,
  seconds: number,
): string[] {
  const shortfalls: string[] = [];
  const atLeast = (what: string, count: number, least: number) => {
    if (count < least) shortfalls.push(`${what}: ${count}, expected at least ${least}`);
  };
  // An idle machine answers a hundred times as much.
  atLeast('answered calls', report.ok, seconds * 5);
  atLeast('revisions', report.revisions, seconds);
  const tried = Object.entries(report.faults);
  atLeast(
    'faults that struck',
    tried.reduce((sum, [, { fired }]) => sum + fired, 0),
    Math.max(1, Math.floor(seconds / 20)),
  );
  const deposing = tried.filter(([name]) =>
    /^(kill-leader|kill-all|pause-leader-(3|10)x|partition-leader|move-leader)$/.test(name),
  );
  atLeast('leader changes', report.leaderChanges, deposing.some(([, { fired }]) => fired > 0) ? 1 : 0);
  for (const [name, { tried: times, fired }] of tried)
    if (times >= 2 && fired === 0) shortfalls.push(`${name} never struck in ${times} attempts`);
  return shortfalls;
}
