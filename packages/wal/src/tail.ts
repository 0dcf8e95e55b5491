/**
 * Where the log ends, in memory that both threads see: what whoever writes the next frame must know.
 *
 * It belongs to the holder of the pen (`pen.ts`) and to nobody else; taking and giving the pen orders the plain reads and writes.
 * Without a second thread (`inline-lane.ts`) there is one owner and no pen.
 */
import { assert } from './assert.ts';
import { HARD_STATE_BYTES } from './frame-body.ts';

const FIELDS = {
  segment: 0,
  offset: 1,
  capacity: 2,
  sequence: 3,
  chain: 4,
  lastIndex: 5,
  lastTerm: 6,
} as const;
const HARD_STATE_LENGTH_AT = 7;
const NUMBERS = 8;

export const TAIL_BYTES = NUMBERS * 8 + HARD_STATE_BYTES;

export class LogTail {
  readonly #numbers: Float64Array;
  readonly #hardState: Uint8Array;

  constructor(memory: SharedArrayBuffer | ArrayBuffer = new ArrayBuffer(TAIL_BYTES)) {
    this.#numbers = new Float64Array(memory, 0, NUMBERS);
    this.#hardState = new Uint8Array(memory, NUMBERS * 8, HARD_STATE_BYTES);
  }

  /** Number of the segment that is written to; 0 before the first. */
  get segment(): number {
    return this.#numbers[FIELDS.segment]!;
  }

  set segment(value: number) {
    this.#numbers[FIELDS.segment] = value;
  }

  /** End of the last whole frame in it. */
  get offset(): number {
    return this.#numbers[FIELDS.offset]!;
  }

  set offset(value: number) {
    this.#numbers[FIELDS.offset] = value;
  }

  /** Its size. */
  get capacity(): number {
    return this.#numbers[FIELDS.capacity]!;
  }

  set capacity(value: number) {
    this.#numbers[FIELDS.capacity] = value;
  }

  /** Sequence of the next frame. */
  get sequence(): number {
    return this.#numbers[FIELDS.sequence]!;
  }

  set sequence(value: number) {
    this.#numbers[FIELDS.sequence] = value;
  }

  /** Chain value of the last frame. */
  get chain(): number {
    return this.#numbers[FIELDS.chain]!;
  }

  set chain(value: number) {
    this.#numbers[FIELDS.chain] = value;
  }

  get lastIndex(): number {
    return this.#numbers[FIELDS.lastIndex]!;
  }

  set lastIndex(value: number) {
    this.#numbers[FIELDS.lastIndex] = value;
  }

  get lastTerm(): number {
    return this.#numbers[FIELDS.lastTerm]!;
  }

  set lastTerm(value: number) {
    this.#numbers[FIELDS.lastTerm] = value;
  }

  /** A copy, as it stands in a segment header; empty when there is none. */
  get hardState(): Buffer {
    const length = this.#numbers[HARD_STATE_LENGTH_AT]!;
    return Buffer.from(this.#hardState.subarray(0, length));
  }

  set hardState(bytes: Uint8Array) {
    assert(bytes.length <= HARD_STATE_BYTES, 'a hard state has its length', bytes.length);
    this.#hardState.set(bytes);
    this.#numbers[HARD_STATE_LENGTH_AT] = bytes.length;
  }
}
