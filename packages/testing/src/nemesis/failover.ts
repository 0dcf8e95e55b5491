/**
 * What a fault costs the clients: how long until service is back, and what they are told meanwhile; for several servers
 * side by side, with the same timing flags, taking turns on the same machine, so that whatever else the machine does
 * meets both alike.
 *
 * Service is back when a put that began after the fault is answered. Probers (`prober.ts`) send a put every few milliseconds
 * through each member; the first of them, sent at the moment of the fault, is the patient client's. A cluster that is not
 * whole again afterwards is part of the measurement: it is noted, and the next time begins with a new one.
 *
 * Next: `failover-scenarios.ts` for the faults, `failover-report.ts` for the table.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../cluster/cluster.ts';
import type { ServerKind } from '../process/server-process.ts';
import { SCENARIOS, type Scenario } from './failover-scenarios.ts';
import { Prober } from './prober.ts';
import { mountTmpfs, type SmallDisk } from './small-disk.ts';

export interface Measurement {
  readonly scenario: string;
  readonly kind: ServerKind;
  /** From the fault to the first answered put; null: not within `LIMIT_MS`. */
  readonly backMs: number | null;
  /** How long the puts sent right at the fault took, one a reachable member, answered or refused. */
  readonly patientMs: readonly number[];
  /** Texts of errors and how often they came. */
  readonly errors: Readonly<Record<string, number>>;
  /** Why the cluster was not whole again once the fault was taken back; null: it was. */
  readonly damage: string | null;
}

export interface FailoverOptions {
  readonly kinds: readonly ServerKind[];
  readonly scenarios?: readonly string[];
  /** Multiplies how often each fault is brought. */
  readonly scale?: number;
  readonly log?: (line: string) => void;
  /** Told each measurement as it is made: what was measured is kept, whatever comes later. */
  readonly onMeasured: (measurement: Measurement) => void;
}

interface Ground {
  readonly cluster: Cluster;
  readonly disks: ReadonlyMap<string, SmallDisk>;
}

const LIMIT_MS = 30_000;
/** Room for some twenty seconds of the largest writes below, the members' own files included. */
const DISK_MB = 600;

/** @returns what kept a measurement from being made, in words */
export async function measureFailover(options: FailoverOptions): Promise<string[]> {
  const { kinds, log = () => {}, scale = 1 } = options;
  const missing: string[] = [];
  const wanted = SCENARIOS.filter(
    ({ name }) => options.scenarios?.some((part) => name.includes(part)) ?? true,
  );
  for (const scenario of wanted) {
    const grounds = new Map<ServerKind, Ground>();
    for (let time = 0; time < Math.max(1, Math.round(scenario.times * scale)); time++) {
      for (const kind of kinds) {
        try {
          const ground = grounds.get(kind) ?? (await begin(kind, scenario));
          grounds.set(kind, ground);
          const measured = await once(scenario, ground);
          options.onMeasured(measured);
          log(inWords(measured));
          if (measured.damage === null) continue;
        } catch (error) {
          missing.push(`${scenario.name}, ${kind}: ${firstLine((error as Error).message)}`);
          log(`not measured: ${missing.at(-1)}`);
        }
        await leave(grounds.get(kind), true);
        grounds.delete(kind);
      }
    }
    for (const ground of grounds.values()) await leave(ground, false);
  }
  return missing;
}

async function begin(kind: ServerKind, scenario: Scenario): Promise<Ground> {
  const disks = new Map<string, SmallDisk>();
  const folderOf = (name: string) => {
    const disk = mountTmpfs(`${kind}-${name}`, DISK_MB);
    disks.set(name, disk);
    return join(disk.folder, name);
  };
  try {
    const cluster = await Cluster.start({
      kind,
      size: 3,
      flags: kind === 'etcd' ? ['--pre-vote=true'] : [],
      ...(fillsDisks(scenario) ? { folderOf } : {}),
    });
    return { cluster, disks };
  } catch (error) {
    for (const disk of disks.values()) disk.unmount();
    throw error;
  }
}

async function leave(ground: Ground | undefined, keepLogs: boolean): Promise<void> {
  if (ground === undefined) return;
  // What lies on small disks goes with them.
  await ground.cluster.stop({ keepLogs: keepLogs && ground.disks.size === 0 });
  for (const disk of ground.disks.values()) disk.unmount();
}

async function once(scenario: Scenario, { cluster, disks }: Ground): Promise<Measurement> {
  const valueBytes = fillsDisks(scenario) ? 60_000 : 64;
  const probers = cluster.members.map((member) => new Prober(member.endpoint, valueBytes));
  try {
    await Promise.race([
      Promise.all(probers.map((prober) => prober.untilAnswered(performance.now()))),
      sleep(LIMIT_MS, null, { ref: false }).then(() =>
        Promise.reject(new Error('no service before the fault')),
      ),
    ]);
    await sleep(300);
    const beganMs = performance.now();
    const { reachable, recover } = await scenario.strike(cluster, disks);
    const asked = probers.filter((prober) => reachable.some((member) => member.endpoint === prober.endpoint));
    const back = await Promise.race([
      Promise.any(asked.map((prober) => prober.untilAnswered(beganMs))),
      sleep(LIMIT_MS, null, { ref: false }),
    ]);
    // A full disk is felt when the next segment or page is needed: a while of writes shows what happens.
    await sleep(fillsDisks(scenario) ? 8000 : 1000);
    const errors: Record<string, number> = {};
    for (const prober of asked)
      for (const [error, count] of prober.errorsSince(beganMs)) errors[error] = (errors[error] ?? 0) + count;
    const patientMs = asked.flatMap((prober) => prober.firstSince(beganMs));
    for (const prober of probers) prober.stop();
    return {
      scenario: scenario.name,
      kind: cluster.kind,
      backMs: back === null ? null : back - beganMs,
      patientMs,
      errors,
      damage: await damageAfter(cluster, recover),
    };
  } finally {
    for (const prober of probers) prober.stop();
  }
}

/** Takes the fault back and waits until all serve. */
async function damageAfter(cluster: Cluster, recover: () => Promise<void>): Promise<string | null> {
  try {
    await recover();
    await cluster.healAll();
    return null;
  } catch (error) {
    const ended = cluster.members.filter((member) => !member.isRunning);
    return ended.length === 0
      ? firstLine((error as Error).message)
      : ended.map((member) => `did not start again: ${lastWords(member.output())}`).join('; ');
  }
}

/** The line that says why a process ended: the last one, or the one before the stack trace that follows it. */
export function lastWords(output: string): string {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  const why = lines.findLast((line) =>
    /^panic: | [CF] \| |"level":"(fatal|panic|error)"|\bfatal\b/.test(line),
  );
  const said = why ?? lines.at(-1) ?? 'without a word';
  return said.replace(/^[\d/: .T-]+Z? /, '').slice(0, 300);
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!;
}

function fillsDisks({ name }: Scenario): boolean {
  return /disk/.test(name);
}

function inWords({ scenario, kind, backMs, errors, damage }: Measurement): string {
  const back = backMs === null ? 'never back' : `back after ${Math.round(backMs)} ms`;
  return `${scenario}, ${kind}: ${back} ${JSON.stringify(errors)}${damage === null ? '' : `; ${damage}`}`;
}
