/**
 * Files waiting to become segments.
 *
 * Overwriting blocks that a file already has lets `fdatasync` skip the file system's journal; on the machine of
 * ADR 0002 it halves the time of a sync. So a segment is born from a spare: a released segment under another name,
 * its old contents in place (the stamps of `blocks.ts` tell them from new ones), or, while none has been released, a
 * file filled with zeros in small steps beside the writing.
 *
 * A spare's contents mean nothing, so nothing here is synced before the segment is cut.
 */
import { type Disk, DiskError, type DiskFile } from './disk.ts';
import { isSpareName, joinPath, spareName } from './segment-name.ts';

/** One step of filling: under a millisecond of writing. */
const STEP_BYTES = 256 * 1024;

export class SpareFiles {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #limit: number;
  readonly #noSync: boolean;
  #ready: string[] = [];
  #filling: { file: DiskFile; bytes: number } | null = null;
  #full = false;

  constructor(options: {
    disk: Disk;
    directory: string;
    segmentBytes: number;
    limit: number;
    noSync: boolean;
  }) {
    this.#disk = options.disk;
    this.#directory = options.directory;
    this.#segmentBytes = options.segmentBytes;
    this.#limit = options.limit;
    this.#noSync = options.noSync;
    for (const name of this.#disk.list(this.#directory)) if (isSpareName(name)) this.#adoptFound(name);
  }

  /** Spares from an earlier run: whole ones are kept, a half-filled one is filled on. */
  #adoptFound(name: string): void {
    const path = joinPath(this.#directory, name);
    const file = this.#disk.open(path, 'write');
    const bytes = file.size();
    if (bytes === this.#segmentBytes && this.hasRoom) {
      this.#ready.push(path);
      file.close();
    } else if (bytes < this.#segmentBytes && this.#filling === null) {
      this.#filling = { file, bytes };
    } else {
      file.close();
      this.#disk.remove(path);
    }
  }

  get hasRoom(): boolean {
    return this.#ready.length < this.#limit;
  }

  /** A spare's path that is not taken, by preference with this number. */
  freePath(number: number): string {
    let free = number;
    while (this.#disk.exists(joinPath(this.#directory, spareName(free)))) free++;
    return joinPath(this.#directory, spareName(free));
  }

  /** Keeps a file that is already under its spare name. */
  adopt(path: string): void {
    this.#ready.push(path);
  }

  /** Whether `step` would do something. */
  get isShort(): boolean {
    return this.#ready.length === 0 && !this.#full;
  }

  /** Bytes of the next spare that are there. */
  get filledBytes(): number {
    return this.#ready.length > 0 ? this.#segmentBytes : (this.#filling?.bytes ?? 0);
  }

  /**
   * Fills a little of the next spare, or as much as `wantedBytes`; false when there is nothing to do. A full disk only means that there
   * is no spare yet: the segment in use still has its own room.
   */
  step(number: number, wantedBytes = 0): boolean {
    if (!this.isShort) return false;
    try {
      this.#fill(number, Math.max(wantedBytes, (this.#filling?.bytes ?? 0) + STEP_BYTES));
    } catch (error) {
      if (!(error instanceof DiskError) || error.code !== 'ENOSPC') throw error;
      this.#full = true;
      this.#abandonFilling();
      return false;
    }
    return true;
  }

  /** A file of at least segment size, under a spare name. @throws DiskError with code ENOSPC */
  take(number: number): string {
    this.#full = false;
    while (this.#ready.length === 0) this.#fill(number, this.#segmentBytes);
    return this.#ready.shift()!;
  }

  close(): void {
    this.#filling?.file.close();
    this.#filling = null;
  }

  #fill(number: number, wanted: number): void {
    this.#filling ??= {
      file: this.#disk.open(this.freePath(number), 'create'),
      bytes: 0,
    };
    const { file } = this.#filling;
    const bytes = Math.min(wanted, this.#segmentBytes);
    file.preallocate(bytes);
    // Synced step by step, so that the sync of a log write never waits for megabytes of zeros.
    if (!this.#noSync) file.sync();
    this.#filling.bytes = bytes;
    if (bytes < this.#segmentBytes) return;
    this.#ready.push(file.path);
    file.close();
    this.#filling = null;
  }

  #abandonFilling(): void {
    if (this.#filling === null) return;
    const { file } = this.#filling;
    this.#filling = null;
    file.close();
    this.#disk.remove(file.path);
  }
}
