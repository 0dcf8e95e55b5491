/** Requests of the KV service, from options to wire messages. Plain calls and transactions share them. */
import type * as wire from '@quorate/proto';
import { RangeRequest_SortOrder as Order, RangeRequest_SortTarget as Target } from '@quorate/proto';
import { type Bytes, toBytes } from './bytes.ts';
import { type KeySelector, toRange } from './range.ts';

export interface RangeOptions {
  /** At most this many keys; 0 for all. */
  readonly limit?: number;
  /** Read the store as it was at this revision; 0 for now. */
  readonly revision?: number | bigint;
  readonly order?: 'ascend' | 'descend';
  readonly sortBy?: 'key' | 'version' | 'create' | 'mod' | 'value';
  /** Answer from the member's own state, which may be old, instead of asking the cluster. */
  readonly serializable?: boolean;
  readonly keysOnly?: boolean;
  readonly countOnly?: boolean;
  readonly minModRevision?: number | bigint;
  readonly maxModRevision?: number | bigint;
  readonly minCreateRevision?: number | bigint;
  readonly maxCreateRevision?: number | bigint;
}

export interface PutOptions {
  /** Attach the key to this lease. */
  readonly lease?: bigint;
  /** Answer with what the key was before. */
  readonly previous?: boolean;
  /** Keep the value; the key must exist. */
  readonly ignoreValue?: boolean;
  /** Keep the lease; the key must exist. */
  readonly ignoreLease?: boolean;
}

export interface DeleteOptions {
  /** Answer with what was deleted. */
  readonly previous?: boolean;
}

const ORDERS = { ascend: Order.ASCEND, descend: Order.DESCEND } as const;
const TARGETS = {
  key: Target.KEY,
  version: Target.VERSION,
  create: Target.CREATE,
  mod: Target.MOD,
  value: Target.VALUE,
} as const;

export function rangeRequest(
  selector: KeySelector,
  options: RangeOptions = {},
): wire.Init<wire.RangeRequest> {
  const { key, end } = toRange(selector);
  return {
    key,
    rangeEnd: end,
    limit: options.limit,
    revision: options.revision,
    sortOrder: options.order === undefined ? Order.NONE : ORDERS[options.order],
    sortTarget: TARGETS[options.sortBy ?? 'key'],
    serializable: options.serializable,
    keysOnly: options.keysOnly,
    countOnly: options.countOnly,
    minModRevision: options.minModRevision,
    maxModRevision: options.maxModRevision,
    minCreateRevision: options.minCreateRevision,
    maxCreateRevision: options.maxCreateRevision,
  };
}

export function putRequest(key: Bytes, value: Bytes, options: PutOptions = {}): wire.Init<wire.PutRequest> {
  return {
    key: toBytes(key),
    value: toBytes(value),
    lease: options.lease,
    prevKv: options.previous,
    ignoreValue: options.ignoreValue,
    ignoreLease: options.ignoreLease,
  };
}

export function deleteRequest(
  selector: KeySelector,
  options: DeleteOptions = {},
): wire.Init<wire.DeleteRangeRequest> {
  const { key, end } = toRange(selector);
  return { key, rangeEnd: end, prevKv: options.previous };
}
