/**
 * Real time in a history: which answers are part of the one order, and what was known when a call began.
 *
 * Whoever begins after an answer was given must see at least its revision; `linearizable.ts` and `members.ts` ask for that.
 */
import type { HistoryCall, RecordedAnswer } from './history.ts';
import { describeCall } from './model-call.ts';

export type OkCall = HistoryCall & {
  readonly outcome: { readonly kind: 'ok'; readonly answer: RecordedAnswer };
};

/** Whether the call's revision is part of the order: answers of the lessor and of one member alone are not. */
export function isOrdered(call: HistoryCall): call is OkCall {
  if (!isOk(call)) return false;
  if (call.call.kind === 'range') return call.call.serializable !== true;
  if (call.call.kind !== 'txn') return call.call.kind === 'put' || call.call.kind === 'delete';
  const steps = [...call.call.success, ...call.call.failure];
  // A txn of nothing but serializable reads is answered like one.
  return steps.length === 0 || !steps.every((step) => step.kind === 'range' && step.serializable === true);
}

/** The greatest revision that some ordered call had returned before a time. */
export function knownRevisions(
  calls: readonly HistoryCall[],
): (atNs: number) => { readonly revision: number; readonly by: string } {
  const times: number[] = [];
  const floors: { revision: number; by: string }[] = [];
  let floor = { revision: 1, by: 'the start' };
  for (const call of calls.filter(isOrdered).sort((a, b) => a.returnNs! - b.returnNs!)) {
    if (call.revision <= floor.revision) continue;
    floor = { revision: call.revision, by: `${named(call)} returned ${call.revision}` };
    times.push(call.returnNs!);
    floors.push(floor);
  }
  return (atNs) => {
    let [low, high] = [0, times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle]! < atNs) low = middle + 1;
      else high = middle;
    }
    return floors[low - 1] ?? { revision: 1, by: 'the start' };
  };
}

export function isOk(call: HistoryCall): call is OkCall {
  return call.outcome.kind === 'ok' && call.returnNs !== null;
}

export function named(call: HistoryCall): string {
  return `${call.client} ${describeCall(call.call)}`;
}
