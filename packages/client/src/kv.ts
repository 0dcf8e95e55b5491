/** Keys and values: get, range, scan, put, delete, transactions, compaction. */
import { services } from '@quorate/proto';
import type { Bytes } from './bytes.ts';
import type { CallOptions } from './options.ts';
import { between, type KeySelector, toRange } from './range.ts';
import {
  type DeleteOptions,
  deleteRequest,
  type PutOptions,
  putRequest,
  type RangeOptions,
  rangeRequest,
} from './request.ts';
import {
  type DeleteResult,
  type Header,
  type KeyValue,
  type PutResult,
  type RangeResult,
  toDeleteResult,
  toHeader,
  toPutResult,
  toRangeResult,
  toTxnResult,
} from './response.ts';
import type { Session } from './session.ts';
import { Txn } from './txn.ts';

const KV = services['etcdserverpb.KV'];

export class Kv {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  /** One key, or null when it does not exist. */
  async get(key: Bytes, options: RangeOptions & CallOptions = {}): Promise<KeyValue | null> {
    const { kvs } = await this.range(key, options);
    return kvs[0] ?? null;
  }

  /** All keys of a range in one answer. For ranges that may be large see `scan`. */
  async range(selector: KeySelector, options: RangeOptions & CallOptions = {}): Promise<RangeResult> {
    return toRangeResult(
      await this.session.unary(KV.Range, rangeRequest(selector, options), 'read', options),
    );
  }

  /** Number of keys in a range. */
  async count(
    selector: KeySelector,
    options: Omit<RangeOptions, 'countOnly'> & CallOptions = {},
  ): Promise<number> {
    return (await this.range(selector, { ...options, countOnly: true })).count;
  }

  /**
   * Every key of a range in key order, page by page, all as of one revision.
   * @throws ClientError COMPACTED when that revision is compacted before the end
   */
  async *scan(
    selector: KeySelector,
    options: { pageSize?: number; revision?: number | bigint; keysOnly?: boolean } & CallOptions = {},
  ): AsyncGenerator<KeyValue, void, void> {
    const { pageSize = 1000, ...rest } = options;
    let { key, end } = toRange(selector);
    let revision = options.revision ?? 0;
    for (;;) {
      const page = await this.range(between(key, end), { ...rest, revision, limit: pageSize });
      yield* page.kvs;
      const last = page.kvs.at(-1);
      if (!page.more || !last) return;
      if (Number(revision) <= 0) revision = page.header.revision;
      // The smallest key after `last`: itself and one zero byte.
      key = Uint8Array.from([...last.key, 0]);
    }
  }

  async put(key: Bytes, value: Bytes, options: PutOptions & CallOptions = {}): Promise<PutResult> {
    return toPutResult(await this.session.unary(KV.Put, putRequest(key, value, options), 'write', options));
  }

  async delete(selector: KeySelector, options: DeleteOptions & CallOptions = {}): Promise<DeleteResult> {
    return toDeleteResult(
      await this.session.unary(KV.DeleteRange, deleteRequest(selector, options), 'write', options),
    );
  }

  /** Starts a transaction; nothing is sent before `commit`. */
  txn(): Txn {
    return new Txn(async (txn, options) =>
      toTxnResult(await this.session.unary(KV.Txn, txn.request(), txn.readOnly ? 'read' : 'write', options)),
    );
  }

  /**
   * Forgets everything that was superseded at or below `revision`.
   * @param options.physical wait until the space is free inside the store
   */
  async compact(
    revision: number | bigint,
    options: { physical?: boolean } & CallOptions = {},
  ): Promise<Header> {
    const request = { revision, physical: options.physical };
    const { header } = await this.session.unary(KV.Compact, request, 'write', options);
    return toHeader(header);
  }
}
