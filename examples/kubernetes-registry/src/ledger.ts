/**
 * What the API server knows was acknowledged, and what its watches saw: the two must tell one story.
 *
 * A write whose answer never came (the server was killed) may or may not have happened; every other write happened
 * exactly once, at the revision it was acknowledged with.
 */
export interface Write {
  readonly key: string;
  /** 0: deleted. */
  readonly generation: number;
}

export class Ledger {
  /** Acknowledged writes that no watch has shown yet, by revision and key. */
  readonly #acknowledged = new Map<string, number>();
  /** Events whose write has not been answered yet: the two travel on streams of their own. */
  readonly #early = new Map<string, Write>();
  /** Writes whose fate is unknown. */
  readonly #uncertain = new Set<string>();
  /** What a watch saw last of each key. */
  readonly #seen = new Map<string, { generation: number; revision: number }>();
  readonly #lastRevision = new Map<string, number>();
  events = 0;
  unknownThatHappened = 0;

  acknowledge(write: Write, revision: number): void {
    const place = `${revision} ${write.key}`;
    const early = this.#early.get(place);
    if (early === undefined) {
      this.#acknowledged.set(place, write.generation);
      return;
    }
    this.#match(early, write.generation, revision);
    this.#early.delete(place);
  }

  unknown(write: Write): void {
    this.#uncertain.add(`${write.key} ${write.generation}`);
  }

  /** One event of the watch named `watch`. @throws Error when it breaks a promise of watches */
  event(watch: string, write: Write, revision: number): void {
    this.events++;
    const last = this.#lastRevision.get(watch) ?? 0;
    if (revision < last) throw new Error(`watch ${watch} went back from revision ${last} to ${revision}`);
    this.#lastRevision.set(watch, revision);
    const before = this.#seen.get(write.key);
    if (before !== undefined && before.revision >= revision) {
      throw new Error(`${write.key} came twice at ${revision}`);
    }
    this.#seen.set(write.key, { generation: write.generation, revision });
    const place = `${revision} ${write.key}`;
    const expected = this.#acknowledged.get(place);
    if (expected === undefined) {
      this.#early.set(place, write);
      return;
    }
    this.#match(write, expected, revision);
    this.#acknowledged.delete(place);
  }

  #match(seen: Write, expected: number, revision: number): void {
    if (seen.generation === expected) return;
    throw new Error(`${seen.key} at ${revision} is generation ${seen.generation}, not ${expected}`);
  }

  /**
   * After everything was answered and seen.
   * @throws Error when a write that was acknowledged was never seen, or one was seen that nobody made
   */
  settle(): void {
    for (const [place, { key, generation }] of this.#early) {
      if (!this.#uncertain.delete(`${key} ${generation}`)) {
        throw new Error(`generation ${generation} at ${place} was never written`);
      }
      this.unknownThatHappened++;
    }
    const missing = [...this.#acknowledged.keys()].slice(0, 10);
    if (missing.length > 0) throw new Error(`acknowledged, but no watch saw: ${missing.join(', ')}`);
  }

  /** What the watches say the store holds now. */
  live(): Map<string, { generation: number; revision: number }> {
    return new Map([...this.#seen].filter(([, { generation }]) => generation > 0));
  }
}
