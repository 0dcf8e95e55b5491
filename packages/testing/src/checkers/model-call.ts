/**
 * Between a recorded call and the model: the call as the model's operation, the model's outcome as an answer, and both
 * compared. All checkers that replay go through here.
 */
import type { EtcdModel, ModelKeyValue, ModelOperation, ModelOutcome } from '../model/etcd-model.ts';
import type {
  CompareClause,
  PutCall,
  RangeCall,
  RecordedAnswer,
  RecordedCall,
  TxnCall,
  TxnStep,
} from './history.ts';

export type ModelVerdict = { readonly answer: RecordedAnswer } | { readonly error: string };

/**
 * What the model answers now; changes it when the call writes. Leases named by puts are taken to exist: whether they
 * do is a matter of time, which `lease.ts` judges.
 */
export function runOnModel(model: EtcdModel, call: RecordedCall): ModelVerdict {
  if (call.kind === 'lease-keepalive' || call.kind === 'lease-time-to-live')
    throw new Error('the model has no clock');
  for (const lease of leasesOf(call)) if (!model.leases.has(lease)) model.leases.set(lease, 1);
  const operation = toModel(call);
  const result = operation.kind === 'range' ? model.range(operation) : model.apply(operation);
  return 'error' in result ? result : { answer: toAnswer(result.outcome, call) };
}

/** Whether an answer says that the call changed keys, hence took a revision. */
export function tookRevision(call: RecordedCall, answer: RecordedAnswer): boolean {
  switch (answer.kind) {
    case 'put':
      return true;
    case 'delete':
      return answer.deleted > 0;
    case 'txn': {
      if (call.kind !== 'txn') return false;
      const steps = answer.succeeded ? call.success : call.failure;
      return answer.responses.some(
        (response, index) => steps[index] !== undefined && tookRevision(steps[index], response),
      );
    }
    default:
      return false;
  }
}

/** Every put of the call that may happen, those of both branches included. */
export function putsOf(call: RecordedCall): PutCall[] {
  if (call.kind === 'put') return [call];
  return call.kind === 'txn' ? [...call.success, ...call.failure].flatMap(putsOf) : [];
}

/** Where two answers differ; null when they are the same. */
export function difference(expected: RecordedAnswer, actual: RecordedAnswer): string | null {
  const [want, got] = [canonical(expected), canonical(actual)];
  return want === got ? null : `expected ${shorten(want)}, got ${shorten(got)}`;
}

export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) => {
    if (typeof field === 'bigint') return `${field}n`;
    if (field === null || typeof field !== 'object' || Array.isArray(field)) return field;
    return Object.fromEntries(Object.entries(field).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** One line that names a call in a report. */
export function describeCall(call: RecordedCall): string {
  switch (call.kind) {
    case 'range':
      return `range ${JSON.stringify(call.key)}${call.end === '' ? '' : `..${JSON.stringify(call.end)}`}${call.serializable ? ' serializable' : ''}`;
    case 'put':
      return `put ${JSON.stringify(call.key)}=${JSON.stringify(call.value)}`;
    case 'delete':
      return `delete ${JSON.stringify(call.key)}${call.end === '' ? '' : `..${JSON.stringify(call.end)}`}`;
    case 'txn':
      return `txn [${call.success.map(describeCall).join('; ')}] else [${call.failure.map(describeCall).join('; ')}]`;
    case 'compact':
      return `compact ${call.revision}`;
    default:
      return `${call.kind} ${call.lease.toString(16)}`;
  }
}

function leasesOf(call: RecordedCall): bigint[] {
  return putsOf(call)
    .map((put) => put.lease ?? 0n)
    .filter((lease) => lease !== 0n);
}

function bytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

type ModelCall = ModelOperation | ReturnType<typeof toModelRange>;

function toModel(call: Exclude<RecordedCall, { kind: 'lease-keepalive' | 'lease-time-to-live' }>): ModelCall {
  switch (call.kind) {
    case 'compact':
      return call;
    case 'lease-grant':
      return { kind: 'lease-grant', id: call.lease, ttlSec: call.ttlSec };
    case 'lease-revoke':
      return { kind: 'lease-revoke', id: call.lease };
    default:
      return toModelStep(call);
  }
}

function toModelRange(call: RangeCall) {
  return {
    kind: 'range' as const,
    key: bytes(call.key),
    rangeEnd: bytes(call.end),
    limit: call.limit ?? 0,
    revision: call.revision ?? 0,
    sortOrder: 0,
    sortTarget: 0,
    keysOnly: call.keysOnly ?? false,
    countOnly: call.countOnly ?? false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}

function toModelStep(call: TxnStep) {
  switch (call.kind) {
    case 'range':
      return toModelRange(call);
    case 'put':
      return {
        kind: 'put' as const,
        key: bytes(call.key),
        value: bytes(call.value),
        lease: call.lease ?? 0n,
        prevKv: call.prevKv ?? false,
        ignoreValue: false,
        ignoreLease: false,
      };
    case 'delete':
      return {
        kind: 'delete-range' as const,
        key: bytes(call.key),
        rangeEnd: bytes(call.end),
        prevKv: call.prevKv ?? false,
      };
    case 'txn':
      return toModelTxn(call);
  }
}

function toModelTxn(call: TxnCall): Extract<ModelOperation, { kind: 'txn' }> {
  return {
    kind: 'txn',
    compare: call.compare.map(toModelCompare),
    success: call.success.map(toModelStep),
    failure: call.failure.map(toModelStep),
  };
}

const RESULTS = { equal: 0, greater: 1, less: 2, 'not-equal': 3 } as const;
const TARGETS = { version: 0, create: 1, mod: 2, value: 3, lease: 4 } as const;

function toModelCompare({ key, target, result, operand }: CompareClause) {
  return {
    key: bytes(key),
    rangeEnd: bytes(''),
    target: TARGETS[target],
    result: RESULTS[result],
    number: typeof operand === 'string' ? 0n : BigInt(operand),
    value: bytes(typeof operand === 'string' ? operand : ''),
  };
}

function toAnswer(outcome: ModelOutcome, call: RecordedCall): RecordedAnswer {
  switch (outcome.kind) {
    case 'range':
      return { kind: 'range', kvs: outcome.kvs, count: outcome.count, more: outcome.more };
    case 'put':
      return { kind: 'put', previous: outcome.previous };
    case 'delete-range':
      return { kind: 'delete', deleted: outcome.deleted, previous: outcome.previous };
    case 'txn': {
      const txn = call as TxnCall;
      const steps = outcome.succeeded ? txn.success : txn.failure;
      return {
        kind: 'txn',
        succeeded: outcome.succeeded,
        responses: outcome.responses.map((response, index) => toAnswer(response, steps[index]!)),
      };
    }
    case 'compact':
      return { kind: 'compact' };
    case 'lease-grant':
      return { kind: 'lease-grant', lease: outcome.id, ttlSec: outcome.ttlSec };
    case 'done':
      return { kind: 'lease-revoke' };
  }
}

function shorten(text: string): string {
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

export type KeyValues = ReadonlyMap<string, ModelKeyValue>;
