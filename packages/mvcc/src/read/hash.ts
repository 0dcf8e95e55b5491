/**
 * HashKV: a CRC-32C over the history up to a revision, equal on every member with the same history, and equal to etcd's.
 *
 *   "key", then for each record in order: 8 bytes main, "_", 8 bytes sub, ["t" for a tombstone], KeyValue (of a tombstone: its key)
 *
 * Which records: all with C < main <= revision. Of those at or below the compact revision C only what a compaction keeps *and* what is still the
 * newest at the hashed revision: etcd computes its set of kept records there, not at C. A tombstone at C is left out (etcd 3.5.16+ keeps the record but
 * leaves it out of the hash; earlier ones removed it). When no key is alive at the hashed revision etcd's kept set is empty, and then, by a quirk that is
 * part of the contract, the second condition falls away.
 *
 * None of this looks at what removal did so far. A record at or below C is superseded when some later record up to the hashed revision points to it as its previous one;
 * before the finished compaction no superseded record is left (but perhaps in the ring), so a walk over [finished, revision] finds all pointers.
 */
import { crc32c } from '@node-rs/crc32';
import { emptyKeyValueParts, readKeyValue } from '../key-value.ts';
import { emptyRecordHeader, readRecordHeader } from '../log-record.ts';
import { CompactedError } from '../types.ts';
import { RevisionSet } from './revision-set.ts';
import type { ReadView } from './view.ts';

const SEED = crc32c(Buffer.from('key'));
const BUFFER_BYTES = 64 << 10;
const TWO_32 = 2 ** 32;
/** The clock is looked at once in so many bytes; a record costs as much as some bytes, however short it is. */
const BYTES_PER_LOOK = 256 << 10;
const RECORD_BYTES = 4 << 10;

export interface HashResult {
  readonly hash: number;
  readonly hashRevision: number;
  readonly compactRevision: number;
}

export class HashRead {
  readonly #view: ReadView;
  readonly #revision: number;
  readonly #header = emptyRecordHeader();
  readonly #parts = emptyKeyValueParts();
  readonly #finished: () => number;
  #compactRevision = 0;
  #superseded = new RevisionSet();
  #stage: 'pointers' | 'alive' | 'hash' = 'pointers';
  #anyAlive = false;
  #atMain = 0;
  #atSub = 0;
  #aliveFrom: Uint8Array | null = new Uint8Array(0);
  #crc = SEED;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #used = 0;

  /**
   * @param finished compact revision whose physical removal is complete
   * @throws CompactedError, FutureRevisionError
   */
  constructor(view: ReadView, revision: number, finished: () => number) {
    this.#view = view;
    // A negative revision is before everything: etcd answers with the hash of no record at all.
    this.#revision = revision === 0 ? view.revision : revision;
    this.#finished = finished;
    if (this.#revision > 0) view.checkReadable(this.#revision);
    this.#begin();
  }

  /** A compaction changes which records count: begin anew. */
  #begin(): void {
    this.#compactRevision = this.#view.compactRevision;
    this.#superseded = new RevisionSet();
    this.#stage = 'pointers';
    this.#anyAlive = false;
    this.#aliveFrom = new Uint8Array(0);
    this.#atMain = Math.max(0, Math.min(this.#finished(), this.#view.records.firstMemoryMain()));
    this.#atSub = 0;
    this.#crc = SEED;
    this.#used = 0;
  }

  /** @returns null when there is more to do @throws CompactedError */
  step(clockMs: () => number, deadlineMs: number): HashResult | null {
    if (this.#compactRevision !== this.#view.compactRevision) {
      if (this.#revision > 0 && this.#revision < this.#view.compactRevision)
        throw new CompactedError('a compaction passed the hash');
      this.#begin();
    }
    const outOfTime = (): boolean => clockMs() >= deadlineMs;
    if (this.#compactRevision < 0) this.#stage = 'hash';
    if (this.#stage === 'pointers') {
      if (!this.#walk(outOfTime, (main) => this.#notePrevious(main))) return null;
      this.#stage = 'alive';
    }
    if (this.#stage === 'alive') {
      if (!this.#findAlive(outOfTime)) return null;
      this.#stage = 'hash';
      this.#atMain = this.#atSub = 0;
    }
    const walked = this.#walk(outOfTime, (main, sub, bytes, end) => {
      if (main > this.#compactRevision || this.#kept(main, sub)) this.#add(main, sub, bytes, end);
    });
    if (!walked) return null;
    this.#flush();
    return { hash: this.#crc >>> 0, hashRevision: this.#revision, compactRevision: this.#compactRevision };
  }

  /** Visits records from where the last slice ended. @returns whether the end was reached */
  #walk(
    outOfTime: () => boolean,
    visit: (main: number, sub: number, bytes: Uint8Array, end: number) => void,
  ): boolean {
    let untilLook = BYTES_PER_LOOK;
    let ended = true;
    this.#view.records.walk(this.#atMain, this.#atSub, this.#revision, (main, sub, frame) => {
      if (untilLook <= 0) {
        if (outOfTime()) {
          this.#atMain = main;
          this.#atSub = sub;
          ended = false;
          return false;
        }
        untilLook = BYTES_PER_LOOK;
      }
      untilLook -= RECORD_BYTES + frame.end - frame.start;
      readRecordHeader(frame.bytes, frame.start, this.#header);
      visit(main, sub, frame.bytes, frame.end);
      return true;
    });
    return ended;
  }

  #notePrevious(main: number): void {
    const { previousMain, previousSub } = this.#header;
    if (previousMain !== 0 && previousMain <= this.#compactRevision) {
      this.#superseded.add(previousMain, previousSub, main > this.#compactRevision);
    }
  }

  #kept(main: number, sub: number): boolean {
    if (this.#header.tombstone) return false;
    const superseded = this.#superseded.get(main, sub);
    if (superseded === undefined) return true;
    // Superseded after C only: kept by the compaction, and by the quirk hashed when nothing is alive.
    return superseded && !this.#anyAlive;
  }

  /** Whether any key is alive at the hashed revision. */
  #findAlive(outOfTime: () => boolean): boolean {
    const past = this.#revision !== this.#view.revision;
    while (this.#aliveFrom !== null) {
      const { items, next } = this.#view.heads.scan(this.#aliveFrom, null, past, 64);
      this.#anyAlive = items.some(({ head }) => this.#view.versionAt(head, this.#revision) !== null);
      this.#aliveFrom = this.#anyAlive ? null : next;
      if (this.#aliveFrom !== null && outOfTime()) return false;
    }
    return true;
  }

  #add(main: number, sub: number, bytes: Uint8Array, recordEnd: number): void {
    const start = this.#header.keyValueStart;
    let end = recordEnd;
    if (this.#header.tombstone) {
      // etcd stores a tombstone as its key alone; ours says its revision too, as watchers get it.
      readKeyValue(bytes, start, recordEnd, this.#parts);
      end = this.#parts.keyEnd;
    }
    if (BUFFER_BYTES - this.#used < 18 + end - start) {
      this.#flush();
      if (18 + end - start > BUFFER_BYTES) {
        this.#addRevision(main, sub);
        this.#flush();
        this.#crc = crc32c(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start), this.#crc);
        return;
      }
    }
    this.#addRevision(main, sub);
    this.#buffer.set(bytes.subarray(start, end), this.#used);
    this.#used += end - start;
  }

  #addRevision(main: number, sub: number): void {
    let at = this.#buffer.writeUInt32BE(Math.floor(main / TWO_32), this.#used);
    at = this.#buffer.writeUInt32BE(main % TWO_32, at);
    at = this.#buffer.writeUInt8(0x5f, at);
    at = this.#buffer.writeUInt32BE(0, at);
    at = this.#buffer.writeUInt32BE(sub, at);
    if (this.#header.tombstone) at = this.#buffer.writeUInt8(0x74, at);
    this.#used = at;
  }

  #flush(): void {
    if (this.#used === 0) return;
    this.#crc = crc32c(this.#buffer.subarray(0, this.#used), this.#crc);
    this.#used = 0;
  }
}
