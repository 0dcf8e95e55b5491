/**
 * The backend without a disk: for tests and the simulator.
 *
 * It keeps LMDB's promises and traps: a reader sees a snapshot and moves only on `refresh`, a writer sees its own changes, a transaction
 * that throws leaves nothing. Tables are sorted arrays copied on the first write of a transaction. What "durable" means is the simulator's affair:
 * `crash` forgets every reader and writer and keeps what was written.
 */
import { compareBytes, copyBytes } from '../bytes.ts';
import { LOG } from '../tables.ts';
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

interface Pair {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}
type Tables = ReadonlyMap<TableName, readonly Pair[]>;

const MAX_KEY_BYTES = 1_978;

/** What a test may do to a backend besides using it. */
export interface MemoryBackend extends Backend {
  /** Called before each transaction becomes visible and durable; what it throws fails the transaction. */
  beforeCommit: ((transactionCount: number) => void) | null;
  /** Moves every open reader to the newest snapshot, as LMDB's does by itself between turns: not only on `refresh`. */
  moveReaders(): void;
  /** What a restart would find: for a second store on the same data. */
  reopen(): MemoryBackend;
}

export function memoryBackend(): MemoryBackend {
  return new MemoryDatabase({ contents: { current: new Map() }, fresh: new Map() });
}

/** One generation's contents. */
interface Contents {
  current: Tables;
}

/** The part that survives: shared by every object made for it. Readers and writers stay with the generation they were opened on. */
interface Disk {
  contents: Contents;
  readonly fresh: Map<string, Contents>;
}

class MemoryDatabase implements MemoryBackend {
  beforeCommit: ((transactionCount: number) => void) | null = null;
  readonly #disk: Disk;
  readonly #readers = new Set<MemoryReader>();
  #transactionCount = 0;
  #writerOpen = false;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  reopen(): MemoryBackend {
    this.#disk.fresh.clear();
    return new MemoryDatabase(this.#disk);
  }

  openReader(): BackendReader {
    const reader = new MemoryReader(this.#disk.contents, () => this.#readers.delete(reader));
    this.#readers.add(reader);
    return reader;
  }

  moveReaders(): void {
    for (const reader of this.#readers) reader.refresh();
  }

  openWriter(): BackendWriter {
    if (this.#writerOpen) throw new BackendError('BUSY', 'the backend has a writer already');
    this.#writerOpen = true;
    return this.#writerOf(this.#disk.contents, () => {
      this.#writerOpen = false;
    });
  }

  #writerOf(contents: Contents, closed: () => void): BackendWriter {
    return {
      write: (work) => {
        const transaction = new MemoryTransaction(contents.current);
        work(transaction);
        this.beforeCommit?.(++this.#transactionCount);
        contents.current = transaction.end();
      },
      close: closed,
    };
  }

  copyCompact(done: (error: Error | null, copy: BackendCopy | null) => void): () => void {
    const copied: Contents = { current: this.#disk.contents.current };
    const copy = new MemoryDatabase({ contents: copied, fresh: new Map() });
    done(null, {
      openWriter: () => copy.openWriter(),
      adopt: (visit) => this.#adopt(copied, visit),
      discard: () => {},
    });
    return () => {};
  }

  createFresh(name: string): FreshDatabase {
    const contents: Contents = { current: new Map() };
    this.#disk.fresh.set(name, contents);
    return {
      reader: new MemoryReader(contents, () => {}),
      writer: this.#writerOf(contents, () => {}),
      seal: (done) => done(null),
      discard: () => this.#disk.fresh.delete(name),
    };
  }

  adoptFresh(name: string, visit: (place: AdoptPlace) => void): Backend {
    const contents = this.#disk.fresh.get(name);
    if (contents === undefined) throw new BackendError('ENOENT', `no fresh database ${name}`);
    const next = this.#adopt(contents, visit);
    this.#disk.fresh.delete(name);
    return next;
  }

  #adopt(contents: Contents, visit: (place: AdoptPlace) => void): MemoryDatabase {
    visit('beforeRename');
    this.#disk.contents = contents;
    visit('beforeDirectorySync');
    visit('afterDirectorySync');
    const next = new MemoryDatabase(this.#disk);
    next.beforeCommit = this.beforeCommit;
    return next;
  }
}

class MemoryReader implements BackendReader {
  readonly #contents: Contents;
  readonly #closed: () => void;
  #snapshot: Tables;

  constructor(contents: Contents, closed: () => void) {
    this.#contents = contents;
    this.#closed = closed;
    this.#snapshot = contents.current;
  }

  get(table: TableName, key: Uint8Array): Uint8Array | undefined {
    return getFrom(this.#snapshot.get(table), key);
  }

  scan: BackendReader['scan'] = (table, range, visit) => scanOf(this.#snapshot.get(table), range, visit);

  scanLog: BackendReader['scanLog'] = (range, visit) =>
    this.scan(LOG, range, (key, value) => visit(key, 0, value, value.length));

  count(table: TableName, range: { low: Uint8Array; high: Uint8Array | null }): number {
    const pairs = this.#snapshot.get(table) ?? [];
    return Math.max(0, endOf(pairs, range.high) - lowerBound(pairs, range.low));
  }

  refresh(): void {
    this.#snapshot = this.#contents.current;
  }

  stats(): BackendStats {
    return statsOf(this.#snapshot);
  }

  close(): void {
    this.#snapshot = new Map();
    this.#closed();
  }
}

class MemoryTransaction implements BackendTransaction {
  readonly #tables: Map<TableName, Pair[]>;
  readonly #own = new Set<TableName>();

  constructor(tables: Tables) {
    // The arrays are copied before the first change (`#ownTable`).
    this.#tables = new Map(tables) as Map<TableName, Pair[]>;
  }

  get(table: TableName, key: Uint8Array): Uint8Array | undefined {
    return getFrom(this.#tables.get(table), key);
  }

  scan: BackendReader['scan'] = (table, range, visit) => {
    // The visitor may change the table.
    scanOf(this.#tables.get(table)?.slice(), range, visit);
  };

  put(table: TableName, key: Uint8Array, value: Uint8Array): void {
    checkKey(key);
    const pairs = this.#ownTable(table);
    const at = lowerBound(pairs, key);
    const pair = { key: copyBytes(key), value: copyBytes(value) };
    if (at < pairs.length && compareBytes(pairs[at]!.key, key) === 0) pairs[at] = pair;
    else pairs.splice(at, 0, pair);
  }

  append(table: TableName, key: Uint8Array, value: Uint8Array): void {
    checkKey(key);
    const pairs = this.#ownTable(table);
    if (pairs.length > 0 && compareBytes(pairs[pairs.length - 1]!.key, key) >= 0) {
      throw new BackendError('KEYEXIST', `append to ${table}: the key is not above the last one`);
    }
    pairs.push({ key: copyBytes(key), value: copyBytes(value) });
  }

  remove(table: TableName, key: Uint8Array): boolean {
    const pairs = this.#ownTable(table);
    const at = lowerBound(pairs, key);
    if (at === pairs.length || compareBytes(pairs[at]!.key, key) !== 0) return false;
    pairs.splice(at, 1);
    return true;
  }

  end(): Tables {
    return this.#tables;
  }

  #ownTable(table: TableName): Pair[] {
    let pairs = this.#tables.get(table);
    if (!this.#own.has(table)) {
      pairs = pairs === undefined ? [] : pairs.slice();
      this.#tables.set(table, pairs);
      this.#own.add(table);
    }
    return pairs!;
  }
}

function checkKey(key: Uint8Array): void {
  if (key.length === 0 || key.length > MAX_KEY_BYTES) {
    throw new BackendError('BAD_VALSIZE', `a key has 1 to ${MAX_KEY_BYTES} bytes, this one ${key.length}`);
  }
}

function lowerBound(pairs: readonly Pair[], key: Uint8Array): number {
  let low = 0;
  let high = pairs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareBytes(pairs[middle]!.key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function endOf(pairs: readonly Pair[], high: Uint8Array | null): number {
  return high === null ? pairs.length : lowerBound(pairs, high);
}

function getFrom(pairs: readonly Pair[] | undefined, key: Uint8Array): Uint8Array | undefined {
  if (pairs === undefined) return undefined;
  const at = lowerBound(pairs, key);
  return at < pairs.length && compareBytes(pairs[at]!.key, key) === 0 ? pairs[at]!.value : undefined;
}

function scanOf(
  pairs: readonly Pair[] | undefined,
  range: { low: Uint8Array; high: Uint8Array | null; reverse?: boolean },
  visit: (key: Uint8Array, value: Uint8Array) => boolean,
): void {
  if (pairs === undefined) return;
  const first = lowerBound(pairs, range.low);
  const end = endOf(pairs, range.high);
  if (range.reverse === true) {
    for (let i = end - 1; i >= first; i--) if (!visit(pairs[i]!.key, pairs[i]!.value)) return;
  } else {
    for (let i = first; i < end; i++) if (!visit(pairs[i]!.key, pairs[i]!.value)) return;
  }
}

function statsOf(tables: Tables): BackendStats {
  let bytes = 0;
  for (const pairs of tables.values())
    for (const { key, value } of pairs) bytes += key.length + value.length + 16;
  return { fileBytes: bytes, usedBytes: bytes };
}
