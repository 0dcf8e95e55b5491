/** Short words for requests, so that a case reads as one line. Numbers may be given as `number` or `bigint`. */
import type { Step } from './exchange.ts';

export type Fields = Readonly<Record<string, unknown>>;

/** Bytes of a text; `\0` and `\xff` written as escapes are those bytes. */
export const b = (text: string): Uint8Array => Buffer.from(text, 'latin1');

export const range = (key: string, fields: Fields = {}): Step => ({
  call: 'KV/Range',
  request: { key: b(key), ...fields },
});
export const put = (key: string, value: string, fields: Fields = {}): Step => ({
  call: 'KV/Put',
  request: { key: b(key), value: b(value), ...fields },
});
export const del = (key: string, fields: Fields = {}): Step => ({
  call: 'KV/DeleteRange',
  request: { key: b(key), ...fields },
});
export const compact = (revision: number | bigint, fields: Fields = {}): Step => ({
  call: 'KV/Compact',
  request: { revision, ...fields },
});
export const txn = (
  compare: readonly Fields[],
  success: readonly Fields[],
  failure: readonly Fields[] = [],
): Step => ({
  call: 'KV/Txn',
  request: { compare, success, failure },
});
export const grant = (id: number | bigint, ttl: number | bigint): Step => ({
  call: 'Lease/LeaseGrant',
  request: { ID: id, TTL: ttl },
});
export const revoke = (id: number | bigint): Step => ({ call: 'Lease/LeaseRevoke', request: { ID: id } });
export const timeToLive = (id: number | bigint, keys = true): Step => ({
  call: 'Lease/LeaseTimeToLive',
  request: { ID: id, keys },
});
export const hashKv = (revision: number | bigint = 0): Step => ({
  call: 'Maintenance/HashKV',
  request: { revision },
});

/** Operations inside a transaction. */
export const op = {
  range: (key: string, fields: Fields = {}): Fields => ({ requestRange: { key: b(key), ...fields } }),
  put: (key: string, value: string, fields: Fields = {}): Fields => ({
    requestPut: { key: b(key), value: b(value), ...fields },
  }),
  del: (key: string, fields: Fields = {}): Fields => ({ requestDeleteRange: { key: b(key), ...fields } }),
  txn: (compare: readonly Fields[], success: readonly Fields[], failure: readonly Fields[] = []): Fields => ({
    requestTxn: { compare, success, failure },
  }),
  none: {} as Fields,
};

export const EQUAL = 0;
export const GREATER = 1;
export const LESS = 2;
export const NOT_EQUAL = 3;

const TARGETS = { version: 0, createRevision: 1, modRevision: 2, value: 3, lease: 4 } as const;

/** `when('a', 'version', EQUAL, 1)`. */
export function when(
  key: string,
  target: keyof typeof TARGETS,
  result: number,
  operand: number | bigint | string,
  fields: Fields = {},
): Fields {
  return {
    key: b(key),
    target: TARGETS[target],
    result,
    [target]: typeof operand === 'string' ? b(operand) : BigInt(operand),
    ...fields,
  };
}

export const INT64_MAX = 9223372036854775807n;
export const INT64_MIN = -9223372036854775808n;
