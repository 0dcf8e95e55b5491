/**
 * The dynamic table of RFC 7541 §2.3.2: first in, first out, bounded by the summed size of its entries.
 *
 * Invariants: `sizeBytes` is the sum of the entries' sizes and never exceeds `capacityBytes`, which never exceeds
 * the bound given at construction. `version` changes whenever any index could mean another field than before, so
 * whatever was derived from indices is good as long as the version is.
 *
 * Entries sit in a ring; position 0 is the newest, which HPACK addresses as index 62.
 */
import { HeaderField } from './header-field.ts';

const nothing = new HeaderField('', '');

export class DynamicTable {
  version = 0;
  #ring: HeaderField[];
  /** Ring slot of the newest entry. */
  #newest = 0;
  #length = 0;
  #sizeBytes = 0;
  #capacityBytes: number;

  constructor(capacityBytes: number) {
    this.#capacityBytes = capacityBytes;
    this.#ring = new Array<HeaderField>(8).fill(nothing);
  }

  get length(): number {
    return this.#length;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get capacityBytes(): number {
    return this.#capacityBytes;
  }

  /** @param position 0 for the newest entry; must be below `length` */
  at(position: number): HeaderField {
    const ring = this.#ring;
    return ring[(this.#newest + position) & (ring.length - 1)]!;
  }

  insert(field: HeaderField): void {
    this.version++;
    // RFC 7541 §4.4: "entries are evicted from the end of the dynamic table until the size of the dynamic table is
    // less than or equal to (maximum size - new entry size) or until the table is empty."
    this.#evictTo(this.#capacityBytes - field.sizeBytes);
    // "an attempt to add an entry larger than the maximum size causes the table to be emptied of all existing
    // entries and results in an empty table." It is not an error.
    if (field.sizeBytes > this.#capacityBytes) return;
    if (this.#length === this.#ring.length) this.#grow();
    this.#newest = (this.#newest - 1) & (this.#ring.length - 1);
    this.#ring[this.#newest] = field;
    this.#length++;
    this.#sizeBytes += field.sizeBytes;
  }

  /** RFC 7541 §4.3: "Whenever the maximum size for the dynamic table is reduced, entries are evicted". */
  resize(capacityBytes: number): void {
    this.version++;
    this.#capacityBytes = capacityBytes;
    this.#evictTo(capacityBytes);
  }

  #evictTo(sizeBytes: number): void {
    const ring = this.#ring;
    while (this.#length > 0 && this.#sizeBytes > sizeBytes) {
      this.#length--;
      const oldest = (this.#newest + this.#length) & (ring.length - 1);
      this.#sizeBytes -= ring[oldest]!.sizeBytes;
      ring[oldest] = nothing;
    }
  }

  #grow(): void {
    const grown = new Array<HeaderField>(this.#ring.length * 2).fill(nothing);
    for (let position = 0; position < this.#length; position++) grown[position] = this.at(position);
    this.#ring = grown;
    this.#newest = 0;
  }
}
