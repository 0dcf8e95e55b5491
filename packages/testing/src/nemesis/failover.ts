/**
 * What a fault costs the clients: how long until service is back, and what they are told meanwhile; for several servers
 * side by side, with the same timing flags, taking turns on the same machine, so that whatever else the machine does
 * meets both alike.
 *
 * Service is back when a put that began after the fault is answered. Probers send a put every few milliseconds through each
 * member, whatever became of the earlier ones; the first of them, sent at the moment of the fault, is the patient client's.
 * Next: `failover-report.ts` makes the table.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { services } from '@quorate/proto';
import { Cluster } from '../cluster/cluster.ts';
import { Connection } from '../cluster/connection.ts';
import type { ClusterMember } from '../cluster/member.ts';
import type { ServerKind } from '../process/server-process.ts';
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
}

export interface Scenario {
  readonly name: string;
  readonly times: number;
  /** Does the fault; answers whom clients can still reach, and how to take it back. */
  strike(
    cluster: Cluster,
    disks: ReadonlyMap<string, SmallDisk>,
  ): Promise<{
    readonly reachable: readonly ClusterMember[];
    readonly recover: () => Promise<void>;
  }>;
}

const LIMIT_MS = 30_000;
const CALL_MS = 10_000;
const EVERY_MS = 20;
/** A member that answers nothing is not asked without end. */
const MAX_OPEN = 400;

async function killing(cluster: Cluster, victim: ClusterMember) {
  await victim.end('SIGKILL');
  return {
    reachable: cluster.members.filter((member) => member !== victim),
    recover: async () => cluster.restart(victim),
  };
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'leader killed',
    times: 20,
    strike: async (cluster) => killing(cluster, await cluster.waitForLeader()),
  },
  {
    name: 'follower killed',
    times: 5,
    strike: async (cluster) => {
      const leader = await cluster.waitForLeader();
      return killing(cluster, cluster.members.find((member) => member !== leader)!);
    },
  },
  {
    name: 'leader cut off from the others',
    times: 5,
    strike: async (cluster) => {
      const leader = await cluster.waitForLeader();
      const others = cluster.others(leader);
      cluster.mesh.cut([leader.name], others);
      cluster.mesh.cut(others, [leader.name]);
      return {
        reachable: cluster.members.filter((member) => member !== leader),
        recover: async () => cluster.mesh.healAll(),
      };
    },
  },
  {
    name: 'leader paused for good',
    times: 5,
    strike: async (cluster) => {
      const leader = await cluster.waitForLeader();
      leader.pause();
      return {
        reachable: cluster.members.filter((member) => member !== leader),
        recover: async () => leader.continue(),
      };
    },
  },
  {
    name: 'all killed and started again',
    times: 5,
    strike: async (cluster) => {
      await Promise.all(cluster.members.map((member) => member.end('SIGKILL')));
      for (const member of cluster.members) cluster.restart(member);
      return { reachable: cluster.members, recover: async () => {} };
    },
  },
  {
    name: 'disk of the leader full',
    times: 2,
    strike: async (cluster, disks) => {
      const leader = await cluster.waitForLeader();
      const disk = disks.get(leader.name);
      leader.expectEnd();
      disk?.fill();
      return {
        reachable: cluster.members,
        recover: async () => {
          disk?.free();
          await leader.end('SIGKILL');
          cluster.restart(leader);
        },
      };
    },
  },
];

export interface FailoverOptions {
  readonly kinds: readonly ServerKind[];
  readonly scenarios?: readonly string[];
  /** Multiplies how often each fault is brought. */
  readonly scale?: number;
  readonly log?: (line: string) => void;
  /** Every measurement as a line of JSON. */
  readonly saveAs?: string;
}

export async function measureFailover(options: FailoverOptions): Promise<Measurement[]> {
  const { kinds, log = () => {}, scale = 1 } = options;
  const measurements: Measurement[] = [];
  const wanted = SCENARIOS.filter(
    ({ name }) => options.scenarios?.some((part) => name.includes(part)) ?? true,
  );
  for (const scenario of wanted) {
    const clusters = await Promise.all(kinds.map((kind) => start(kind, /disk/.test(scenario.name))));
    let whole = false;
    try {
      for (let time = 0; time < Math.max(1, Math.round(scenario.times * scale)); time++) {
        for (const { cluster, disks } of clusters) {
          const measured = await once(scenario, cluster, disks);
          measurements.push(measured);
          if (options.saveAs !== undefined)
            writeFileSync(options.saveAs, measurements.map((line) => `${JSON.stringify(line)}\n`).join(''));
          log(
            `${scenario.name}, ${cluster.kind}: back after ${measured.backMs === null ? 'never' : Math.round(measured.backMs)} ms ${JSON.stringify(measured.errors)}`,
          );
        }
      }
      whole = true;
    } finally {
      for (const { cluster, disks } of clusters) {
        await cluster.stop({ keepLogs: !whole });
        for (const disk of disks.values()) disk.unmount();
      }
    }
  }
  return measurements;
}

async function start(kind: ServerKind, onSmallDisks: boolean) {
  const disks = new Map<string, SmallDisk>();
  const folderOf = (name: string) => {
    const disk = mountTmpfs(`${kind}-${name}`, 200);
    disks.set(name, disk);
    return join(disk.folder, name);
  };
  const cluster = await Cluster.start({
    kind,
    size: 3,
    flags: kind === 'etcd' ? ['--pre-vote=true'] : [],
    ...(onSmallDisks ? { folderOf } : {}),
  });
  return { cluster, disks };
}

async function once(
  scenario: Scenario,
  cluster: Cluster,
  disks: ReadonlyMap<string, SmallDisk>,
): Promise<Measurement> {
  const probers = cluster.members.map(
    (member) => new Prober(member.endpoint, /disk/.test(scenario.name) ? 60_000 : 64),
  );
  await Promise.all(probers.map((prober) => prober.untilAnswered(performance.now())));
  await sleep(300);
  const beganMs = performance.now();
  const { reachable, recover } = await scenario.strike(cluster, disks);
  const asked = probers.filter((prober) => reachable.some((member) => member.endpoint === prober.endpoint));
  const back = await Promise.race([
    Promise.any(asked.map((prober) => prober.untilAnswered(beganMs))),
    sleep(LIMIT_MS, null, { ref: false }),
  ]);
  // A full disk is felt when the next segment or page is needed: a while of writes shows what happens.
  await sleep(/disk/.test(scenario.name) ? 8000 : 1000);
  const errors: Record<string, number> = {};
  for (const prober of asked)
    for (const [error, count] of prober.errorsSince(beganMs)) errors[error] = (errors[error] ?? 0) + count;
  const patientMs = asked.flatMap((prober) => prober.firstSince(beganMs));
  for (const prober of probers) prober.stop();
  await recover();
  await cluster.healAll();
  return {
    scenario: scenario.name,
    kind: cluster.kind,
    backMs: back === null ? null : back - beganMs,
    patientMs,
    errors,
  };
}

interface Probe {
  readonly beganMs: number;
  /** Null: not over. */
  endedMs: number | null;
  error: string | null;
}

/** Sends a put through one member every few milliseconds, and notes what became of each. */
class Prober {
  readonly endpoint: string;
  readonly #connection: Connection;
  readonly #calls: Probe[] = [];
  readonly #value: Buffer;
  readonly #timer: NodeJS.Timeout;
  #open = 0;
  #waiting: { sinceMs: number; resolve: (atMs: number) => void }[] = [];

  constructor(endpoint: string, valueBytes: number) {
    this.endpoint = endpoint;
    this.#connection = new Connection(endpoint);
    this.#value = Buffer.alloc(valueBytes, 'x');
    this.#timer = setInterval(() => void this.#put(), EVERY_MS);
  }

  async #put(): Promise<void> {
    if (this.#open >= MAX_OPEN) return;
    this.#open++;
    const call: Probe = { beganMs: performance.now(), endedMs: null, error: null };
    this.#calls.push(call);
    const request = { key: Buffer.from('probe'), value: this.#value };
    const result = await this.#connection.call(services['etcdserverpb.KV'].Put, request, CALL_MS);
    this.#open--;
    call.endedMs = performance.now();
    if (!result.ok) call.error = result.error;
    else this.#tell(call.beganMs, call.endedMs);
  }

  #tell(beganMs: number, endedMs: number): void {
    const ready = this.#waiting.filter((one) => beganMs >= one.sinceMs);
    this.#waiting = this.#waiting.filter((one) => beganMs < one.sinceMs);
    for (const one of ready) one.resolve(endedMs);
  }

  /** When the first put that began after `sinceMs` was answered. */
  untilAnswered(sinceMs: number): Promise<number> {
    return new Promise((resolve) => this.#waiting.push({ sinceMs, resolve }));
  }

  errorsSince(sinceMs: number): Map<string, number> {
    const errors = new Map<string, number>();
    for (const { endedMs, error } of this.#calls)
      if (error !== null && endedMs! >= sinceMs) errors.set(error, (errors.get(error) ?? 0) + 1);
    return errors;
  }

  /** How long the first put after `sinceMs` took, or takes already. */
  firstSince(sinceMs: number): number[] {
    const first = this.#calls.find(({ beganMs }) => beganMs >= sinceMs);
    return first === undefined ? [] : [(first.endedMs ?? performance.now()) - first.beganMs];
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#connection.close();
  }
}
