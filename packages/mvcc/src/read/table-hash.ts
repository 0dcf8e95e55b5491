/** A checksum over every table as it lies on disk, in slices: for comparing two moments of one member. */
import { crc32c } from '@node-rs/crc32';
import { EMPTY, successor } from '../bytes.ts';
import { TABLE_NAMES } from '../tables.ts';
import type { SlicedWork } from './sliced.ts';
import type { ReadView } from './view.ts';

/** The clock is looked at once in so many bytes; a pair costs as much as some bytes, however short it is. */
const BYTES_PER_LOOK = 256 << 10;
const PAIR_BYTES = 4 << 10;

export class TableHash implements SlicedWork<number> {
  readonly #view: ReadView;
  #table = 0;
  #from: Uint8Array = EMPTY;
  #crc = 0;

  constructor(view: ReadView) {
    this.#view = view;
  }

  step(clockMs: () => number, deadlineMs: number): number | null {
    for (; this.#table < TABLE_NAMES.length; this.#table++, this.#from = EMPTY) {
      let untilLook = BYTES_PER_LOOK;
      let ended = true;
      this.#view.reader.scan(TABLE_NAMES[this.#table]!, { low: this.#from, high: null }, (key, value) => {
        this.#crc = crc32c(Buffer.from(value), crc32c(Buffer.from(key), this.#crc));
        untilLook -= PAIR_BYTES + key.length + value.length;
        if (untilLook > 0) return true;
        untilLook = BYTES_PER_LOOK;
        if (clockMs() < deadlineMs) return true;
        this.#from = successor(key);
        ended = false;
        return false;
      });
      if (!ended) return null;
    }
    return this.#crc >>> 0;
  }
}
