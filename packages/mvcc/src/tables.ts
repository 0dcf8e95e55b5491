/**
 * The tables of the database.
 *
 *   head        live key -> newest record's revision, create revision, version, lease (`head-entry.ts`)
 *   graves      the same for keys whose newest record is a tombstone, so that `head` holds live keys only
 *   log         revision -> header and event bytes (`log-record.ts`)
 *   blocks      01 + table key of a run's first live key -> number of live keys in the run (`blocks.ts`)
 *   lease_keys  lease (8 bytes) + key -> nothing
 *   meta        name of a table of the store's user, 00, key -> value
 *   state       the store's own few values, by name (`state.ts`)
 *
 * `log`, `meta` and the applied state go together in one transaction of the flush; `head`, `graves`, `blocks` and `lease_keys` follow
 * more rarely (`flush/`) and can be derived again from `log` after the head watermark.
 */
import { KeyTable } from './key-codec.ts';

export const TABLE_NAMES = ['head', 'graves', 'log', 'blocks', 'lease_keys', 'meta', 'state'] as const;

export const HEAD = new KeyTable('head');
export const GRAVES = new KeyTable('graves');
export const LOG = 'log';
export const BLOCKS = 'blocks';
export const META = 'meta';
export const STATE = 'state';

export function leaseKeysTable(lease: bigint): KeyTable {
  const prefix = new Uint8Array(8);
  new DataView(prefix.buffer).setBigInt64(0, lease);
  return new KeyTable('lease_keys', prefix);
}

export function metaTable(table: string): KeyTable {
  const prefix = Buffer.from(`${table}\0`, 'latin1');
  return new KeyTable('meta', prefix);
}
