/**
 * Keys by number, in a few large chunks, and the hash index over them.
 *
 * Finding a key is one probe most of the time. Somebody may send keys made to collide: after `MAX_PROBES` the index gives up and
 * answers "unknown", and the caller looks in the sorted list instead, so the cost stays logarithmic.
 */
const CHUNK_BYTES = 64 << 10;
const MAX_PROBES = 32;
const NONE = 0;
export const UNKNOWN = -2;

export class KeyArena {
  #chunks: Uint8Array[] = [];
  #chunk: Uint8Array = new Uint8Array(0);
  #used = 0;
  #count = 0;
  #bytes = 0;
  #chunkOf = new Uint32Array(256);
  #start = new Uint32Array(256);
  #length = new Uint32Array(256);
  #hash = new Uint32Array(256);
  /** Entry + 1 per slot; always at most half full. */
  #slots = new Int32Array(1024);
  /** Some key found no slot within the probe limit. */
  #overflowed = false;

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @returns the key's number, -1 when it is not here, `UNKNOWN` when only the sorted list can tell */
  find(key: Uint8Array): number {
    return this.#find(key, 0, key.length, hashKey(key, 0, key.length));
  }

  /** Copies `key`, which is not here yet. @returns its number */
  add(key: Uint8Array): number {
    return this.#add(key, 0, key.length, hashKey(key, 0, key.length));
  }

  /**
   * The number of the key in `[start, end)` of `source`, which is copied when it is not here yet: then `count` has grown. `UNKNOWN`: only the sorted
   * list can tell.
   */
  findOrAdd(source: Uint8Array, start: number, end: number): number {
    const hash = hashKey(source, start, end);
    const entry = this.#find(source, start, end, hash);
    return entry === -1 ? this.#add(source, start, end, hash) : entry;
  }

  #find(source: Uint8Array, start: number, end: number, hash: number): number {
    const mask = this.#slots.length - 1;
    for (let probe = 0, slot = hash & mask; probe < MAX_PROBES; slot = (slot + ++probe) & mask) {
      const entry = this.#slots[slot]! - 1;
      if (entry < 0) return -1;
      if (this.#hash[entry] === hash && this.#equals(entry, source, start, end)) return entry;
    }
    return this.#overflowed ? UNKNOWN : -1;
  }

  #add(source: Uint8Array, start: number, end: number, hash: number): number {
    const length = end - start;
    if (this.#chunk.length - this.#used < length) {
      this.#chunk = new Uint8Array(Math.max(CHUNK_BYTES, length));
      this.#chunks.push(this.#chunk);
      this.#used = 0;
    }
    if (this.#count === this.#start.length) this.#growEntries(this.#start.length * 2);
    const entry = this.#count++;
    this.#chunkOf[entry] = this.#chunks.length - 1;
    this.#start[entry] = this.#used;
    this.#length[entry] = length;
    this.#hash[entry] = hash;
    copyInto(this.#chunk, this.#used, source, start, end);
    this.#used += length;
    this.#bytes += length;
    if (this.#count * 2 > this.#slots.length) this.#rehash();
    else this.#place(entry);
    return entry;
  }

  #equals(entry: number, source: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    if (this.#length[entry] !== length) return false;
    const chunk = this.#chunks[this.#chunkOf[entry]!]!;
    const from = this.#start[entry]!;
    for (let i = 0; i < length; i++) if (chunk[from + i] !== source[start + i]) return false;
    return true;
  }

  /** A view of the key: it never changes. */
  key(entry: number): Uint8Array {
    const start = this.#start[entry]!;
    return this.#chunks[this.#chunkOf[entry]!]!.subarray(start, start + this.#length[entry]!);
  }

  /** Bytes that the last two compared keys have in common at their beginning. */
  common = 0;

  /** Below 0 when the entry's key is less than `key`. */
  compare(entry: number, key: Uint8Array): number {
    return this.compareFrom(entry, key, 0);
  }

  /** The same for keys known to agree in their first `from` bytes. Sets `common`. */
  compareFrom(entry: number, key: Uint8Array, from: number): number {
    const chunk = this.#chunks[this.#chunkOf[entry]!]!;
    const start = this.#start[entry]!;
    const length = this.#length[entry]!;
    const shorter = Math.min(length, key.length);
    let i = from;
    while (i < shorter && chunk[start + i] === key[i]) i++;
    this.common = i;
    return i < shorter ? chunk[start + i]! - key[i]! : length - key.length;
  }

  /** How many of its first `most` bytes the entry's key has in common with `key`, given that it has the first `from`. */
  agree(entry: number, key: Uint8Array, from: number, most: number): number {
    const chunk = this.#chunks[this.#chunkOf[entry]!]!;
    const start = this.#start[entry]!;
    const shorter = Math.min(this.#length[entry]!, most);
    let i = from;
    while (i < shorter && chunk[start + i] === key[i]) i++;
    return i;
  }

  /** `keyWord` of the entry's key. */
  word(entry: number, from: number): number {
    const start = this.#start[entry]!;
    return keyWord(this.#chunks[this.#chunkOf[entry]!]!, start, start + this.#length[entry]!, from);
  }

  /** Three bytes from byte `from` on, nine bits each: what they are and one, or 0 where the key has ended. */
  digits(entry: number, from: number): number {
    const chunk = this.#chunks[this.#chunkOf[entry]!]!;
    const start = this.#start[entry]!;
    const end = start + this.#length[entry]!;
    const at = start + from;
    if (end - at >= 3) return ((chunk[at]! + 1) << 18) | ((chunk[at + 1]! + 1) << 9) | (chunk[at + 2]! + 1);
    if (at >= end) return 0;
    return ((chunk[at]! + 1) << 18) | (end - at === 2 ? (chunk[at + 1]! + 1) << 9 : 0);
  }

  /** Makes room for `count` keys: memory that is not used yet costs nothing. */
  reserve(count: number): void {
    if (count > this.#start.length) this.#growEntries(2 ** Math.ceil(Math.log2(count)));
    if (count * 2 <= this.#slots.length) return;
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(count * 2)));
    this.#placeAll();
  }

  #place(entry: number): void {
    const mask = this.#slots.length - 1;
    let slot = this.#hash[entry]! & mask;
    for (let probe = 0; probe < MAX_PROBES; slot = (slot + ++probe) & mask) {
      if (this.#slots[slot] === NONE) {
        this.#slots[slot] = entry + 1;
        return;
      }
    }
    this.#overflowed = true;
  }

  #rehash(): void {
    this.#slots = new Int32Array(this.#slots.length * 2);
    this.#placeAll();
  }

  #placeAll(): void {
    this.#overflowed = false;
    for (let entry = 0; entry < this.#count; entry++) this.#place(entry);
  }

  #growEntries(capacity: number): void {
    this.#chunkOf = grown(this.#chunkOf, capacity);
    this.#start = grown(this.#start, capacity);
    this.#length = grown(this.#length, capacity);
    this.#hash = grown(this.#hash, capacity);
  }
}

function grown(from: Uint32Array<ArrayBuffer>, capacity: number): Uint32Array<ArrayBuffer> {
  const to = new Uint32Array(capacity);
  to.set(from);
  return to;
}

/** Of how many bytes `keyWord` makes a number. */
export const WORD_BYTES = 5;

/**
 * Five bytes from byte `from` on of the key in `[start, end)` of `bytes`, as a number: of two keys that agree before, the lesser one has the lesser number,
 * or an equal one when they agree in all five. A byte counts one more than it is and an ended key counts 0, in base 257.
 */
export function keyWord(bytes: Uint8Array, start: number, end: number, from: number): number {
  const at = start + from;
  if (end - at >= WORD_BYTES) {
    const high = ((bytes[at]! + 1) * 257 + bytes[at + 1]! + 1) * 257 + bytes[at + 2]! + 1;
    return high * (257 * 257) + (bytes[at + 3]! + 1) * 257 + bytes[at + 4]! + 1;
  }
  let word = 0;
  for (let i = at; i < at + WORD_BYTES; i++) word = word * 257 + (i < end ? bytes[i]! + 1 : 0);
  return word;
}

/** Fewer bytes are copied faster one by one. */
const NATIVE_COPY_FROM = 96;

function copyInto(target: Uint8Array, at: number, source: Uint8Array, start: number, end: number): void {
  if (end - start >= NATIVE_COPY_FROM) target.set(source.subarray(start, end), at);
  else for (let i = start, to = at; i < end; i++, to++) target[to] = source[i]!;
}

/** FNV-1a with a final mix; long keys are sampled at both ends. */
export function hashKey(source: Uint8Array, start: number, end: number): number {
  const length = end - start;
  let hash = Math.imul(length, 0x9e3779b1) | 0;
  const first = length > 192 ? start + 96 : end;
  for (let i = start; i < first; i++) hash = Math.imul(hash ^ source[i]!, 0x01000193);
  for (let i = Math.max(first, end - 96); i < end; i++) hash = Math.imul(hash ^ source[i]!, 0x01000193);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  return hash >>> 0;
}
