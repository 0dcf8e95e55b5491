/** Opens a file with all tables, ready to be read and written as bytes. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import { LOG, TABLE_NAMES } from '../../tables.ts';
import type { TableName } from '../backend.ts';
import { writeBytes } from './access.ts';
import { checkLmdbFile } from './check-file.ts';
import { backendError } from './errors.ts';
import { syncPath } from './folder.ts';
import { reserveLockFile } from './lock-file.ts';
import { KEY_IN_PLACE, VALUE_IN_PLACE } from './log-scan.ts';

/**
 * Scans give views into the buffers that lmdb-js reuses for every key and value, as `BackendReader.scan` allows: a copy of each costs more than
 * the scan itself.
 */
const KEY_VIEWS = {
  writeKey: writeBytes,
  readKey(target: Uint8Array, start: number, end: number): Uint8Array {
    return new Uint8Array(target.buffer, target.byteOffset + start, end - start);
  },
};
const VALUE_VIEWS = {
  encode: (value: Uint8Array): Uint8Array => value,
  decode: (bytes: Uint8Array, size: number): Uint8Array =>
    new Uint8Array(bytes.buffer, bytes.byteOffset, size),
};

export type Tables = Record<TableName, Database<Uint8Array, Uint8Array>>;

export interface Opened {
  readonly root: RootDatabase<Uint8Array, Uint8Array>;
  readonly tables: Tables;
  /** `log` once more, for `scanLog`. */
  readonly log: Database<null, number>;
}

export function openFile(path: string, mapSizeBytes: number, noSync = false): Opened {
  try {
    const exists = existsSync(path);
    if (exists) checkLmdbFile(path);
    reserveLockFile(`${path}-lock`);
    const root = open<Uint8Array, Uint8Array>({
      path,
      noSubdir: true,
      mapSize: mapSizeBytes,
      maxDbs: TABLE_NAMES.length + 1,
      overlappingSync: false,
      noSync,
      keyEncoding: 'binary',
      encoding: 'binary',
    } as Parameters<typeof open>[0]) as RootDatabase<Uint8Array, Uint8Array>;
    const tables: Tables = {};
    for (const name of TABLE_NAMES) {
      tables[name] = root.openDB({
        name,
        keyEncoder: KEY_VIEWS,
        encoder: VALUE_VIEWS,
      } as never) as unknown as Tables[string];
    }
    const log = root.openDB({ name: LOG, keyEncoder: KEY_IN_PLACE, encoder: VALUE_IN_PLACE } as never);
    if (!exists) syncPath(dirname(path));
    return { root, tables, log: log as unknown as Database<null, number> };
  } catch (error) {
    throw backendError(error);
  }
}

/** Its types say `void`. */
export interface AppendDatabase {
  putSync(key: Uint8Array, value: Uint8Array, options: { append: true }): boolean;
}
