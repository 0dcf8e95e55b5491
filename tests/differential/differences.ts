/**
 * Where etcd 3.7, the target, is known to differ from the 3.4.23 that tests can run: as data, each with its reason.
 *
 * A difference applies when `when` holds for the step and both answers; the suite then checks `ours` instead of
 * equality. A difference that no longer applies anywhere in the hand-picked cases fails the suite, so this list cannot rot.
 */
import type { Step } from './exchange.ts';
import type { Plain } from './normalise.ts';

export interface KnownDifference {
  readonly name: string;
  /** Why, with the row of the reference table. */
  readonly reason: string;
  when(step: Step, ours: Plain, theirs: Plain): boolean;
  /** What 3.7 answers. */
  ours(step: Step, ours: Plain, theirs: Plain): boolean;
}

type Tree = { [name: string]: Plain };

const isTree = (value: Plain | undefined): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Removes `lease` from the records of every keys-only range in the answer. */
function withoutKeysOnlyLeases(request: Readonly<Record<string, unknown>>, answer: Plain): Plain {
  if (!isTree(answer)) return answer;
  // What a limit cut is compared by its sort keys alone, which are no records.
  const strip = (record: Plain): Plain => (isTree(record) ? { ...record, lease: '0' } : record);
  const stripText = (record: Plain): Plain => JSON.stringify(strip(JSON.parse(String(record)) as Plain));
  const range = (from: Readonly<Record<string, unknown>>, to: Tree): Tree => {
    if (from.keysOnly !== true) return to;
    if (Array.isArray(to.kvs)) return { ...to, kvs: to.kvs.map(strip) };
    if (isTree(to.kvs) && Array.isArray(to.kvs.records)) {
      return { ...to, kvs: { ...to.kvs, records: to.kvs.records.map(stripText).sort() } };
    }
    return to;
  };
  const txn = (from: Readonly<Record<string, unknown>>, to: Tree): Tree => {
    const branch = (to.succeeded === true ? from.success : from.failure) as
      | readonly Record<string, unknown>[]
      | undefined;
    if (branch === undefined || !Array.isArray(to.responses)) return to;
    return {
      ...to,
      responses: to.responses.map((response, index) => {
        const operation = branch[index];
        if (operation === undefined || !isTree(response)) return response;
        if (operation.requestRange !== undefined && isTree(response.responseRange)) {
          return {
            ...response,
            responseRange: range(operation.requestRange as Record<string, unknown>, response.responseRange),
          };
        }
        if (operation.requestTxn !== undefined && isTree(response.responseTxn)) {
          return {
            ...response,
            responseTxn: txn(operation.requestTxn as Record<string, unknown>, response.responseTxn),
          };
        }
        return response;
      }),
    };
  };
  return 'succeeded' in answer ? txn(request, answer) : range(request, answer);
}

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    name: 'keys-only ranges leave the lease out',
    reason:
      'sem-030: from 3.7 a keys_only range is served from the index, which has no lease (unless sorted by value)',
    when: (step) => (step.call === 'KV/Range' && step.request.keysOnly === true) || step.call === 'KV/Txn',
    ours: (step, ours, theirs) =>
      JSON.stringify(withoutKeysOnlyLeases(step.request, ours)) ===
        JSON.stringify(withoutKeysOnlyLeases(step.request, theirs)) &&
      JSON.stringify(ours) !== JSON.stringify(theirs),
  },
  {
    name: 'the compact revision itself can be hashed',
    reason: 'sem-185: only revisions below the compacted one are refused; 3.4 refused it as well',
    when: (step, _, theirs) => step.call === 'Maintenance/HashKV' && isTree(theirs) && theirs.code === 11,
    ours: (step, ours) => isTree(ours) && ours.compactRevision === String(step.request.revision),
  },
  {
    name: 'alarm answers have a header',
    reason: 'sem-003 lists the answers without a header; alarms are not among them, and 3.4 leaves it out',
    when: (step, ours, theirs) =>
      step.call === 'Maintenance/Alarm' && isTree(ours) && isTree(theirs) && theirs.header === undefined,
    ours: (_, ours, theirs) => {
      if (!isTree(ours) || !isTree(theirs) || !isTree(ours.header)) return false;
      const { header, ...rest } = ours;
      return (
        Object.keys(header as Tree).join() === 'revision' && JSON.stringify(rest) === JSON.stringify(theirs)
      );
    },
  },
];

/** The difference that explains these two answers, or null when nothing known does. */
export function explain(step: Step, ours: Plain, theirs: Plain): KnownDifference | null {
  return (
    KNOWN_DIFFERENCES.find((known) => known.when(step, ours, theirs) && known.ours(step, ours, theirs)) ??
    null
  );
}
