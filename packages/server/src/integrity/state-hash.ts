/**
 * The rolling hash of a member's state: every applied entry folds what it did into 64 bits.
 *
 *     hash(0) = 0                      hash(n) = fold(hash(n-1), term, refusal, what changed)
 *
 * Members that applied the same entries with the same effects have the same hash at the same index, and once two differ they
 * go on differing: one comparison speaks for the whole history. `state-monitor.ts` compares; docs/decisions/0008-state-hash.md
 * says what it finds and what it costs.
 *
 * Of a change counts what applying decides: key, revisions, version, lease, and the value; of a long record its beginning, its end and
 * a sample between, since the log's own checksums cover the bytes that clients sent. No protection from those who want a collision.
 *
 * The hash is written with every flush, in the row `hash` of table `state-hash`, together with the state it belongs to; a restart
 * goes on from there, and a received image brings the sender's. Values, big endian:
 *
 *     applied index (8)   since (8): index where counting began, normally 0   hash (8)
 *
 * A store from before this was counted has no row: it counts from where it is, and is compared with none that began elsewhere.
 */
import type { EventBatch, Store } from '@quorate/mvcc';
import type { ErrorCode } from '@quorate/proto';

/** A hash and where it belongs. Comparable with those of equal `index` and `since`. */
export interface StateHashAt {
  readonly index: number;
  readonly since: number;
  readonly hash: bigint;
}

const TABLE = 'state-hash';
const KEY = Buffer.from('hash');
const ROW_BYTES = 24;
/** Indexes that are remembered for comparisons with members that are behind or ahead. */
const REMEMBERED = 8_192;
/** Records up to twice this are hashed whole. */
const EDGE_BYTES = 96;
const SAMPLES = 32;

type HashStore = Pick<Store, 'appliedIndex' | 'getMeta'>;

export class StateHash {
  #index = 0;
  #since = 0;
  #high = 0;
  #low = 0;
  /** High and low word of each remembered index, at `index % REMEMBERED`. */
  readonly #past = new Uint32Array(2 * REMEMBERED);
  /** First index that is remembered. */
  #pastFrom = 0;

  constructor(store: HashStore) {
    this.reload(store);
  }

  /** Reads the row: at the start, and when another state took the store's place. */
  reload(store: HashStore): void {
    const row = store.getMeta(TABLE, KEY);
    const view = row === null ? null : new DataView(row.buffer, row.byteOffset, row.byteLength);
    const { appliedIndex } = store;
    const fits = view?.byteLength === ROW_BYTES && Number(view.getBigUint64(0)) === appliedIndex;
    this.#index = appliedIndex;
    this.#since = fits ? Number(view.getBigUint64(8)) : appliedIndex;
    this.#high = fits ? view.getUint32(16) | 0 : 0;
    this.#low = fits ? view.getUint32(20) | 0 : 0;
    this.#pastFrom = appliedIndex;
    this.#remember();
  }

  /** The row to flush, as of the last entry that was folded in. */
  row(): { readonly table: string; readonly key: Uint8Array; readonly value: Uint8Array } {
    const value = Buffer.alloc(ROW_BYTES);
    value.writeBigUInt64BE(BigInt(this.#index), 0);
    value.writeBigUInt64BE(BigInt(this.#since), 8);
    value.writeInt32BE(this.#high, 16);
    value.writeInt32BE(this.#low, 20);
    return { table: TABLE, key: KEY, value };
  }

  /** Entry `index` was applied: with these changes, or with this refusal. */
  fold(index: number, term: number, refusal: ErrorCode | null, batch: EventBatch | null): void {
    this.#index = index;
    this.#mix(term | 0);
    if (refusal !== null) for (let at = 0; at < refusal.length; at++) this.#mix(refusal.charCodeAt(at));
    if (batch !== null) for (const event of batch.events) this.#mixBytes(event.encoded);
    this.#remember();
  }

  /** The hash as of now. */
  get now(): StateHashAt {
    return this.at(this.#index)!;
  }

  /** Null: not applied yet, or too long ago. */
  at(index: number): StateHashAt | null {
    if (index > this.#index || index < this.#pastFrom || index <= this.#index - REMEMBERED) return null;
    const slot = 2 * (index % REMEMBERED);
    const hash = (BigInt(this.#past[slot]!) << 32n) | BigInt(this.#past[slot + 1]!);
    return { index, since: this.#since, hash };
  }

  #remember(): void {
    const slot = 2 * (this.#index % REMEMBERED);
    this.#past[slot] = this.#high;
    this.#past[slot + 1] = this.#low;
  }

  /** Two lanes of multiply and rotate, each with constants of its own, crossed so that neither is a function of the other. */
  #mix(word: number): void {
    let high = Math.imul(this.#high ^ word, 0x85ebca6b);
    high = (high << 13) | (high >>> 19);
    let low = Math.imul((this.#low + word) | 0, 0xc2b2ae35);
    low = (low << 17) | (low >>> 15);
    this.#high = (high + low) | 0;
    this.#low = low ^ (high >>> 7);
  }

  #mixBytes(bytes: Uint8Array): void {
    const { length } = bytes;
    this.#mix(length);
    if (length <= 2 * EDGE_BYTES) {
      this.#mixRun(bytes, 0, length, 4);
      return;
    }
    this.#mixRun(bytes, 0, EDGE_BYTES, 4);
    const middle = length - 2 * EDGE_BYTES;
    this.#mixRun(bytes, EDGE_BYTES, length - EDGE_BYTES, Math.max(4, Math.ceil(middle / SAMPLES)));
    this.#mixRun(bytes, length - EDGE_BYTES, length, 4);
  }

  /** Four bytes of each `step`: `#mix` written out, so that the lanes stay in registers. */
  #mixRun(bytes: Uint8Array, from: number, to: number, step: number): void {
    let high = this.#high;
    let low = this.#low;
    let at = from;
    for (; at + 4 <= to; at += step) {
      const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      let one = Math.imul(high ^ word, 0x85ebca6b);
      one = (one << 13) | (one >>> 19);
      let other = Math.imul((low + word) | 0, 0xc2b2ae35);
      other = (other << 17) | (other >>> 15);
      high = (one + other) | 0;
      low = other ^ (one >>> 7);
    }
    this.#high = high;
    this.#low = low;
    for (; at < to; at++) this.#mix(bytes[at]!);
  }
}
