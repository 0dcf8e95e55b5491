/**
 * Header blocks that a server sends again and again, encoded once for each state of the peer's table.
 *
 * A caller names a block by its number and asks for the bytes at the very moment they are written: encoding may add
 * entries to the peer's table, so the order of encoding has to be the order on the wire.
 */
import type { FieldPair, HpackEncoder } from './encoder.ts';

export class RecurringBlocks {
  readonly #encoder: HpackEncoder;
  readonly #fieldLists: readonly (readonly FieldPair[])[];
  readonly #blocks: (Buffer | undefined)[];
  #version = -1;

  constructor(encoder: HpackEncoder, fieldLists: readonly (readonly FieldPair[])[]) {
    this.#encoder = encoder;
    this.#fieldLists = fieldLists;
    this.#blocks = fieldLists.map(() => undefined);
  }

  /** The bytes of block `id`, to be written now. */
  encode(id: number): Buffer {
    if (this.#version === this.#encoder.version) {
      const known = this.#blocks[id];
      if (known !== undefined) return known;
    } else {
      this.#blocks.fill(undefined);
      this.#version = this.#encoder.version;
    }
    const block = this.#encoder.encodeRecurring(this.#fieldLists[id]!);
    // Kept only when it moved nothing: otherwise the next one is shorter.
    if (this.#version === this.#encoder.version) this.#blocks[id] = block;
    return block;
  }
}
