/**
 * Latencies in a fixed number of counters, in the manner of HdrHistogram: every power of two is cut into 128 steps, so
 * a quantile is read with an error below 1 %, from a microsecond to over an hour, and recording costs an addition.
 *
 * Example: 1,000 us lies between 2^9 = 512 and 2^10; steps there are 4 us wide, so it counts in [1,000, 1,004).
 */
const STEPS = 128;
const STEP_BITS = 7;
const OCTAVES = 32;

export interface LatencySummary {
  readonly count: number;
  readonly meanUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
}

export class Histogram {
  readonly #counts = new Float64Array((OCTAVES - STEP_BITS + 1) * STEPS);
  #count = 0;
  #sumUs = 0;
  #maxUs = 0;

  get count(): number {
    return this.#count;
  }

  record(us: number): void {
    const whole = us < 0 ? 0 : us > 0xffff_ffff ? 0xffff_ffff : Math.floor(us) >>> 0;
    const slot = slotOf(whole);
    this.#counts[slot] = (this.#counts[slot] as number) + 1;
    this.#count++;
    this.#sumUs += us;
    if (us > this.#maxUs) this.#maxUs = us;
  }

  add(other: Histogram): void {
    for (let slot = 0; slot < this.#counts.length; slot++) {
      this.#counts[slot] = (this.#counts[slot] as number) + (other.#counts[slot] as number);
    }
    this.#count += other.#count;
    this.#sumUs += other.#sumUs;
    this.#maxUs = Math.max(this.#maxUs, other.#maxUs);
  }

  /** The value below or at which a share `q` in (0, 1] of all lies: the upper end of its step, never above the maximum. */
  quantile(q: number): number {
    const wanted = Math.ceil(q * this.#count);
    let seen = 0;
    for (let slot = 0; slot < this.#counts.length; slot++) {
      seen += this.#counts[slot] as number;
      if (seen >= wanted && seen > 0) return Math.min(upperEnd(slot), this.#maxUs);
    }
    return 0;
  }

  summary(): LatencySummary {
    return {
      count: this.#count,
      meanUs: this.#count === 0 ? 0 : this.#sumUs / this.#count,
      p50Us: this.quantile(0.5),
      p99Us: this.quantile(0.99),
      p999Us: this.quantile(0.999),
      maxUs: this.#maxUs,
    };
  }
}

/** Values below 128 have a slot each; above, the leading one and the seven bits after it name the slot. */
function slotOf(value: number): number {
  if (value < STEPS) return value;
  const shift = 31 - Math.clz32(value) - STEP_BITS;
  return (shift + 1) * STEPS + ((value >>> shift) - STEPS);
}

/** First value past the slot. */
function upperEnd(slot: number): number {
  if (slot < STEPS) return slot + 1;
  const shift = Math.floor(slot / STEPS) - 1;
  return ((slot % STEPS) + STEPS + 1) * 2 ** shift;
}
