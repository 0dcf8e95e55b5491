/**
 * Raft in words: messages, entries, configurations, `Ready` and status, one line each where one will do.
 *
 * An entry is written `index/term` and its data in quotes: `7/2 "x=1"`. For logs, test transcripts and debuggers; the
 * wording is not an interface.
 */
import { decodeConfChange } from './confchange/codec.ts';
import { CodecError } from './errors.ts';
import { type Message, MessageType } from './message.ts';
import type { Ready } from './ready.ts';
import type { Status } from './status.ts';
import { type ConfState, type Entry, EntryType, NONE, type NodeId, type Snapshot } from './types.ts';

const TYPE_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(MessageType).map(([name, value]) => [
    value,
    name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
  ]),
);

/** `7/2 "x=1"`, `8/2 (add-voter 4)`; data longer than 24 bytes is only measured. Thesis §3.5. */
export function describeEntry(entry: Entry): string {
  return `${entry.index}/${entry.term} ${describeData(entry)}`;
}

function describeData(entry: Entry): string {
  if (entry.type === EntryType.confChange) {
    try {
      const { steps, transition } = decodeConfChange(entry.data);
      if (steps.length === 0) return '(leave joint)';
      const words = steps.map((step) => `${step.kind} ${step.id}`).join(', ');
      return transition === 'auto' ? `(${words})` : `(${words}; ${transition})`;
    } catch (error) {
      if (error instanceof CodecError) return '(unreadable configuration change)';
      throw error;
    }
  }
  if (entry.data.byteLength > 24) return `(${entry.data.byteLength} bytes)`;
  return JSON.stringify(String.fromCharCode(...entry.data));
}

/** `[7/2 "x", 8/2 "y"]` (thesis §3.5). */
export function describeEntries(entries: readonly Entry[]): string {
  return `[${entries.map(describeEntry).join(', ')}]`;
}

/** `1->2 append term=2 prev=6/1 entries=[7/2 "x"] commit=6` Thesis figure 3.1. */
export function describeMessage(message: Message): string {
  const { type } = message;
  const words = [`${message.from}->${message.to}`, TYPE_NAMES.get(type) ?? `type-${type}`];
  words.push(`term=${message.term}`);
  if (type === MessageType.append) words.push(`prev=${message.index}/${message.logTerm}`);
  else if (type === MessageType.vote || type === MessageType.preVote) {
    words.push(`last=${message.index}/${message.logTerm}`);
  } else if (type === MessageType.appendResponse) {
    if (message.reject) words.push(`refused=${message.index} hint=${message.rejectHint}/${message.logTerm}`);
    else words.push(`match=${message.index}`);
  } else if (type === MessageType.voteResponse || type === MessageType.preVoteResponse) {
    words.push(message.reject ? 'refused' : 'granted');
  } else if (message.index > 0) words.push(`index=${message.index}`);
  if (message.entries.length > 0) words.push(`entries=${describeEntries(message.entries)}`);
  if (message.commit > 0) words.push(`commit=${message.commit}`);
  if (message.snapshot !== null) words.push(`snapshot=${describeSnapshot(message.snapshot)}`);
  if (message.context !== 0n && type !== MessageType.propose) words.push(describeContext(message));
  return words.join(' ');
}

function describeContext({ type, context }: Message): string {
  if (type === MessageType.vote || type === MessageType.preVote) return 'transfer';
  if (type === MessageType.heartbeat || type === MessageType.heartbeatResponse) return `round=${context}`;
  if (type === MessageType.transferLeader) return `to=${context}`;
  if (type === MessageType.append) return 'unanswered';
  return `read=${context}`;
}

/** `7/2 voters (1 2 3)`: last index, its term, the configuration (thesis §5). */
export function describeSnapshot({ meta }: Snapshot): string {
  return `${meta.index}/${meta.term} ${describeConf(meta.conf)}`;
}

/** `voters (1 2 3)`, `voters (2 3 4)&(1 2 3) learners (5) learners next (1) auto leave` Thesis §4.3. */
export function describeConf(conf: ConfState): string {
  const set = (ids: readonly NodeId[]) => `(${ids.join(' ')})`;
  const words = [`voters ${set(conf.voters)}`];
  if (conf.votersOutgoing.length > 0) words[0] += `&${set(conf.votersOutgoing)}`;
  if (conf.learners.length > 0) words.push(`learners ${set(conf.learners)}`);
  if (conf.learnersNext.length > 0) words.push(`learners next ${set(conf.learnersNext)}`);
  if (conf.autoLeave) words.push('auto leave');
  return words.join(' ');
}

/**
 * One line for each thing to do, in the order of the contract; a line saying so when there is nothing.
 * Thesis §3.8, §10.2.1.
 */
export function describeReady(ready: Ready): string {
  const lines: string[] = [];
  if (ready.softState !== null) {
    lines.push(`${ready.softState.role}, leader ${name(ready.softState.leader)}`);
  }
  for (const message of ready.messages) lines.push(`send ${describeMessage(message)}`);
  if (ready.snapshot !== null) lines.push(`persist snapshot ${describeSnapshot(ready.snapshot)}`);
  if (ready.entries.length > 0) lines.push(`persist ${describeEntries(ready.entries)}`);
  if (ready.hardState !== null) {
    const { term, vote, commit } = ready.hardState;
    lines.push(
      `persist term=${term} vote=${name(vote)} commit=${commit}${ready.mustSync ? '' : ' (lazily)'}`,
    );
  }
  for (const message of ready.messagesAfterPersist) lines.push(`then send ${describeMessage(message)}`);
  if (ready.committedEntries.length > 0) lines.push(`apply ${describeEntries(ready.committedEntries)}`);
  for (const read of ready.readStates) lines.push(`answer read ${read.context} at ${read.index}`);
  for (const context of ready.droppedReads) lines.push(`give up read ${context}`);
  return lines.length === 0 ? 'nothing to do' : lines.join('\n');
}

/** One line for the node, and for a leader one for each member. Thesis figure 3.1. */
export function describeStatus(status: Status): string {
  const { term, vote, commit } = status.hardState;
  const lines = [
    `${status.id}: ${status.role} term=${term} vote=${name(vote)} leader=${name(status.leader)} commit=${commit} ` +
      `applied=${status.applied} log=[${status.firstIndex}..${status.lastIndex}] ${describeConf(status.conf)}`,
  ];
  if (status.transferee !== NONE) lines.push(`   handing over to ${status.transferee}`);
  for (const each of status.progress) {
    const words = [`   ${each.id}: ${each.state} match=${each.match} next=${each.next}`];
    if (each.learner) words.push('learner');
    if (each.pendingSnapshot > 0) words.push(`snapshot=${each.pendingSnapshot}`);
    if (each.paused) words.push('paused');
    if (!each.recentlyActive) words.push('silent');
    if (each.inflightMessages > 0) words.push(`inflight=${each.inflightMessages}`);
    lines.push(words.join(' '));
  }
  return lines.join('\n');
}

function name(id: NodeId): string {
  return id === NONE ? 'none' : String(id);
}
