/**
 * LMDB as the ordered byte store.
 *
 * Files in the store's folder: `store-000001.mdb` and its lock file. Each defragmentation makes the next number: the copy is
 * written as `store-000002.tmp`, synced, renamed, the folder synced; only then is the old one removed. A store that is built anew beside it is
 * `fresh-NAME.tmp` until it takes the next number in the same way. At start the highest number wins and everything else is removed.
 *
 * Settings that are promises: no `useWritemap` (a full disk would raise SIGBUS), no overlapping sync (a returned commit is durable), the map
 * reserved up front. LMDB truncated behind its back raises SIGBUS on a read, so sizes are checked before it is opened.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type Database, open, type RootDatabase, type Transaction } from 'lmdb';
import { copyBytes, EMPTY } from '../bytes.ts';
import { LOG, TABLE_NAMES } from '../tables.ts';
import {
  type AdoptPlace,
  type Backend,
  type BackendCopy,
  BackendError,
  type BackendReader,
  type BackendStats,
  type BackendTransaction,
  type BackendWriter,
  type FreshDatabase,
  type TableName,
} from './backend.ts';
import { insideGate } from './exit-gate.ts';
import { checkLmdbFile } from './lmdb-file.ts';
import { reserveLockFile } from './lock-file.ts';

export interface LmdbOptions {
  readonly directory: string;
  readonly mapSizeBytes: number;
}

/** Opens the folder at start: nobody else may use it, for what a crash left behind is removed. */
export function lmdbBackend(options: LmdbOptions): Backend {
  makeDirectory(options.directory);
  const names = storeFiles(options.directory);
  const newest = newestOf(names);
  for (const name of names) {
    if (!name.startsWith(`${fileName(newest)}.mdb`)) rmSync(join(options.directory, name));
  }
  return new LmdbBackend(options, newest);
}

/** The same folder again, for another thread or after a move: removes nothing. */
export function lmdbBackendAgain(options: LmdbOptions): Backend {
  return new LmdbBackend(options, newestOf(storeFiles(options.directory)));
}

/** Whether the folder holds a store. */
export function holdsStore(directory: string): boolean {
  return existsSync(directory) && storeFiles(directory).some((name) => name.endsWith('.mdb'));
}

/** Removes a fresh database whose maker ended without doing so. */
export function removeFresh(directory: string, name: string): void {
  removeFiles(freshPath(directory, name));
}

/** Makes the folder and its parents, so that their names survive a power loss too. */
function makeDirectory(directory: string): void {
  const first = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = resolve(directory); ; made = dirname(made)) {
    syncPath(dirname(made));
    if (made === resolve(first) || made === dirname(made)) return;
  }
}

const fileName = (generation: number): string => `store-${String(generation).padStart(6, '0')}`;

const freshPath = (directory: string, name: string): string => join(directory, `fresh-${name}.tmp`);

function storeFiles(directory: string): string[] {
  return readdirSync(directory).filter((name) => /^(store-\d{6}\.|fresh-\w+\.tmp)/.test(name));
}

/** The generation to open. */
function newestOf(names: readonly string[]): number {
  let newest = 1;
  for (const name of names) if (name.endsWith('.mdb')) newest = Math.max(newest, Number(name.slice(6, 12)));
  return newest;
}

/**
 * Scans give views into the buffers that lmdb-js reuses for every key and value, as `BackendReader.scan` allows: a copy of each costs more than
 * the scan itself.
 */
const KEY_VIEWS = {
  writeKey(key: Uint8Array, target: Uint8Array, start: number): number {
    target.set(key, start);
    return start + key.length;
  },
  readKey(target: Uint8Array, start: number, end: number): Uint8Array {
    return new Uint8Array(target.buffer, target.byteOffset + start, end - start);
  },
};
const VALUE_VIEWS = {
  encode: (value: Uint8Array): Uint8Array => value,
  decode: (bytes: Uint8Array, size: number): Uint8Array =>
    new Uint8Array(bytes.buffer, bytes.byteOffset, size),
};

/** Where the key and the value lie that a scan of `log` is at: one after the other, so one place for all. */
let keys: Uint8Array = EMPTY;
let valueSource: Uint8Array = EMPTY;
let values: Uint8Array = EMPTY;
let valueBytes = 0;
const LOG_KEYS = {
  writeKey: KEY_VIEWS.writeKey,
  readKey(target: Uint8Array, start: number): number {
    keys = target;
    return start;
  },
};
const LOG_VALUES = {
  encode: VALUE_VIEWS.encode,
  decode(bytes: Uint8Array & { maxLength?: number }, size: number): null {
    // The buffer that is used again and again has a `length` of its own making, and so gets a view that lasts.
    if (bytes !== valueSource || values.length < size) {
      valueSource = bytes;
      values = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.maxLength ?? size);
    }
    valueBytes = size;
    return null;
  },
};

type Tables = Record<TableName, Database<Uint8Array, Uint8Array>>;

interface Opened {
  readonly root: RootDatabase<Uint8Array, Uint8Array>;
  readonly tables: Tables;
  /** `log` once more. */
  readonly log: Database<null, number>;
}

function openFile(path: string, mapSizeBytes: number, noSync = false): Opened {
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
    const log = root.openDB({ name: LOG, keyEncoder: LOG_KEYS, encoder: LOG_VALUES } as never);
    if (!exists) syncPath(dirname(path));
    return { root, tables, log: log as unknown as Database<null, number> };
  } catch (error) {
    throw backendError(error);
  }
}

class LmdbBackend implements Backend {
  readonly #options: LmdbOptions;
  readonly #generation: number;

  constructor(options: LmdbOptions, generation: number) {
    this.#options = options;
    this.#generation = generation;
  }

  get #path(): string {
    return join(this.#options.directory, `${fileName(this.#generation)}.mdb`);
  }

  openReader(): BackendReader {
    return new LmdbReader(openFile(this.#path, this.#options.mapSizeBytes));
  }

  openWriter(): BackendWriter {
    return new LmdbWriter(openFile(this.#path, this.#options.mapSizeBytes), this.#options.directory);
  }

  copyCompact(done: (error: Error | null, copy: BackendCopy | null) => void): () => void {
    const next = this.#generation + 1;
    const path = join(this.#options.directory, `${fileName(next)}.tmp`);
    removeFiles(path);
    const { mapSizeBytes } = this.#options;
    // First what may fail, on a full disk: the other would stay open.
    const to = openFile(path, mapSizeBytes, true);
    return copyFile(openFile(this.#path, mapSizeBytes), to, (error) => {
      if (error === null) done(null, new LmdbCopy(this.#options, path, this.#path, next));
      else {
        removeFiles(path);
        done(backendError(error), null);
      }
    });
  }

  createFresh(name: string): FreshDatabase {
    return new LmdbFresh(freshPath(this.#options.directory, name), this.#options);
  }

  adoptFresh(name: string, visit: (place: AdoptPlace) => void): Backend {
    const path = freshPath(this.#options.directory, name);
    return adoptFile(this.#options, path, this.#path, this.#generation + 1, visit);
  }
}

/** What one slice of a copy takes. */
const COPY_ROWS = 2_000;
const COPY_BYTES = 1 << 20;

/**
 * Copies a snapshot row by row, in slices, so that it can be given up at any time: LMDB's own copy cannot, and whoever wants to close the file would wait for it.
 * Rows come in order, so pages of the copy are full.
 * @param done when both files are closed
 * @returns gives up
 */
function copyFile(from: Opened, to: Opened, done: (error: unknown) => void): () => void {
  const transaction = from.root.useReadTransaction();
  let cancelled = false;
  let table = 0;
  let after: Uint8Array | null = null;
  const end = (error: unknown): void => {
    transaction.done();
    Promise.all([from.root.close(), to.root.close()]).then(
      () => done(error),
      (failure: unknown) => done(error ?? failure),
    );
  };
  /** Copies the next rows of the table at hand. @returns whether that was all of it */
  const copyRows = (): boolean => {
    let rows = COPY_ROWS;
    let bytes = COPY_BYTES;
    const name = TABLE_NAMES[table]!;
    const range = { start: after ?? undefined, exclusiveStart: after !== null, transaction };
    const target = to.tables[name]! as unknown as AppendDatabase;
    for (const { key, value } of from.tables[name]!.getRange(range as never)) {
      const own = copyBytes(key);
      if (!target.putSync(own, copyBytes(value), { append: true })) {
        throw new BackendError('CORRUPTED', `table ${name} is out of order`);
      }
      bytes -= key.length + value.length;
      if (--rows > 0 && bytes > 0) continue;
      after = own;
      return false;
    }
    return true;
  };
  const slice = (): void => {
    try {
      if (cancelled) throw new BackendError('CANCELLED', 'the copy was given up');
      let ended = false;
      to.root.transactionSync(() => {
        ended = copyRows();
      });
      if (ended) {
        table++;
        after = null;
      }
    } catch (error) {
      end(error);
      return;
    }
    if (table === TABLE_NAMES.length) end(null);
    else setImmediate(next);
  };
  const next = (): void => insideGate(slice);
  setImmediate(next);
  return () => {
    cancelled = true;
  };
}

class LmdbFresh implements FreshDatabase {
  readonly reader: BackendReader;
  readonly writer: BackendWriter;
  readonly #opened: Opened;
  readonly #path: string;
  #closed: Promise<void> | null = null;

  constructor(path: string, options: LmdbOptions) {
    removeFiles(path);
    // Nothing of it counts before `seal`, so no transaction needs a sync of its own.
    this.#opened = openFile(path, options.mapSizeBytes, true);
    this.#path = path;
    this.reader = new LmdbReader(this.#opened);
    this.writer = new LmdbWriter(this.#opened, options.directory);
  }

  /** LMDB shares what two openings of one file have, settings too: the file must be closed before anybody else opens it. */
  #close(): Promise<void> {
    this.#closed ??= this.#opened.root.close();
    return this.#closed;
  }

  seal(done: (error: Error | null) => void): void {
    this.#close()
      .then(() => {
        syncPath(this.#path);
        syncPath(dirname(this.#path));
        rmSync(`${this.#path}-lock`, { force: true });
      })
      .then(
        () => done(null),
        (error: unknown) => done(backendError(error)),
      );
  }

  discard(): void {
    void this.#close();
    removeFiles(this.#path);
  }
}

class LmdbCopy implements BackendCopy {
  readonly #options: LmdbOptions;
  readonly #path: string;
  readonly #oldPath: string;
  readonly #generation: number;

  constructor(options: LmdbOptions, path: string, oldPath: string, generation: number) {
    this.#options = options;
    this.#path = path;
    this.#oldPath = oldPath;
    this.#generation = generation;
  }

  openWriter(): BackendWriter {
    return new LmdbWriter(openFile(this.#path, this.#options.mapSizeBytes), this.#options.directory);
  }

  adopt(visit: (place: AdoptPlace) => void): Backend {
    return adoptFile(this.#options, this.#path, this.#oldPath, this.#generation, visit);
  }

  discard(): void {
    removeFiles(this.#path);
  }
}

/** Makes the file at `path` generation `generation`, the newest: from then on it is the one that is opened. */
function adoptFile(
  options: LmdbOptions,
  path: string,
  oldPath: string,
  generation: number,
  visit: (place: AdoptPlace) => void,
): Backend {
  try {
    syncPath(path);
    visit('beforeRename');
    renameSync(path, join(options.directory, `${fileName(generation)}.mdb`));
    visit('beforeDirectorySync');
    syncPath(options.directory);
    visit('afterDirectorySync');
    removeFiles(path);
    // Readers that have the old file open keep it until they close it.
    removeFiles(oldPath);
  } catch (error) {
    throw backendError(error);
  }
  return new LmdbBackend(options, generation);
}

function removeFiles(path: string): void {
  rmSync(path, { force: true });
  rmSync(`${path}-lock`, { force: true });
}

function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Pages that are freed meanwhile cannot be used again: short for a writer, long beside what a lone get costs. */
const HOLD_MS = 100;

class LmdbReader implements BackendReader {
  readonly #opened: Opened;
  /**
   * What lone gets see. The binding's own snapshot ends with the turn, by a timer that a lone get pays for, and that wakes an idle loop.
   * A scan needs no timer more, and on a snapshot that is held it cannot use the last one's cursor: 4 us.
   */
  #held: Snapshot | null = null;
  #release: NodeJS.Timeout | null = null;
  /** Records, heads and counts belong together: what is asked first says where a turn reads all of it. */
  #source: 'held' | 'binding' | null = null;
  readonly #endTurn = (): void => {
    this.#source = null;
  };

  constructor(opened: Opened) {
    this.#opened = opened;
  }

  get(table: TableName, key: Uint8Array): Uint8Array | undefined {
    return getFrom(this.#opened.tables[table]!, key, this.#snapshot('held'));
  }

  /** @returns undefined for the binding's own */
  #snapshot(wanted: 'held' | 'binding'): Snapshot | undefined {
    if (this.#source === null) {
      this.#source = wanted;
      queueMicrotask(this.#endTurn);
    }
    return this.#source === 'held' ? (this.#held ?? this.#hold()) : undefined;
  }

  #hold(): Snapshot {
    this.#held = { transaction: this.#opened.root.useReadTransaction() };
    this.#release = setTimeout(() => this.#letGo(), HOLD_MS);
    this.#release.unref();
    return this.#held;
  }

  #letGo(): void {
    if (this.#release !== null) clearTimeout(this.#release);
    this.#release = null;
    this.#held?.transaction.done();
    this.#held = null;
  }

  scan: BackendReader['scan'] = (table, range, visit) =>
    scanOf(this.#opened.tables[table]!, range, visit, this.#snapshot('binding'));

  scanLog: BackendReader['scanLog'] = (range, visit) => {
    if (range.high !== null && Buffer.compare(range.low, range.high) >= 0) return;
    for (const { key } of this.#opened.log.getRange({
      ...bounds(range),
      ...this.#snapshot('binding'),
    } as object)) {
      if (!visit(keys, key, values, valueBytes)) return;
    }
  };

  count(table: TableName, range: { low: Uint8Array; high: Uint8Array | null }): number {
    if (range.high !== null && Buffer.compare(range.low, range.high) >= 0) return 0;
    const options = { ...bounds(range), ...this.#snapshot('binding') };
    return this.#opened.tables[table]!.getKeysCount(options as object);
  }

  refresh(): void {
    this.#letGo();
    (this.#opened.root as unknown as { resetReadTxn(): void }).resetReadTxn();
  }

  stats(): BackendStats {
    return statsOf(this.#opened);
  }

  close(): void {
    this.#letGo();
    void this.#opened.root.close();
  }
}

class LmdbWriter implements BackendWriter {
  readonly #opened: Opened;
  readonly #directory: string;

  constructor(opened: Opened, directory: string) {
    this.#opened = opened;
    this.#directory = directory;
  }

  write(work: (transaction: BackendTransaction) => void): void {
    const { root, tables } = this.#opened;
    const transaction: BackendTransaction = {
      get: (table, key) => getFrom(tables[table]!, key),
      scan: (table, range, visit) => scanOf(tables[table]!, range, visit),
      put: (table, key, value) => {
        tables[table]!.putSync(key, value);
      },
      append: (table, key, value) => {
        // Refused appends are not thrown by lmdb-js.
        if (!(tables[table]! as unknown as AppendDatabase).putSync(key, value, { append: true })) {
          throw new BackendError('KEYEXIST', `append to ${table}: the key is not above the last one`);
        }
      },
      remove: (table, key) => tables[table]!.removeSync(key),
    };
    try {
      root.transactionSync(() => work(transaction));
    } catch (error) {
      throw namingFullDisk(backendError(error), this.#directory);
    }
  }

  close(): void {
    void this.#opened.root.close();
  }
}

/** Its types say `void`. */
interface AppendDatabase {
  putSync(key: Uint8Array, value: Uint8Array, options: { append: true }): boolean;
}

interface Snapshot {
  readonly transaction: Transaction;
}

interface FastDatabase {
  getBinaryFast(key: Uint8Array, snapshot?: Snapshot): (Uint8Array & { isGlobal?: boolean }) | undefined;
  lastSize: number;
}

function getFrom(
  database: Database<Uint8Array, Uint8Array>,
  key: Uint8Array,
  snapshot?: Snapshot,
): Uint8Array | undefined {
  if (key.length === 0) return undefined;
  const fast = database as unknown as FastDatabase;
  const bytes = fast.getBinaryFast(key, snapshot);
  if (bytes === undefined) return undefined;
  // The buffer that every get reuses has a `length` of its own making: take exactly what was read.
  return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, fast.lastSize);
}

function bounds(range: { low: Uint8Array; high: Uint8Array | null }): {
  start: Uint8Array | undefined;
  end: Uint8Array | undefined;
} {
  return { start: range.low.length === 0 ? undefined : range.low, end: range.high ?? undefined } as {
    start: Uint8Array | undefined;
    end: Uint8Array | undefined;
  };
}

function scanOf(
  database: Database<Uint8Array, Uint8Array>,
  range: { low: Uint8Array; high: Uint8Array | null; reverse?: boolean },
  visit: (key: Uint8Array, value: Uint8Array) => boolean,
  snapshot?: Snapshot,
): void {
  if (range.high !== null && Buffer.compare(range.low, range.high) >= 0) return;
  const { start, end } = bounds(range);
  const options =
    range.reverse === true
      ? { ...snapshot, reverse: true, start: end, end: start, exclusiveStart: true, inclusiveEnd: true }
      : { ...snapshot, start, end };
  for (const { key, value } of database.getRange(options as Parameters<typeof database.getRange>[0])) {
    if (!visit(key, value)) return;
  }
}

interface NativeStat {
  pageSize: number;
  treeBranchPageCount: number;
  treeLeafPageCount: number;
  overflowPages: number;
  root?: NativeStat;
  free?: NativeStat;
  lastPageNumber?: number;
}

const META_PAGES = 2;

/** Sizes from the trees' own page counts: constant time, whatever the size. What is in use is counted only for who asks. */
function statsOf({ root, tables }: Opened): BackendStats {
  const pages = (stat: NativeStat): number =>
    stat.treeBranchPageCount + stat.treeLeafPageCount + stat.overflowPages;
  const whole = root.getStats() as unknown as NativeStat;
  return {
    fileBytes: (whole.lastPageNumber! + 1) * whole.pageSize,
    get usedBytes() {
      let used = META_PAGES + pages(whole.root!) + pages(whole.free!);
      for (const name of TABLE_NAMES) used += pages(tables[name]!.getStats() as unknown as NativeStat);
      return used * whole.pageSize;
    },
  };
}

/** A write cut short by a full disk is EIO to LMDB: the free space tells what it was. */
function namingFullDisk(error: BackendError, directory: string): BackendError {
  if (error.code !== 'EIO') return error;
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize > NEARLY_FULL_BYTES) return error;
  return new BackendError('ENOSPC', `${directory}: the disk is full`, { cause: error });
}

const NEARLY_FULL_BYTES = 1 << 20;

/** LMDB speaks in numbers and sentences; here is the one place that turns them into codes. */
function backendError(error: unknown): BackendError {
  if (error instanceof BackendError) return error;
  if (!(error instanceof Error)) return new BackendError('UNKNOWN', String(error), { cause: error });
  const coded = error as Error & { code?: string | number };
  const text = error.message;
  let code = typeof coded.code === 'string' ? coded.code : 'UNKNOWN';
  if (/No space left/i.test(text)) code = 'ENOSPC';
  else if (/Input\/output error/i.test(text)) code = 'EIO';
  else if (/Read-only file system/i.test(text)) code = 'EROFS';
  else {
    const named = /MDB_([A-Z_]+)/.exec(text);
    if (named !== null) code = named[1]!;
  }
  return new BackendError(code, text, { cause: error });
}
