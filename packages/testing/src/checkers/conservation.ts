/**
 * Workloads whose result anybody can judge: money is neither made nor lost, no element of a set disappears, and
 * nobody writes under a lock that he has lost.
 *
 * - bank: keys under `bank/`, value `<amount> <unique>`; transfers move amounts in one transaction. The sum is the same
 *   at every revision after the set-up, and in every answer that lists all accounts.
 * - set: key `set`, value `<element>,<element>,...`, appended by compare-and-swap. Each acknowledged element is there in the
 *   end, once, in the order of the appends.
 * - fence: keys under `fenced/`, value `<create revision of the lock> <unique>`. In the keys before such a write the lock
 *   exists with that create revision.
 */
import { Replay } from './committed.ts';
import type { HistoryCall } from './history.ts';
import { putsOf } from './model-call.ts';
import { isOk, named } from './real-time.ts';
import type { Violation } from './watch.ts';
import type { WatchHistory } from './watch-record.ts';

export const CONSERVATION_RULES = [
  'bankSum',
  'bankRead',
  'setLost',
  'setOrder',
  'setUnasked',
  'fenced',
] as const;
export type ConservationRule = (typeof CONSERVATION_RULES)[number];

export const BANK_PREFIX = 'bank/';
export const SET_KEY = 'set';
export const FENCED_PREFIX = 'fenced/';
export const LOCK_KEY = 'lock';

export interface ConservationOptions {
  /** Sum of all accounts; absent: no bank. */
  readonly bankTotal?: number;
  /** Accounts of the bank; the sum counts from the revision at which all exist. */
  readonly bankAccounts?: number;
}

export function amountOf(value: string): number {
  return Number(value.split(' ')[0]);
}

export function elementsOf(value: string): string[] {
  return value === '' ? [] : value.split(',');
}

export function checkConservation(
  calls: readonly HistoryCall[],
  committed: WatchHistory,
  options: ConservationOptions = {},
): Violation[] {
  const violations: Violation[] = [];
  const report = (rule: ConservationRule, detail: string) => violations.push({ rule, detail });
  if (options.bankTotal !== undefined) checkBank(calls, committed, options, report);
  checkSet(calls, committed, report);
  checkFence(committed, report);
  return violations;
}

function checkBank(
  calls: readonly HistoryCall[],
  committed: WatchHistory,
  { bankTotal, bankAccounts = 1 }: ConservationOptions,
  report: (rule: ConservationRule, detail: string) => void,
): void {
  const sum = (values: Iterable<string>) => [...values].reduce((total, value) => total + amountOf(value), 0);
  const accounts = new Map<string, string>();
  for (const { revision, events } of committed.revisions) {
    const touched = events.filter(({ record }) => record.key.startsWith(BANK_PREFIX));
    if (touched.length === 0) continue;
    for (const { type, record } of touched) {
      if (type === 'put') accounts.set(record.key, record.value);
      else accounts.delete(record.key);
    }
    const total = sum(accounts.values());
    if (accounts.size >= bankAccounts && total !== bankTotal)
      report('bankSum', `revision ${revision}: ${total} instead of ${bankTotal}`);
  }
  for (const call of calls) {
    if (!isOk(call) || call.call.kind !== 'range' || call.call.key !== BANK_PREFIX) continue;
    const { answer } = call.outcome;
    if (answer.kind !== 'range' || answer.kvs.length < bankAccounts) continue;
    const total = sum(answer.kvs.map((kv) => kv.value));
    if (total !== bankTotal) report('bankRead', `${named(call)}: ${total} instead of ${bankTotal}`);
  }
}

function checkSet(
  calls: readonly HistoryCall[],
  committed: WatchHistory,
  report: (rule: ConservationRule, detail: string) => void,
): void {
  let elements: string[] = [];
  for (const { revision, events } of committed.revisions) {
    const change = events.findLast(({ record }) => record.key === SET_KEY);
    if (change === undefined) continue;
    const next = change.type === 'put' ? elementsOf(change.record.value) : [];
    if (next.slice(0, elements.length).join() !== elements.join())
      report('setOrder', `revision ${revision} does not continue what was there: ${lastOf(elements)}`);
    if (new Set(next).size !== next.length) report('setOrder', `revision ${revision} holds an element twice`);
    elements = next;
  }
  const held = new Set(elements);
  const asked = new Set<string>();
  for (const call of calls) {
    const appended = putsOf(call.call)
      .filter((put) => put.key === SET_KEY)
      .map((put) => elementsOf(put.value).at(-1)!);
    for (const element of appended) {
      asked.add(element);
      const { outcome } = call;
      const acknowledged =
        outcome.kind === 'ok' && (outcome.answer.kind !== 'txn' || outcome.answer.succeeded);
      if (acknowledged && !held.has(element))
        report('setLost', `${element} was acknowledged (${call.client})`);
      if (outcome.kind === 'failed' && held.has(element)) report('setUnasked', `${element} had been refused`);
    }
  }
  for (const element of held) if (!asked.has(element)) report('setUnasked', `nobody added ${element}`);
}

function checkFence(committed: WatchHistory, report: (rule: ConservationRule, detail: string) => void): void {
  const replay = new Replay(committed);
  for (const { revision, events } of committed.revisions) {
    for (const { type, record } of events) {
      if (type !== 'put' || !record.key.startsWith(FENCED_PREFIX)) continue;
      const lock = replay.at(revision - 1).get(LOCK_KEY);
      if (lock?.createRevision !== amountOf(record.value))
        report(
          'fenced',
          `revision ${revision} was written under lock ${amountOf(record.value)}, held was ${lock?.createRevision ?? 'none'}`,
        );
    }
  }
}

function lastOf(elements: readonly string[]): string {
  return `${elements.length} elements, last ${elements.at(-1) ?? 'none'}`;
}
