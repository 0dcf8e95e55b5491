/**
 * Seeded randomness: everything random in a test or a simulation comes from here, so that a seed replays it.
 *
 * A stream is named: `new Random(seed, 'network')` and `new Random(seed, 'disk')` are independent, so that removing
 * one kind of fault does not shift the draws of another. The generator is sfc32 (Doty-Humphrey, PractRand): 32-bit
 * integers only, hence equal on every machine.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number | string, stream = '') {
    // FNV-1a over the text of seed and stream gives the start; the first draws are thrown away to mix it.
    let hash = 0x811c9dc5;
    for (const character of `${seed}/${stream}`) {
      hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
    }
    this.#a = hash >>> 0;
    this.#b = Math.imul(hash, 0x85ebca6b) >>> 0;
    this.#c = Math.imul(hash, 0xc2b2ae35) >>> 0;
    for (let i = 0; i < 16; i++) this.uint32();
  }

  /** Uniform in `[0, 2^32)`. */
  uint32(): number {
    const result = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** Uniform integer in `[0, bound)`; `bound` at most 2^32. */
  int(bound: number): number {
    return Math.floor((this.uint32() / 4294967296) * bound);
  }

  /** Uniform integer in `[low, high]`. */
  between(low: number, high: number): number {
    return low + this.int(high - low + 1);
  }

  /** True with probability `p`. */
  chance(p: number): boolean {
    return this.uint32() / 4294967296 < p;
  }

  pick<T>(choices: readonly T[]): T {
    const chosen = choices[this.int(choices.length)];
    if (chosen === undefined && choices.length === 0) throw new Error('pick from nothing');
    return chosen as T;
  }

  /** Picks by weight: `weighted({ put: 5, delete: 1 })`. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const names = Object.keys(weights) as K[];
    let total = 0;
    for (const name of names) total += weights[name];
    let draw = (this.uint32() / 4294967296) * total;
    for (const name of names) {
      draw -= weights[name];
      if (draw < 0) return name;
    }
    return names[names.length - 1] as K;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.uint32() & 0xff;
    return bytes;
  }

  shuffle<T>(items: readonly T[]): T[] {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [result[i], result[j]] = [result[j] as T, result[i] as T];
    }
    return result;
  }
}
