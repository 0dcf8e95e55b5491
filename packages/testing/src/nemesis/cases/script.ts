/**
 * What scripts of cases are written with: `must` and `until` fail the case with a sentence, `faults` brings those of the nemesis,
 * `ask` and `put` are calls of the script's own, part of the history like any other.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordedCall } from '../../checkers/history.ts';
import type { ClusterOptions } from '../../cluster/cluster.ts';
import type { ClusterMember } from '../../cluster/member.ts';
import { findProgram } from '../../process/server-process.ts';
import { FAULTS } from '../faults.ts';
import { type SentCall, sendCall } from '../wire-calls.ts';
import type { World, WorldOptions } from '../world.ts';

export interface Case {
  readonly number: number;
  /** Absent: both. */
  readonly only?: 'quorate';
  readonly holds: string;
  /** The nemesis brings the same faults in each of its long tests. */
  readonly inNemesis?: true;
  readonly options?: Partial<ClusterOptions & WorldOptions>;
  /** Why it cannot run here; null: it can. */
  unable?(): string | null;
  script(world: World): Promise<void>;
}

export class CaseFailure extends Error {}

export function must(holds: unknown, sentence: string): asserts holds {
  if (!holds) throw new CaseFailure(sentence);
}

export async function until(
  what: string,
  timeoutMs: number,
  holds: () => Promise<boolean> | boolean,
): Promise<void> {
  const giveUp = performance.now() + timeoutMs;
  while (performance.now() < giveUp) {
    if (await holds()) return;
    await sleep(30);
  }
  throw new CaseFailure(`${what}: not within ${timeoutMs} ms`);
}

/** Brings the named faults, each until it struck, and waits for service after each. */
export function faults(...names: readonly string[]): Case['script'] {
  return async (world) => {
    for (const name of names) {
      const fault = FAULTS.find((candidate) => candidate.name === name);
      must(fault !== undefined, `no fault ${name}`);
      let struck = false;
      for (let attempt = 0; attempt < 3 && !struck; attempt++) {
        await sleep(700);
        struck = await world.disturbed(async () => {
          const { fired } = await fault.strike(world);
          await world.cluster.healAll();
          return fired;
        });
      }
      must(struck, `${name} struck in none of three attempts`);
    }
  };
}

/** A call of the script itself, past the proxies; part of the history like any other. */
export async function ask(
  world: World,
  member: ClusterMember,
  call: RecordedCall,
  timeoutMs = 3000,
): Promise<SentCall> {
  const open = world.recorder.begin(`script-${++calls}`, call, member.directEndpoint);
  const { incarnation } = member;
  const sent = await sendCall(world.cluster.observer(member), call, timeoutMs);
  if (sent.ok) open.ok(sent.answer, { ...sent.header, incarnation });
  else open.error(sent.error);
  return sent;
}
let calls = 0;

/** Puts a value that nobody else puts. */
export function put(
  world: World,
  member: ClusterMember,
  key: string,
  lease = 0n,
  padding = '',
): Promise<SentCall> {
  const value = `script-${calls}-${world.random.uint32()}${padding}`;
  return ask(world, member, { kind: 'put', key, value, lease }, 5000);
}

export async function count(world: World, member: ClusterMember, key: string): Promise<number> {
  let found = -1;
  await until(`${member.name} reads`, 30_000, async () => {
    const read = await ask(world, member, { kind: 'range', key, end: '' });
    if (read.ok && read.answer.kind === 'range') found = read.answer.count;
    return read.ok;
  });
  return found;
}

/** Writes until the others are well past what a leader keeps for the slow (5000 entries in etcd). */
export async function runAhead(world: World, through: ClusterMember): Promise<void> {
  const applied = async () => (await world.cluster.status(through, 2000))?.appliedIndex ?? 0;
  const from = await applied();
  await until('the others get far ahead', 90_000, async () => {
    await Promise.all(Array.from({ length: 200 }, () => put(world, through, 'k-ahead')));
    return (await applied()) > from + 6000;
  });
}

export const needsStrace = () => (findProgram('strace') === null ? 'strace is not installed' : null);
