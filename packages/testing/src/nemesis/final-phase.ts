/**
 * After the last fault: everything heals, every member takes a write, every watcher reads to the end, and all members say
 * what they hold. Fails (as a violation) when the cluster does not come to rest in time: a cluster that is safe and dead
 * helps nobody.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { services } from '@quorate/proto';
import type { HistoryWatch } from '../checkers/history.ts';
import type { FinalDump } from '../checkers/members.ts';
import type { HistoryRecorder } from '../checkers/recorder.ts';
import type { Violation } from '../checkers/watch.ts';
import { recordOf } from '../checkers/wire-messages.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { headerOf } from '../cluster/connection.ts';
import type { ClusterMember } from '../cluster/member.ts';
import type { Story } from './story.ts';
import { Watcher } from './watcher.ts';
import { sendCall } from './wire-calls.ts';

export interface Rest {
  readonly revision: number;
  readonly drained: readonly HistoryWatch[];
  readonly dumps: readonly FinalDump[];
  readonly violations: readonly Violation[];
}

const SERVE_AGAIN_MS = 20_000;
const DRAIN_MS = 20_000;
const LEASES_END_MS = 45_000;

/** `leases`: there may be some that still run out. */
export async function comeToRest(
  cluster: Cluster,
  recorder: HistoryRecorder,
  story: Story,
  leases: boolean,
): Promise<Rest> {
  const violations: Violation[] = [];
  await cluster.healAll(SERVE_AGAIN_MS).catch((error: Error) => {
    violations.push({ rule: 'unserved', detail: `in the end: ${error.message}` });
  });
  let revision = 1;
  for (const member of cluster.members) {
    const wrote = await finalWrite(cluster, recorder, member);
    if (wrote === null) violations.push({ rule: 'finalWrite', detail: `${member.name} takes no write` });
    else revision = Math.max(revision, wrote);
  }
  // Leases still run out: the last revision is the one at which everybody agrees that it is.
  if (leases) revision = await settle(cluster, revision);
  const fresh = story.compactRevision() > 0 ? [] : cluster.members.map((member) => drainedFrom(member));
  const isBehind = () => [
    ...story.behind(revision),
    ...fresh
      .filter((watcher) => watcher.reached < revision)
      .map((w) => `${w.member} at ${w.reached} of a new watch`),
  ];
  const giveUp = performance.now() + DRAIN_MS;
  while (isBehind().length > 0 && performance.now() < giveUp) await sleep(200);
  for (const late of isBehind())
    violations.push({ rule: 'watchStalls', detail: `${late}, the last is ${revision}` });
  for (const end of story.ended()) violations.push({ rule: 'watchEnded', detail: end });
  const drained = [...story.whole(revision), ...fresh.map((watcher) => watcher.recording(revision))];
  for (const watcher of fresh) watcher.close();
  recorder.watches.push(...story.rest(revision));
  for (const member of cluster.members) await hash(cluster, recorder, member, revision);
  const dumps: FinalDump[] = [];
  for (const member of cluster.members) {
    const dump = await dumpOf(cluster, member);
    if (dump !== null) dumps.push(dump);
    else violations.push({ rule: 'finalDump', detail: `${member.name} does not list its keys` });
  }
  return { revision, drained: wholeFirst(drained), dumps, violations };
}

async function finalWrite(
  cluster: Cluster,
  recorder: HistoryRecorder,
  member: ClusterMember,
): Promise<number | null> {
  const client = recorder.client(`final-${member.name}`);
  for (let attempt = 0; attempt < 20; attempt++) {
    const call = { kind: 'put', key: 'final', value: client.uniqueValue() } as const;
    const open = client.begin(call, member.directEndpoint);
    const sent = await sendCall(cluster.observer(member), call, 2000);
    if (sent.ok) {
      open.ok(sent.answer, { ...sent.header, incarnation: member.incarnation });
      return sent.header.revision;
    }
    open.error(sent.error);
    await sleep(200);
  }
  return null;
}

/** Waits until no member knows of a lease any more. Every change of the leader may count their time anew. */
async function settle(cluster: Cluster, from: number): Promise<number> {
  const method = services['etcdserverpb.Lease'].LeaseLeases;
  const none = async (member: ClusterMember) => {
    const listed = await cluster.observer(member).call(method, {}, 1000);
    return listed.ok && listed.response.leases.length === 0;
  };
  const giveUp = performance.now() + LEASES_END_MS;
  while (performance.now() < giveUp) {
    if ((await Promise.all(cluster.members.map(none))).every(Boolean)) break;
    await sleep(200);
  }
  const seen = await Promise.all(cluster.members.map((member) => cluster.status(member, 2000)));
  return Math.max(from, ...seen.map((status) => status?.revision ?? 0));
}

function drainedFrom(member: ClusterMember): Watcher {
  return new Watcher(member.name, member.directEndpoint, {
    key: '\0',
    end: '\0',
    startRevision: 1,
    askProgress: false,
  });
}

async function hash(
  cluster: Cluster,
  recorder: HistoryRecorder,
  member: ClusterMember,
  revision: number,
): Promise<void> {
  const method = services['etcdserverpb.Maintenance'].HashKV;
  const result = await cluster.observer(member).call(method, { revision }, 10_000);
  if (!result.ok) return;
  recorder.hashes.push({
    atNs: recorder.nowNs(),
    member: headerOf(result.response).member,
    revision,
    compactRevision: Number(result.response.compactRevision),
    hash: result.response.hash,
  });
}

async function dumpOf(cluster: Cluster, member: ClusterMember): Promise<FinalDump | null> {
  const request = { key: Buffer.from('\0'), rangeEnd: Buffer.from('\0'), serializable: true };
  const result = await cluster.observer(member).call(services['etcdserverpb.KV'].Range, request, 10_000);
  return result.ok ? { member: member.name, kvs: result.response.kvs.map(recordOf) } : null;
}

/** A watcher of a member that joined later may have begun after a compaction: it cannot tell the whole story. */
function wholeFirst(watches: readonly HistoryWatch[]): HistoryWatch[] {
  const start = (watch: HistoryWatch) => watch.record.sessions[0]?.startRevision ?? Number.POSITIVE_INFINITY;
  return [...watches].sort((a, b) => start(a) - start(b));
}
