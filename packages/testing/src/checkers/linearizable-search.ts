/**
 * The second opinion on linearizability: a history of key-value calls put before the search of `wing-gong.ts`.
 *
 * It knows nothing of what was committed and finds an order by itself, so it cannot share a mistake with
 * `linearizable.ts`; a property test holds both against each other. Serializable reads and answers of leases are left
 * out. Leases that end by themselves are not foreseen: use it on histories without expiry.
 */
import { EtcdModel } from '../model/etcd-model.ts';
import type { HistoryCall } from './history.ts';
import { canonical, difference, runOnModel } from './model-call.ts';
import { isOrdered } from './real-time.ts';
import type { Violation } from './watch.ts';
import { type SearchModel, searchLinearization } from './wing-gong.ts';

/** The model, and all that ever was: two states are equal only when their old revisions are, too. */
interface SearchState {
  readonly model: EtcdModel;
  readonly story: string;
}

const CALLS: SearchModel<SearchState, HistoryCall> = {
  initial: { model: new EtcdModel(), story: '' },
  fingerprint: (state) => state.story,
  apply(state, { call, outcome, revision }) {
    const [next, verdict] = step(state, call);
    if ('error' in verdict || outcome.kind !== 'ok') return null;
    if (difference(verdict.answer, outcome.answer) !== null) return null;
    // A compaction does not say at which revision it happened.
    return call.kind === 'compact' || next.model.revision === revision ? next : null;
  },
  applyUnknown(state, { call }) {
    const [next, verdict] = step(state, call);
    return 'error' in verdict ? [state] : [state, next];
  },
};

function step(state: SearchState, call: HistoryCall['call']): [SearchState, ReturnType<typeof runOnModel>] {
  const model = state.model.fork();
  const verdict = runOnModel(model, call);
  const { revision, compactRevision } = model;
  if (revision === state.model.revision && compactRevision === state.model.compactRevision)
    return [{ model, story: state.story }, verdict];
  const story = `${state.story}\n${revision}/${compactRevision}${canonical(model.keyValues())}`;
  return [{ model, story }, verdict];
}

/** Rule `linearizable`: there is an order of the calls that explains every answer. */
export function checkBySearch(calls: readonly HistoryCall[], maxSteps?: number): Violation[] {
  const considered = calls.filter(
    (call) =>
      isOrdered(call) ||
      (call.call.kind === 'compact' && call.outcome.kind === 'ok') ||
      (call.outcome.kind === 'unknown' &&
        !['range', 'lease-keepalive', 'lease-time-to-live'].includes(call.call.kind)),
  );
  const result = searchLinearization(
    CALLS,
    considered.map((operation) => ({
      operation,
      callNs: operation.callNs,
      returnNs: operation.outcome.kind === 'unknown' ? null : operation.returnNs,
    })),
    maxSteps,
  );
  if (result.linearizable) return [];
  const detail = `no order explains more than ${result.longest.length} of ${considered.length} calls`;
  return [{ rule: 'linearizable', detail }];
}
