/**
 * Revisions, millions of them, to be gone through by their main number; those with the same one in the order they came in. About 13 bytes each and no object.
 *
 * What is sorted are 64-bit numbers, natively: the main revision in the upper 43 bits (as many as a hundred thousand revisions a second make in two
 * years), and below it the place in which the revision came, by which its sub is found.
 */
import { assert } from './assert.ts';

const PLACE_BITS = 21;
const PLACES = 2 ** PLACE_BITS;
/** Main revisions are split where the lower half of a number ends. */
const LOW_MAINS = 2 ** (32 - PLACE_BITS);
const MAX_MAIN = LOW_MAINS * 2 ** 32;
/** Which half of a 64-bit number lies first. */
const LOW = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 0 : 1;

export class RevisionSorter {
  #numbers = new BigUint64Array(1024);
  #halves = new Uint32Array(this.#numbers.buffer);
  #subs = new Uint32Array(1024);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(main: number, sub: number): void {
    assert(this.#count < PLACES, 'a sort holds two million revisions');
    assert(main < MAX_MAIN, 'a main revision has up to 43 bits');
    if (this.#count === this.#subs.length) this.#grow();
    const at = this.#count++;
    this.#subs[at] = sub;
    this.#halves[2 * at + LOW] = (main % LOW_MAINS) * PLACES + at;
    this.#halves[2 * at + 1 - LOW] = Math.floor(main / LOW_MAINS);
  }

  sort(): void {
    this.#numbers.subarray(0, this.#count).sort();
  }

  main(at: number): number {
    return this.#halves[2 * at + 1 - LOW]! * LOW_MAINS + (this.#halves[2 * at + LOW]! >>> PLACE_BITS);
  }

  sub(at: number): number {
    return this.#subs[this.#halves[2 * at + LOW]! & (PLACES - 1)]!;
  }

  #grow(): void {
    const numbers = new BigUint64Array(this.#numbers.length * 2);
    numbers.set(this.#numbers);
    this.#numbers = numbers;
    this.#halves = new Uint32Array(numbers.buffer);
    const subs = new Uint32Array(numbers.length);
    subs.set(this.#subs);
    this.#subs = subs;
  }
}
