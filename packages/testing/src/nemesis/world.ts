/**
 * A cluster with everything that looks on: a load, watchers, status polls, one history; and at the end rest and the verdict
 * of all checkers. What happens in between is the caller's: a nemesis (`run.ts`) or the script of a case.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkHistory } from '../checkers/check-history.ts';
import type { History } from '../checkers/history.ts';
import { HistoryRecorder, writeHistory } from '../checkers/recorder.ts';
import type { Violation } from '../checkers/watch.ts';
import { Cluster, type ClusterOptions } from '../cluster/cluster.ts';
import type { ServerKind } from '../process/server-process.ts';
import { Random } from '../sim/random.ts';
import type { FaultContext } from './fault.ts';
import { comeToRest } from './final-phase.ts';
import { StatusPoll } from './status-poll.ts';
import { Story } from './story.ts';
import { WORKLOAD, Worker, type WorkerKind } from './workload.ts';

export interface WorldOptions {
  readonly seed: string;
  /** Clients that go wherever they are served. */
  readonly load: readonly WorkerKind[];
  /** Beside them one `register` client pinned to each member. */
  readonly pinned?: boolean;
  /** Watchers ask for progress and trust it; default: not with a server whose progress is known to be wrong. */
  readonly askProgress?: boolean;
  /** Leave folder and history even when all is well. */
  readonly keep?: boolean;
}

export interface World extends FaultContext {
  /** When there was no healthy majority: leases may live longer then. */
  disturb(fromNs: number): void;
  /** Does `work`, and counts its time as disturbed. */
  disturbed<T>(work: () => Promise<T>): Promise<T>;
  /** What the caller found broken by itself. */
  readonly violations: Violation[];
  /** A client of one's own, through one member; its calls are part of the history. */
  client(name: string, ...through: Cluster['members']): Worker;
  leaderChanges(): number;
}

export interface Verdict {
  readonly history: History;
  readonly violations: readonly Violation[];
  readonly revision: number;
  readonly resumes: number;
  readonly leaderChanges: number;
  readonly kills: number;
  /** Where the history is; null: it was not kept. */
  readonly kept: string | null;
}

/** Rules that a server is known to break, or that its answers cannot prove; with the reason. */
const KNOWN_DIFFERENCES: Readonly<Record<ServerKind, Readonly<Record<string, string>>>> = {
  quorate: {},
  etcd: {
    oneLeaderPerTerm:
      'its Status tells the term of the last applied entry beside the leader of the present term',
  },
};

export async function inWorld(
  options: ClusterOptions & WorldOptions,
  body: (world: World) => Promise<void>,
): Promise<Verdict> {
  const { kind, seed } = options;
  const start = process.hrtime.bigint();
  const recorder = new HistoryRecorder({ nowNs: () => Number(process.hrtime.bigint() - start) });
  const preVote = kind === 'etcd' ? ['--pre-vote=true'] : [];
  const cluster = await Cluster.start({ ...options, flags: [...preVote, ...(options.flags ?? [])] });
  const poll = new StatusPoll(cluster, recorder);
  const story = new Story(cluster, recorder, options.askProgress ?? kind !== 'etcd');
  const workers = hire(cluster, recorder, options);
  const work = Promise.all(workers.map((worker) => worker.run()));
  const disturbances: { fromNs: number; toNs: number }[] = [];
  const own: Worker[] = [];
  const disturb = (fromNs: number) => void disturbances.push({ fromNs, toNs: recorder.nowNs() });
  const world: World = {
    cluster,
    recorder,
    random: new Random(seed, 'faults'),
    violations: [],
    storySeen: () => story.seenByAll(),
    memberAdded: (member) => story.follow(member),
    memberRemoved: (member) => story.leave(member),
    disturb,
    async disturbed(doing) {
      const fromNs = recorder.nowNs();
      try {
        return await doing();
      } finally {
        disturb(fromNs);
      }
    },
    client(name, ...through) {
      const worker = new Worker(
        'register',
        100 + own.length,
        through,
        recorder,
        new Random(seed, name),
        WORKLOAD,
      );
      own.push(worker);
      return worker;
    },
    leaderChanges: () => poll.leaderChangesNs.length,
  };
  let keep = true;
  try {
    await body(world);
    for (const worker of workers) worker.stop();
    await work;
    const rest = await comeToRest(
      cluster,
      recorder,
      story,
      options.load.some((kind) => /lease|lock/.test(kind)),
    );
    poll.stop();
    story.close();
    const history = recorder.history();
    const found = [
      ...world.violations,
      ...rest.violations,
      ...unexpectedEnds(cluster),
      ...checkHistory({
        history,
        drained: rest.drained,
        dumps: rest.dumps,
        compactRevision: story.compactRevision(),
        conservation: { bankTotal: WORKLOAD.bankTotal, bankAccounts: WORKLOAD.bankAccounts },
        leases: {
          endNs: recorder.nowNs(),
          disturbed: disturbances,
          leaderChangesNs: poll.leaderChangesNs,
          electionTimeoutMs: cluster.electionMs,
          // The machine is shared: what is late by seconds there may be a matter of its load.
          slackMs: 8000,
        },
      }),
    ];
    const violations = found.filter(({ rule }) => KNOWN_DIFFERENCES[kind][rule] === undefined);
    keep = options.keep === true || violations.length > 0;
    const kept = keep ? join(cluster.folder, 'history.jsonl') : null;
    if (kept !== null)
      writeFileSync(kept, writeHistory({ ...history, watches: [...history.watches, ...rest.drained] }));
    return {
      history,
      violations,
      revision: rest.revision,
      resumes: story.resumes(),
      leaderChanges: poll.leaderChangesNs.length,
      kills: recorder.faults
        .filter((fault) => fault.kind === 'kill')
        .reduce((sum, { detail }) => sum + detail.split(' ').length, 0),
      kept,
    };
  } finally {
    for (const worker of workers) worker.stop();
    poll.stop();
    story.close();
    await cluster.stop({ keepLogs: keep });
    await work;
    for (const worker of own) worker.close();
  }
}

function hire(
  cluster: Cluster,
  recorder: HistoryRecorder,
  { seed, load, pinned = true }: WorldOptions,
): Worker[] {
  const members = [...cluster.members];
  const worker = (kind: WorkerKind, number: number, reach: Cluster['members']) =>
    new Worker(kind, number, reach, recorder, new Random(seed, `${kind}${number}`), WORKLOAD);
  return [
    ...load.map((kind, number) => worker(kind, number, members)),
    ...(pinned ? members.map((member, index) => worker('register', load.length + index, [member])) : []),
  ];
}

function unexpectedEnds(cluster: Cluster): Violation[] {
  return cluster.members.flatMap((member) =>
    member.unexpectedEnds.map(({ incarnation, code, signal }) => ({
      rule: 'unexpectedEnd',
      detail: `${member.name}, life ${incarnation}: exit code ${code}, signal ${signal}`,
    })),
  );
}
