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
  /** Acknowledged writes by revision and key. */
  readonly #acknowledged = new Map<string, number>();
  /** Writes whose fate is unknown. */
  readonly #uncertain = new Set<string>();
  /** What a watch saw last of each key. */
  readonly #seen = new Map<string, { generation: number; revision: number }>();
  readonly #lastRevision = new Map<string, number>();
  events = 0;
  unknownThatHappened = 0;

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  acknowledge(write: Write, revision: number): void {
    this.#acknowledged.set(`${revision} ${write.key}`, write.generation);
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
    if (before !== undefined && before.revision >= revision)
      throw new Error(`${write.key} came twice at ${revision}`);
    this.#seen.set(write.key, { generation: write.generation, revision });
    const place = `${revision} ${write.key}`;
    const expected = this.#acknowledged.get(place);
    if (expected === undefined) {
      if (!this.#uncertain.delete(`${write.key} ${write.generation}`)) {
        throw new Error(`${write.key} generation ${write.generation} at ${revision} was never written`);
      }
      this.unknownThatHappened++;
    } else if (expected !== write.generation) {
      throw new Error(`${write.key} at ${revision} is generation ${write.generation}, not ${expected}`);
    }
    this.#acknowledged.delete(place);
  }

  /** After everything was seen: acknowledged writes that no watch delivered. */
  missing(): readonly string[] {
    return [...this.#acknowledged.keys()].slice(0, 10);
  }

  /** What the watches say the store holds now. */
  live(): Map<string, { generation: number; revision: number }> {
    return new Map([...this.#seen].filter(([, { generation }]) => generation > 0));
  }
}
