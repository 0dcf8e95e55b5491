import { TABLE_NAMES } from '../../tables.ts';
import type { BackendReader, BackendStats, TableName } from '../backend.ts';
import { bounds, getFrom, type Snapshot, scanOf } from './access.ts';
import { scanLog } from './log-scan.ts';
import type { Opened } from './open.ts';

/** Pages that are freed meanwhile cannot be used again: short for a writer, long beside what a lone get costs. */
const HOLD_MS = 100;

export class LmdbReader implements BackendReader {
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

  scanLog: BackendReader['scanLog'] = (range, visit) =>
    scanLog(this.#opened.log, range, visit, this.#snapshot('binding'));

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
