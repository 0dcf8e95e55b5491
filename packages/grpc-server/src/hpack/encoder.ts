/**
 * Encodes header blocks (RFC 7541).
 *
 * A gRPC server says the same two things all day: "200, application/grpc" and "grpc-status 0". Those two fields,
 * and no others, enter the peer's dynamic table, so its indices settle after the first answer and both blocks
 * become constants of two bytes and one:
 *
 *     first head      88 5f 0b ...   :status 200; content-type literal, added (it becomes index 62)
 *     first trailers  40 88 ...      grpc-status literal, added (62; content-type moves to 63)
 *     later heads     88 bf          :status 200; index 63
 *     later trailers  be             index 62
 *
 * Everything else is written as a literal that is not added: it cannot disturb the indices, needs no eviction, and
 * may be encoded once for all connections (`encodeLiteral`).
 */
import { DynamicTable } from './dynamic-table.ts';
import { HeaderField } from './header-field.ts';
import { huffmanEncode, huffmanLength } from './huffman.ts';
import { STATIC_TABLE_LENGTH, staticFieldIndex, staticNameIndex } from './static-table.ts';

export type FieldPair = readonly [name: string, value: string];

/** RFC 9113 §6.5.2: the initial value of SETTINGS_HEADER_TABLE_SIZE. More than that is never used here. */
const DEFAULT_TABLE_BYTES = 4096;

/** Bytes that any field list can need when encoded: strings never grow, and prefixes stay under 12 bytes a field. */
function encodedBound(fields: readonly FieldPair[]): number {
  let bytes = 0;
  for (const [name, value] of fields) bytes += name.length + value.length + 12;
  return bytes;
}

/** §5.1. @returns the offset behind the integer */
export function writeInteger(
  out: Uint8Array,
  offset: number,
  pattern: number,
  mask: number,
  value: number,
): number {
  let at = offset;
  if (value < mask) {
    out[at++] = pattern | value;
    return at;
  }
  out[at++] = pattern | mask;
  let rest = value - mask;
  while (rest >= 0x80) {
    out[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  out[at++] = rest;
  return at;
}

/** §5.2: Huffman where that is shorter. */
function writeString(out: Buffer, offset: number, text: string): number {
  const huffmanBytes = huffmanLength(text);
  if (huffmanBytes < text.length) {
    return huffmanEncode(text, out, writeInteger(out, offset, 0x80, 0x7f, huffmanBytes));
  }
  const at = writeInteger(out, offset, 0, 0x7f, text.length);
  return at + out.write(text, at, 'latin1');
}

function writeLiteral(out: Buffer, offset: number, pattern: number, mask: number, field: FieldPair): number {
  const nameIndex = staticNameIndex(field[0]);
  let at = writeInteger(out, offset, pattern, mask, nameIndex);
  if (nameIndex === 0) at = writeString(out, at, field[0]);
  return writeString(out, at, field[1]);
}

/** A block that holds on any connection: static indices, and literals that are not added. Names must be lower case. */
export function encodeLiteral(fields: readonly FieldPair[]): Buffer {
  const out = Buffer.allocUnsafeSlow(encodedBound(fields));
  let at = 0;
  for (const field of fields) {
    const index = staticFieldIndex(field[0], field[1]);
    at = index > 0 ? writeInteger(out, at, 0x80, 0x7f, index) : writeLiteral(out, at, 0, 0x0f, field);
  }
  // A copy of its own size: blocks are kept for long.
  return Buffer.from(out.subarray(0, at));
}

export class HpackEncoder {
  readonly #table = new DynamicTable(DEFAULT_TABLE_BYTES);
  /** Smallest table size since the last block, which the next block has to announce; undefined when it did not change. */
  #smallestBytes: number | undefined;

  /** Changes whenever the same fields could be encoded differently than before. */
  get version(): number {
    return this.#table.version;
  }

  /** Whether the next block must begin with a table size update. */
  get updatePending(): boolean {
    return this.#smallestBytes !== undefined;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setPeerTableSize(maxTableBytes: number): void {
    const capacityBytes = Math.min(maxTableBytes, DEFAULT_TABLE_BYTES);
    if (capacityBytes === this.#table.capacityBytes) return;
    this.#table.resize(capacityBytes);
    this.#smallestBytes = Math.min(this.#smallestBytes ?? capacityBytes, capacityBytes);
  }

  /**
   * The size updates owed to the peer, to be put in front of the next block, whatever it is.
   * RFC 7541 §4.2: "the smallest maximum table size that occurs in that interval MUST be signaled", then the final one.
   */
  takeUpdate(): Buffer {
    const out = Buffer.alloc(8);
    let at = 0;
    if (this.#smallestBytes !== undefined && this.#smallestBytes < this.#table.capacityBytes) {
      at = writeInteger(out, at, 0x20, 0x1f, this.#smallestBytes);
    }
    at = writeInteger(out, at, 0x20, 0x1f, this.#table.capacityBytes);
    this.#smallestBytes = undefined;
    return out.subarray(0, at);
  }

  /** Encodes fields that recur on every answer: found in a table they take a byte, else they are added. Names must be lower case. */
  encodeRecurring(fields: readonly FieldPair[]): Buffer {
    const out = Buffer.allocUnsafeSlow(encodedBound(fields));
    let at = 0;
    for (const field of fields) {
      const index = staticFieldIndex(field[0], field[1]) || this.#dynamicIndex(field);
      if (index > 0) {
        at = writeInteger(out, at, 0x80, 0x7f, index);
        continue;
      }
      const entry = new HeaderField(field[0], field[1]);
      // Added only while nothing must go for it: the indices of the others stay, and the two sides cannot churn.
      const fits = this.#table.sizeBytes + entry.sizeBytes <= this.#table.capacityBytes;
      at = fits ? writeLiteral(out, at, 0x40, 0x3f, field) : writeLiteral(out, at, 0, 0x0f, field);
      if (fits) this.#table.insert(entry);
    }
    return out.subarray(0, at);
  }

  #dynamicIndex(field: FieldPair): number {
    for (let position = 0; position < this.#table.length; position++) {
      const entry = this.#table.at(position);
      if (entry.name === field[0] && entry.value === field[1]) return STATIC_TABLE_LENGTH + 1 + position;
    }
    return 0;
  }
}
