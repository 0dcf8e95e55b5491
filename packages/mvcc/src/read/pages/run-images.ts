/**
 * Which runs of keys have an image, and until when an image is true.
 *
 *   run        0               1                    2
 *   from       (nothing)       "/pods/m"            "/pods/x"
 *   changedAt  1               840                  1
 *   image      -               -                    256 records, 71 KB
 *
 * The key space is cut into runs on demand: at first it is one, and a read cuts out the run it begins in. Cuts are taken from what is sorted in memory already
 * (`ReadView.around`), so they cost no look at the disk; a run that turns out to be too large for one image is cut again when its image is made.
 * They have nothing to do with what is on disk: a flush moves no run and drops no image.
 *
 * - An image shows the run as it is now. A change in the run drops it in the same turn, before the change is visible to any read.
 * - `changedAt` is at or above the revision of the last change, deletes included: at every revision from there on the run is what it is now.
 * - An image is made when a run was read `READS_BEFORE_IMAGE` times since its last change, so that a run that changes all the time never costs one.
 * - All images together take at most `maxBytes`. The one used longest ago goes first, unless it is read more often than the one that wants its place.
 */
import { assert } from '../../assert.ts';
import { compareBytes, copyBytes, EMPTY } from '../../bytes.ts';
import type { RunImage } from './run-image.ts';

const READS_BEFORE_IMAGE = 3;
const MOST_READS = 1 << 10;
/** Runs at most: a run costs about 200 bytes, and a put looks for its own. */
const MAX_RUNS = 1 << 14;
/** So many refused images later the one used longest ago counts half of its reads. */
const AGE_AFTER_REFUSALS = 16;

export interface Run {
  /** Whether it was cut out, and is not just what lies between others. */
  cut: boolean;
  changedAt: number;
  /** Since the last change. */
  reads: number;
  image: RunImage | null;
}

const newRun = (changedAt: number, reads: number, cut: boolean): Run => ({
  cut,
  changedAt,
  reads,
  image: null,
});

export class RunImages {
  /** Keys of one image. */
  readonly maxKeys: number;
  readonly #maxBytes: number;
  #from: Uint8Array[] = [EMPTY];
  #runs: Run[];
  /** Runs with an image, the one used longest ago first. */
  readonly #byUse = new Set<Run>();
  #bytes = 0;
  #refusals = 0;

  /** @param revision the store's: what changed before is not known */
  constructor(maxBytes: number, maxKeys: number, revision: number) {
    this.maxKeys = maxKeys;
    this.#maxBytes = maxBytes;
    this.#runs = [newRun(revision, 0, false)];
  }

  /** Memory of all images. */
  get bytes(): number {
    return this.#bytes;
  }

  get imageCount(): number {
    return this.#byUse.size;
  }

  get runCount(): number {
    return this.#runs.length;
  }

  /**
   * Number of the run that holds `key`. As in `sorted-entries.ts`, what the key has in common with the nearest boundaries found so far is not
   * compared again: each put comes here.
   */
  find(key: Uint8Array): number {
    let low = 1;
    let high = this.#from.length;
    let below = 0;
    let above = 0;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const from = this.#from[middle]!;
      const shorter = Math.min(from.length, key.length);
      let common = Math.min(below, above);
      while (common < shorter && from[common] === key[common]) common++;
      if (common < shorter ? from[common]! < key[common]! : from.length <= key.length) {
        low = middle + 1;
        below = common;
      } else {
        high = middle;
        above = common;
      }
    }
    return low - 1;
  }

  from(index: number): Uint8Array {
    return this.#from[index]!;
  }

  /** Where the run ends; null: nowhere. */
  to(index: number): Uint8Array | null {
    return this.#from[index + 1] ?? null;
  }

  run(index: number): Run {
    return this.#runs[index]!;
  }

  /** Whether all of `[low, high)` is now what it was at `revision`. */
  sameSince(revision: number, low: Uint8Array, high: Uint8Array | null): boolean {
    for (let i = this.find(low); i < this.#runs.length; i++) {
      if (high !== null && compareBytes(this.#from[i]!, high) >= 0) break;
      if (this.#runs[i]!.changedAt > revision) return false;
    }
    return true;
  }

  /** A key was changed at `revision`, perhaps by a transaction that will be aborted. */
  changed(key: Uint8Array, revision: number): void {
    const run = this.#runs[this.#runs.length === 1 ? 0 : this.find(key)]!;
    run.changedAt = revision;
    run.reads = 0;
    if (run.image !== null) this.#drop(run);
  }

  /** Counts a read of the run as it is now. @returns whether it should get an image */
  noteRead(run: Run): boolean {
    if (run.reads < MOST_READS) run.reads++;
    if (run.image !== null) {
      this.#byUse.delete(run);
      this.#byUse.add(run);
      return false;
    }
    return run.reads >= READS_BEFORE_IMAGE && run.cut && this.#admits(run);
  }

  /**
   * Cuts `[low, high)` out of run `index`, as far as it lies inside.
   * @returns whether the run is one that may get an image
   */
  cutOut(index: number, low: Uint8Array, high: Uint8Array | null): boolean {
    const run = this.#runs[index]!;
    if (run.cut) return true;
    if (this.#runs.length + 2 > MAX_RUNS) {
      this.#joinUnread();
      return false;
    }
    const to = this.to(index);
    const end = high !== null && (to === null || compareBytes(high, to) < 0) ? high : to;
    let at = index;
    if (compareBytes(this.#from[index]!, low) < 0) this.#insert(++at, low, newRun(run.changedAt, 0, false));
    const middle = this.#runs[at]!;
    if (end !== null && end !== to) this.#insert(at + 1, end, newRun(run.changedAt, 0, false));
    middle.cut = true;
    middle.reads = run.reads;
    return true;
  }

  /**
   * Gives a run its image.
   * @param end where the image ends when the run was too large for it: the run is cut there; null: at the run's end
   */
  keep(index: number, image: RunImage, end: Uint8Array | null): void {
    const run = this.#runs[index]!;
    assert(run.image === null, 'a run has one image');
    if (end !== null) this.#insert(index + 1, end, newRun(run.changedAt, run.reads, false));
    if (image.size > this.#maxBytes) return;
    run.image = image;
    this.#bytes += image.size;
    this.#byUse.add(run);
    for (const oldest of this.#byUse) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#drop(oldest);
    }
  }

  /** Whether a run should take the place of the one whose image was used longest ago. */
  #admits(run: Run): boolean {
    if (this.#maxBytes === 0) return false;
    const usual = this.#byUse.size === 0 ? 0 : this.#bytes / this.#byUse.size;
    if (this.#bytes + usual <= this.#maxBytes) return true;
    const oldest = this.#byUse.values().next().value!;
    if (run.reads > oldest.reads) return true;
    if (++this.#refusals % AGE_AFTER_REFUSALS === 0) oldest.reads >>>= 1;
    return false;
  }

  #drop(run: Run): void {
    this.#bytes -= run.image!.size;
    run.image = null;
    this.#byUse.delete(run);
  }

  #insert(index: number, from: Uint8Array, run: Run): void {
    this.#from.splice(index, 0, copyBytes(from));
    this.#runs.splice(index, 0, run);
  }

  /** Makes one run of neighbours without images: there were too many. */
  #joinUnread(): void {
    const from: Uint8Array[] = [];
    const runs: Run[] = [];
    for (let i = 0; i < this.#runs.length; i++) {
      const run = this.#runs[i]!;
      const last = runs[runs.length - 1];
      if (last === undefined || last.image !== null || run.image !== null) {
        from.push(this.#from[i]!);
        runs.push(run);
        continue;
      }
      last.changedAt = Math.max(last.changedAt, run.changedAt);
      last.cut = false;
      last.reads = 0;
    }
    // So many small images are worth nothing: begin anew.
    if (runs.length * 2 > MAX_RUNS) {
      for (const run of [...this.#byUse]) this.#drop(run);
      const changedAt = runs.reduce((newest, run) => Math.max(newest, run.changedAt), 0);
      from.length = 1;
      runs.splice(0, runs.length, newRun(changedAt, 0, false));
    }
    this.#from = from;
    this.#runs = runs;
  }
}
