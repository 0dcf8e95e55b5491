/**
 * Plans with a theme: faults that belong together, laid around moments that chance alone rarely meets.
 *
 * A third of the plans get one on top of what they have drawn.
 */
import { listFailpoints } from '@quorate/server';
import type { Random } from '../sim/random.ts';
import type { Plan, TimedFault } from './plan.ts';

const INSTALLING = listFailpoints().filter((name) => /install|image/i.test(name));
const SAVING = ['raftBeforeSave', 'walBeforeSync', 'walAfterSync', 'raftAfterSave', 'raftBeforeFollowerSend'];

type Theme = (plan: Plan, random: Random) => Partial<Plan>;

const THEMES: Readonly<Record<string, Theme>> = {
  /** Members fall behind until they need a snapshot, and crash while they take it in. */
  behind: (plan, random) => ({
    catchUpEntries: 0,
    walSegmentBytes: 4 * 1024,
    tailBytes: 64,
    thinkMs: 15,
    // Fills a file of the log with a few values, so that it can go.
    valueBytes: 1_500,
    faults: rounds(plan, 4_000, (machine, atMs) => [
      { atMs, fault: { kind: 'crash', machine, power: random.chance(0.5), downMs: 3_000 } },
      {
        atMs: atMs + 2_900,
        fault: {
          kind: 'failpoint',
          machine,
          name: random.pick(INSTALLING),
          nth: 1,
          power: random.chance(0.5),
          downMs: random.pick([10, 500]),
        },
      },
    ]),
  }),
  /** All lose power within the moments around a sync. */
  blackout: (plan, random) => ({
    diskMs: random.pick([5, 20]),
    faults: rounds(plan, 3_000, (machine, atMs) => [
      ...Array.from(
        { length: plan.members },
        (_, other): TimedFault => ({
          atMs,
          fault: {
            kind: 'failpoint',
            machine: other,
            name: random.pick(SAVING),
            nth: random.between(1, 4),
            power: true,
            downMs: random.pick([10, 300]),
          },
        }),
      ),
      { atMs: atMs + 200, fault: { kind: 'crash', machine, power: true, downMs: 100 } },
    ]),
  }),
  /** Whoever leads is held still or cut off, again and again, while leases run out and reads are asked. */
  coup: (plan, random) => ({
    thinkMs: 15,
    mix: { ...plan.mix, get: 8, grant: 3, keepalive: 4 },
    faults: rounds(plan, 2_500, (machine, atMs) => [
      random.chance(0.5)
        ? { atMs, fault: { kind: 'pause', machine, forMs: random.pick([600, 1_500, 4_000]) } }
        : { atMs, fault: { kind: 'partition', side: [machine], oneWay: random.chance(0.4), forMs: 2_000 } },
      { atMs: atMs + 50, fault: { kind: 'move-leader', to: (machine + 1) % plan.members } },
    ]),
  }),
  /** The cluster is rebuilt member by member. */
  rebuilding: (plan, random) => ({
    durationMs: plan.durationMs + 12_000,
    faults: [
      ...[6_500, 13_000].map((atMs): TimedFault => ({ atMs, fault: { kind: 'add' } })),
      ...[9_000, 16_000].map(
        (atMs): TimedFault => ({ atMs, fault: { kind: 'replace', machine: random.int(plan.members) } }),
      ),
      ...[7_000, 10_000, 17_000].map(
        (atMs): TimedFault => ({
          atMs: atMs + random.int(1_500),
          fault: { kind: 'crash', machine: random.int(plan.members + 2), power: true, downMs: 300 },
        }),
      ),
      { atMs: 14_000, fault: { kind: 'move-leader', to: random.int(plan.members) } },
    ],
  }),
};

export function underTheme(plan: Plan, random: Random): Plan {
  if (plan.members === 1 || !random.chance(0.33)) return plan;
  const theme = THEMES[random.pick(Object.keys(THEMES))]!(plan, random);
  // A theme is told better in quieter weather.
  const kept = plan.faults.filter(() => random.chance(0.3));
  const faults = [...kept, ...(theme.faults ?? [])].sort((a, b) => a.atMs - b.atMs);
  return { ...plan, ...theme, faults };
}

/** One machine after the other, from the second second on. */
function rounds(
  plan: Plan,
  everyMs: number,
  faultsAt: (machine: number, atMs: number) => readonly TimedFault[],
): TimedFault[] {
  const faults: TimedFault[] = [];
  for (let round = 0; 1_500 + round * everyMs < plan.durationMs; round++) {
    faults.push(...faultsAt(round % plan.members, 1_500 + round * everyMs));
  }
  return faults;
}
