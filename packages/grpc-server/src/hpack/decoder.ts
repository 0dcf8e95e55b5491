/**
 * Decodes header blocks (RFC 7541 §3 and §6).
 *
 * One decoder belongs to one connection: the dynamic table is the memory that successive blocks share, so every
 * block must be decoded, in order, even when its stream is refused.
 *
 * Bounds: work is proportional to the encoded block. A decoded list past `maxListBytes` is counted and not kept:
 * a block of one-byte references to a 4 KiB entry (an "HPACK bomb") costs an addition for each, and no memory.
 */
import { DynamicTable } from './dynamic-table.ts';
import { HeaderField, HpackError } from './header-field.ts';
import { huffmanBound, huffmanDecode } from './huffman.ts';
import { STATIC_TABLE_LENGTH, staticTable } from './static-table.ts';

export interface DecoderOptions {
  /** The SETTINGS_HEADER_TABLE_SIZE that we announced (4,096 when we announced none). */
  readonly maxTableBytes: number;
  /** Decoded size past which fields are dropped. */
  readonly maxListBytes: number;
}

/** Where Huffman strings are decoded to before they become text. Shared: nothing runs between its use and its reading. */
let scratch = Buffer.allocUnsafeSlow(4096);

export class HpackDecoder {
  readonly table: DynamicTable;
  /** Decoded size of the last block, as RFC 9113 §6.5.2 counts it. Above `maxListBytes`: its fields are incomplete. */
  listBytes = 0;
  readonly #maxTableBytes: number;
  readonly #maxListBytes: number;
  #bytes: Buffer = scratch;
  #at = 0;
  #end = 0;

  constructor(options: DecoderOptions) {
    this.#maxTableBytes = options.maxTableBytes;
    this.#maxListBytes = options.maxListBytes;
    this.table = new DynamicTable(options.maxTableBytes);
  }

  /** @throws HpackError when the block breaks the format: the connection cannot go on */
  decode(bytes: Buffer, start: number, end: number): HeaderField[] {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.listBytes = 0;
    const fields: HeaderField[] = [];
    let seenField = false;
    while (this.#at < end) {
      const first = bytes[this.#at]!;
      let field: HeaderField;
      if (first >= 0x80) {
        // 1xxxxxxx, §6.1: indexed.
        field = this.#lookUp(this.#integer(0x7f));
      } else if (first >= 0x40) {
        // 01xxxxxx, §6.2.1: literal, added to the table.
        field = this.#literal(this.#integer(0x3f));
        this.table.insert(field);
      } else if (first >= 0x20) {
        // 001xxxxx, §6.3. §4.2: "This dynamic table size update MUST occur at the beginning of the first header
        // block following the change to the dynamic table size."
        if (seenField) throw new HpackError('a table size update follows a field');
        const capacityBytes = this.#integer(0x1f);
        // §6.3: "The new maximum size MUST be lower than or equal to the limit determined by the protocol using HPACK."
        if (capacityBytes > this.#maxTableBytes)
          throw new HpackError('a table size update is above the limit');
        this.table.resize(capacityBytes);
        continue;
      } else {
        // 0000xxxx and 0001xxxx, §6.2.2 and §6.2.3: literal, not added.
        field = this.#literal(this.#integer(0x0f));
      }
      seenField = true;
      this.listBytes += field.sizeBytes;
      if (this.listBytes <= this.#maxListBytes) fields.push(field);
    }
    return fields;
  }

  #lookUp(index: number): HeaderField {
    // §6.1: "The index value of 0 is not used. It MUST be treated as a decoding error".
    if (index === 0) throw new HpackError('index 0 is used');
    if (index <= STATIC_TABLE_LENGTH) return staticTable[index - 1]!;
    const position = index - STATIC_TABLE_LENGTH - 1;
    // §2.3.3: "Indices strictly greater than the sum of the lengths of both tables MUST be treated as a decoding error."
    if (position >= this.table.length) throw new HpackError('an index is beyond the tables');
    return this.table.at(position);
  }

  #literal(nameIndex: number): HeaderField {
    const name = nameIndex === 0 ? this.#string() : this.#lookUp(nameIndex).name;
    return new HeaderField(name, this.#string());
  }

  /** §5.1: an integer whose first byte carries the bits of `mask`. */
  #integer(mask: number): number {
    let value = this.#bytes[this.#at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      // §5.1: "Integer encodings that exceed implementation limits -- in value or octet length -- MUST be treated
      // as decoding errors." Ours is 2^28 in at most four further bytes.
      if (shift > 21) throw new HpackError('an integer is too long');
      if (this.#at >= this.#end) throw new HpackError('a block ends inside of an integer');
      const byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  /** §5.2: a string, plain or Huffman, one character for each byte. */
  #string(): string {
    if (this.#at >= this.#end) throw new HpackError('a block ends before a string');
    const isHuffman = this.#bytes[this.#at]! >= 0x80;
    const length = this.#integer(0x7f);
    const start = this.#at;
    const end = start + length;
    // The claimed length is checked before anything is sized by it.
    if (end > this.#end) throw new HpackError('a block ends inside of a string');
    this.#at = end;
    if (!isHuffman) return this.#bytes.toString('latin1', start, end);
    const bound = huffmanBound(length);
    if (bound > scratch.length) scratch = Buffer.allocUnsafeSlow(bound);
    return scratch.toString('latin1', 0, huffmanDecode(this.#bytes, start, end, scratch));
  }
}
