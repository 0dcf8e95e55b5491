/**
 * Many seeds in a row, what they saw together, and a report that replays when one fails.
 */
import type { Rules } from '@quorate/raft/testing';
import { describeSchedule, drawSchedule, type Schedule } from './schedule.ts';
import { shrinkSchedule } from './shrink.ts';
import { type RunResult, runSchedule } from './simulation.ts';

export interface CampaignResult {
  readonly runs: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly failures: readonly { readonly seed: string; readonly report: string }[];
}

export function runCampaign(options: {
  readonly seeds: Iterable<string>;
  readonly rules?: Partial<Rules>;
  /** Stops after so many failures. Default 1. */
  readonly maxFailures?: number;
  /** Asked before each run. */
  readonly goOn?: () => boolean;
}): CampaignResult {
  const counts: Record<string, number> = {};
  const failures: { seed: string; report: string }[] = [];
  let runs = 0;
  let events = 0;
  let virtualMs = 0;
  for (const seed of options.seeds) {
    if (options.goOn?.() === false) break;
    const schedule = drawSchedule(seed);
    const result = runSchedule(schedule, options.rules === undefined ? {} : { rules: options.rules });
    runs++;
    events += result.events;
    virtualMs += result.virtualMs;
    for (const [what, times] of Object.entries(result.counts)) counts[what] = (counts[what] ?? 0) + times;
    if (result.violation !== null) {
      failures.push({ seed, report: reportFailure(schedule, result, options.rules) });
      if (failures.length >= (options.maxFailures ?? 1)) break;
    }
  }
  return { runs, events, virtualMs, counts, failures };
}

/** The violation, the smallest schedule found that still shows it, and the end of that run's trace. */
export function reportFailure(schedule: Schedule, result: RunResult, rules?: Partial<Rules>): string {
  const options = rules === undefined ? {} : { rules };
  const small = shrinkSchedule(
    schedule,
    (candidate) => runSchedule(candidate, options).violation?.invariant === result.violation?.invariant,
  );
  const trace: string[] = [];
  const again = runSchedule(small, { ...options, trace: (line) => trace.push(line) });
  return [
    `seed ${schedule.seed}: ${result.violation?.detail}`,
    `shrunk from ${schedule.actions.length} to ${small.actions.length} actions: ${again.violation?.detail}`,
    describeSchedule(small),
    'last events:',
    ...trace.slice(-40),
  ].join('\n');
}
