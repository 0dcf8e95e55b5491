/**
 * What two servers may differ in, taken out; what is left must be equal.
 *
 * Ids of cluster and members, terms and log indexes, sizes and versions belong to the server. Everything else,
 * revisions and hashes included, belongs to the history and is compared.
 */
import type { Answer, Step } from './exchange.ts';

/** Fields that are a server's own, wherever they occur. */
const OWN_FIELDS = new Set([
  'clusterId',
  'memberId',
  'raftTerm',
  'raftIndex',
  'raftAppliedIndex',
  'dbSize',
  'dbSizeInUse',
  'leader',
]);

/** Fields that later releases added; the real etcd 3.4 leaves them out (wire-api.tsv, column `since`). */
const LATER_FIELDS = new Set(['hashRevision', 'storageVersion', 'dbSizeQuota', 'downgradeInfo']);

export type Plain = null | boolean | number | string | Plain[] | { [name: string]: Plain };

/** Bytes become `text` or `hex:...`, 64-bit numbers decimal text, unset members disappear. */
export function plain(value: unknown): Plain {
  if (value === null || value === undefined) return null;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (value instanceof Uint8Array) return readable(value);
  if (Array.isArray(value)) return value.map(plain);
  const result: { [name: string]: Plain } = {};
  for (const [name, field] of Object.entries(value)) {
    if (field === undefined || OWN_FIELDS.has(name) || LATER_FIELDS.has(name)) continue;
    result[name] = plain(field);
  }
  return result;
}

function readable(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString('latin1');
  return /^[\x20-\x7e]*$/.test(text) ? `"${text}"` : `hex:${Buffer.from(bytes).toString('hex')}`;
}

export function normalise(step: Step, answer: Answer): Plain {
  if (!answer.ok) return { code: answer.code, message: answer.message };
  const response = plain(answer.response) as { [name: string]: Plain };
  if (step.call === 'Lease/LeaseTimeToLive') {
    if (Array.isArray(response.keys)) response.keys = [...response.keys].sort(); // sem-098: unordered
    if (isMostOf(response.TTL, response.grantedTTL)) response.TTL = 'most of it';
  }
  if (step.call === 'Lease/LeaseLeases' && Array.isArray(response.leases)) {
    response.leases = [...response.leases].map((lease) => JSON.stringify(lease)).sort();
  }
  if (step.call === 'KV/Range') normaliseTies(step.request, response);
  if (step.call === 'KV/Txn') normaliseTxnTies(step.request, response);
  if (step.call === 'Maintenance/Status') {
    delete response.version;
    delete response.errors;
  }
  if (step.call === 'Maintenance/Hash') delete response.hash;
  return response;
}

/** Longer than any history takes. */
const HISTORY_SECONDS = 120;

/** Whether so many whole seconds can be left of a lease granted in this history. Two servers are asked moments apart, so they may differ. */
export function isMostOf(left: unknown, granted: unknown): boolean {
  const passed = Number(granted) - Number(left);
  return passed >= 0 && passed < HISTORY_SECONDS && Number(left) > 0;
}

const SORT_FIELDS = ['key', 'version', 'createRevision', 'modRevision', 'value'];

/**
 * sem-026: the reference sorts unstably, so records that tie may come in any order, and which of them a limit keeps is
 * open. Compared are then the sort keys in order; and the records as a set when no limit cut them.
 */
function normaliseTies(
  request: Readonly<Record<string, unknown>>,
  response: { [name: string]: Plain },
): void {
  const target = Number(request.sortTarget ?? 0);
  const records = response.kvs;
  if (target === 0 || !Array.isArray(records)) return;
  const field = SORT_FIELDS[target] ?? 'key';
  const limited = BigInt((request.limit as bigint | number | undefined) ?? 0) > 0n;
  // keys_only hides the values a VALUE sort went by.
  const order = records.map((record) => (record as { [name: string]: Plain })[field] ?? null);
  response.kvs = limited ? order : { order, records: records.map((record) => JSON.stringify(record)).sort() };
}

function normaliseTxnTies(
  request: Readonly<Record<string, unknown>>,
  response: { [name: string]: Plain },
): void {
  const branch = (response.succeeded === true ? request.success : request.failure) as
    | readonly Record<string, unknown>[]
    | undefined;
  const answers = response.responses;
  if (branch === undefined || !Array.isArray(answers)) return;
  branch.forEach((operation, index) => {
    const answer = answers[index] as { [name: string]: Plain } | undefined;
    if (answer === undefined) return;
    const range = operation.requestRange as Record<string, unknown> | undefined;
    const nested = operation.requestTxn as Record<string, unknown> | undefined;
    if (range !== undefined && answer.responseRange) {
      normaliseTies(range, answer.responseRange as { [name: string]: Plain });
    }
    if (nested !== undefined && answer.responseTxn) {
      normaliseTxnTies(nested, answer.responseTxn as { [name: string]: Plain });
    }
  });
}
