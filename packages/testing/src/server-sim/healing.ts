/**
 * The second half of a lifetime: all faults end, clients stop, everybody is started, and within `HEALED_MS` the cluster must be well:
 * every member serves and takes a write, all agree, every watch hears of everything, the checkers find nothing, and every lease
 * ends.
 */
import { PERFECT_LINK } from '../sim/network.ts';
import { ALARM_OFF, setAlarm } from './alarms.ts';
import { judge } from './judge.ts';
import type { Simulation } from './simulation.ts';
import { storyOfStores } from './story.ts';

const HEALED_MS = 60_000;
/**
 * Leases that nobody renews end within their TTL, 6 s at most, counted from the last leader's election; the rest is for slow clocks,
 * for the lessor, which looks twice a second, and for committing.
 */
const LEASES_END_MS = 9_000;

/** @throws Violation when the cluster does not become well, or was not all the time */
export async function heal(simulation: Simulation): Promise<void> {
  const { env, users, counts } = simulation;
  const live = (invariant: string, holds: boolean) =>
    simulation.live(invariant, holds, () => describe(simulation));
  simulation.note('heal');
  endFaults(simulation);
  const startMs = env.monotonicMs();
  const left = (): number => startMs + HEALED_MS - env.monotonicMs();
  // Machines that are down come back by themselves within seconds, the last one crashed for so long.
  await simulation.pass(left(), () => calm(simulation));
  live('members come back', calm(simulation));
  for (const { memberId } of simulation.members()[0]!.alarms()) setAlarm(simulation, memberId, ALARM_OFF);
  const probes = simulation.reachable().map((machine, number) => users.probe(machine, number, left()));
  const taken = (): boolean => probes.every(({ ok }) => ok);
  await simulation.pass(left(), taken);
  live('every member takes a write', taken());
  await simulation.pass(left(), () => converged(simulation));
  live('members converge', converged(simulation));
  await users.seenByAll(left);
  simulation.count('ms to heal', Math.round(env.monotonicMs() - startMs));
  await judge(simulation, {
    story: () => storyOfStores(simulation.invariants.revisions.values()),
    pass: (until) => simulation.pass(left(), () => until() && converged(simulation)),
  });
  // Nobody renews any more: every lease ends.
  const ended = (): boolean => simulation.members().every(({ lessor }) => lessor.list().length === 0);
  const reigns = counts.reigns ?? 0;
  await simulation.pass(Math.min(left(), LEASES_END_MS), ended);
  // A new leader may count every TTL from its election.
  if (counts.reigns !== reigns) await simulation.pass(Math.min(left(), LEASES_END_MS), ended);
  live('leases end', ended());
}

function endFaults(simulation: Simulation): void {
  simulation.healed = true;
  simulation.network.quality = PERFECT_LINK;
  simulation.network.heal();
  for (const client of simulation.users.clients) client.stop();
  for (const machine of simulation.list) {
    machine.clientsCut = false;
    machine.diskMs = simulation.plan.diskMs;
    machine.armed = [];
    machine.disk.clearFaults();
    machine.resume();
  }
}

/** Nothing is under way: all machines serve, all clients have their answers. */
function calm({ list, users, administrator }: Simulation): boolean {
  return (
    list.every(({ serving, removed, leaving }) => serving || removed || leaving) &&
    users.clients.every(({ busy }) => !busy) &&
    administrator.idle
  );
}

/** All members have applied the same, and all there is. */
function converged(simulation: Simulation): boolean {
  const members = simulation.members();
  const [first] = members;
  return (
    first !== undefined &&
    members.every(
      ({ appliedIndex, committedIndex, store }) =>
        appliedIndex === first.appliedIndex &&
        store.appliedIndex === appliedIndex &&
        committedIndex === appliedIndex &&
        store.revision === first.store.revision,
    ) &&
    simulation.invariants.highestRevision === first.store.revision
  );
}

function describe({ list }: Simulation): string {
  return list
    .map((machine) => {
      const { member } = machine;
      const state = machine.removed ? 'removed' : (machine.life?.state ?? 'down');
      return member === null
        ? `${machine.name}: ${state}`
        : `${machine.name}: ${state} leader ${member.leader.toString(16)} term ${member.term} committed ${member.committedIndex} applied ${member.appliedIndex} revision ${member.store.revision}`;
    })
    .join('\n');
}
