/**
 * Transactions: conditions, and what to do when all of them hold or when one does not.
 *
 * ```ts
 * await kv.txn()
 *   .if(compare.version('lock', '=', 0))
 *   .do(op.put('lock', 'me'))
 *   .else(op.get('lock'))
 *   .commit();
 * ```
 */
import type * as wire from '@quorate/proto';
import { Compare_CompareResult as Result, Compare_CompareTarget as Target } from '@quorate/proto';
import { type Bytes, toBytes } from './bytes.ts';
import type { CallOptions } from './options.ts';
import { type KeySelector, toRange } from './range.ts';
import {
  type DeleteOptions,
  deleteRequest,
  type PutOptions,
  putRequest,
  type RangeOptions,
  rangeRequest,
} from './request.ts';
import type { TxnResult } from './response.ts';

/** One condition: on one key, or on every key of a range. */
export type Comparison = wire.Init<wire.Compare>;
/** One operation of a branch. */
export type Op = wire.Init<wire.RequestOp>;
export type Relation = '=' | '!=' | '<' | '>';

const RELATIONS: Record<Relation, number> = {
  '=': Result.EQUAL,
  '!=': Result.NOT_EQUAL,
  '<': Result.LESS,
  '>': Result.GREATER,
};

function comparison(
  selector: KeySelector,
  relation: Relation,
): { key: Uint8Array; rangeEnd: Uint8Array; result: number } {
  const { key, end } = toRange(selector);
  return { key, rangeEnd: end, result: RELATIONS[relation] };
}

/** Conditions. A key that does not exist has version, revisions and lease 0, and no value that equals anything. */
export const compare = {
  /** Number of puts since creation: `compare.version(key, '=', 0)` holds when the key does not exist. */
  version: (selector: KeySelector, relation: Relation, version: number | bigint): Comparison => ({
    ...comparison(selector, relation),
    target: Target.VERSION,
    version,
  }),
  createRevision: (
    selector: KeySelector,
    relation: Relation,
    createRevision: number | bigint,
  ): Comparison => ({
    ...comparison(selector, relation),
    target: Target.CREATE,
    createRevision,
  }),
  modRevision: (selector: KeySelector, relation: Relation, modRevision: number | bigint): Comparison => ({
    ...comparison(selector, relation),
    target: Target.MOD,
    modRevision,
  }),
  /** Values compare as unsigned bytes. */
  value: (selector: KeySelector, relation: Relation, value: Bytes): Comparison => ({
    ...comparison(selector, relation),
    target: Target.VALUE,
    value: toBytes(value),
  }),
  lease: (selector: KeySelector, relation: Relation, lease: bigint): Comparison => ({
    ...comparison(selector, relation),
    target: Target.LEASE,
    lease,
  }),
};

/** Operations of a branch. */
export const op = {
  get: (selector: KeySelector, options?: RangeOptions): Op => ({
    requestRange: rangeRequest(selector, options),
  }),
  put: (key: Bytes, value: Bytes, options?: PutOptions): Op => ({
    requestPut: putRequest(key, value, options),
  }),
  delete: (selector: KeySelector, options?: DeleteOptions): Op => ({
    requestDeleteRange: deleteRequest(selector, options),
  }),
  /** A transaction inside the transaction; its conditions see the store as it was before the outer one. */
  txn: (inner: Txn): Op => ({ requestTxn: inner.request() }),
};

export class Txn {
  private readonly send: (txn: Txn, options: CallOptions) => Promise<TxnResult>;
  private readonly comparisons: Comparison[] = [];
  private readonly success: Op[] = [];
  private readonly failure: Op[] = [];

  constructor(send: (txn: Txn, options: CallOptions) => Promise<TxnResult>) {
    this.send = send;
  }

  /** Adds conditions; all must hold. With none at all the `do` branch runs. */
  if(...comparisons: readonly Comparison[]): this {
    this.comparisons.push(...comparisons);
    return this;
  }

  /** What to do when they hold. (Not `then`: `await` would take the builder for a promise.) */
  do(...ops: readonly Op[]): this {
    this.success.push(...ops);
    return this;
  }

  /** What to do when one of them does not. */
  else(...ops: readonly Op[]): this {
    this.failure.push(...ops);
    return this;
  }

  request(): wire.Init<wire.TxnRequest> {
    return { compare: this.comparisons, success: this.success, failure: this.failure };
  }

  /** Whether it can change nothing, and so may be repeated freely. */
  get readOnly(): boolean {
    return [...this.success, ...this.failure].every((one) => one.requestRange !== undefined);
  }

  commit(options: CallOptions = {}): Promise<TxnResult> {
    return this.send(this, options);
  }
}
