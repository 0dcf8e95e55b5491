/** Heads go to disk rarely, in large sorted batches cut into parts, between which other jobs get their turn. */
import { BlockIndex } from '../blocks.ts';
import { successor } from '../bytes.ts';
import { MAX_HEAD_ENTRY_BYTES, writeHeadEntry } from '../head-entry.ts';
import type { StoreLimits } from '../options.ts';
import type { ReadView } from '../read/view.ts';
import { FrameWriter } from '../writer/jobs.ts';
import { HEAD_HAS_PREVIOUS, HEAD_TOMBSTONE } from '../writer/store-writer.ts';
import type { Submit } from './submit.ts';

export interface HeadFlushOptions {
  readonly view: ReadView;
  readonly limits: StoreLimits;
  /** Names of flushes begin with it, which makes them new in each run. */
  readonly firstSequence: number;
  /** Main revision up to which heads are on disk. */
  readonly watermark: number;
  readonly submit: Submit;
  /** A part is done: something else may be due. */
  readonly advance: () => void;
}

interface SealedHeads {
  /** Records up to here are in the layer, and must be durable before it. */
  readonly watermark: number;
  /** Key to go on from; null: not begun. */
  next: Uint8Array | null;
  inFlight: boolean;
}

export class HeadFlush {
  readonly #o: HeadFlushOptions;
  #sealed: SealedHeads | null = null;
  #watermark: number;
  #flushes = 0;
  /** Records that heads on disk do not know of, without those of a flush under way. */
  #lagRecords = 0;

  constructor(options: HeadFlushOptions) {
    this.#o = options;
    this.#watermark = options.watermark;
  }

  /** Main revision up to which heads are on disk. */
  get watermark(): number {
    return this.#watermark;
  }

  /** Whether all heads are on disk. */
  get isComplete(): boolean {
    return this.#sealed === null && this.#lagRecords === 0;
  }

  /** Whether the next layer is full while one is on its way. */
  get isFull(): boolean {
    const { view, limits } = this.#o;
    return this.#sealed !== null && view.heads.active.dirtyCount >= 2 * limits.headEntries;
  }

  /** Whether a flush waits until the records that its heads point to are durable. */
  get awaitsRecords(): boolean {
    return this.#sealed !== null && this.#sealed.watermark > this.#o.view.records.flushedMain;
  }

  noteLag(records: number): void {
    this.#lagRecords += records;
  }

  /** @param wanted whether a flush is due that is not large enough yet */
  advance(wanted: boolean): void {
    const { view, limits } = this.#o;
    if (this.#sealed === null) {
      const due =
        view.heads.active.dirtyCount >= limits.headEntries ||
        this.#lagRecords >= limits.headLagRecords ||
        (this.#lagRecords > 0 && wanted);
      if (!due) return;
      view.heads.seal(`${this.#o.firstSequence}.${++this.#flushes}`, view.revision);
      this.#sealed = { watermark: view.revision, next: null, inFlight: false };
      this.#lagRecords = 0;
    }
    if (!this.#sealed.inFlight && !this.awaitsRecords) this.#submitPart(this.#sealed);
  }

  #submitPart(sealed: SealedHeads): void {
    const { view } = this.#o;
    const { entries, lastKey, last } = this.#nextPart(sealed.next);
    const progress = lastKey === null ? new Uint8Array(1) : successor(lastKey);
    sealed.next = progress;
    sealed.inFlight = true;
    const { watermark } = sealed;
    const flushId = view.heads.sealedId;
    this.#o.submit({ kind: 'heads', entries, flushId, progress, watermark, last }, (result) => {
      sealed.inFlight = false;
      if (result.kind === 'heads') {
        view.reader.refresh();
        view.blocks = BlockIndex.unpack(result.blocks);
        view.longKeys ||= result.longKeys;
        view.heads.dropSealed();
        this.#watermark = watermark;
        this.#sealed = null;
      }
      this.#o.advance();
    });
  }

  /** @param from the key to go on from, null at the beginning */
  #nextPart(from: Uint8Array | null): { entries: Uint8Array; lastKey: Uint8Array | null; last: boolean } {
    const { view, limits } = this.#o;
    const layer = view.heads.sealed!;
    const entries = new FrameWriter(limits.headPartEntries * 96);
    const encoded = new Uint8Array(MAX_HEAD_ENTRY_BYTES);
    let count = 0;
    let lastKey: Uint8Array | null = null;
    let last = true;
    layer.scan(from ?? new Uint8Array(0), (entry) => {
      if (!layer.dirty(entry)) return true;
      const head = layer.head(entry);
      if (head === null) return true;
      if (count === limits.headPartEntries) {
        last = false;
        return false;
      }
      count++;
      lastKey = layer.key(entry);
      entries.byte((head.tombstone ? HEAD_TOMBSTONE : 0) | (head.depth > 0 ? HEAD_HAS_PREVIOUS : 0));
      entries.frame(lastKey, 0, lastKey.length);
      entries.frame(encoded, 0, writeHeadEntry(encoded, 0, head));
      return true;
    });
    return { entries: entries.finish(), lastKey, last };
  }
}
