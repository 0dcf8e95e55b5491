/**
 * Which configuration was in force at which applied index, as far back as an image of the store may reach.
 *
 * A snapshot carries raft's configuration as of its index, and an image of the store is always a little older than the
 * state applied now.
 */
import type { ConfState } from '@quorate/raft';

export class ConfHistory {
  /** In order of index; each holds until the next. */
  #entries: { readonly from: number; readonly conf: ConfState }[];

  /** @param index last applied; @param conf in force there, null for a member that has applied nothing */
  constructor(index: number, conf: ConfState | null) {
    this.#entries = conf === null ? [] : [{ from: index, conf }];
  }

  get current(): ConfState | null {
    return this.#entries[this.#entries.length - 1]?.conf ?? null;
  }

  /** Index of the newest change known here; 0 when there is none. */
  get changedIndex(): number {
    return this.#entries.at(-1)?.from ?? 0;
  }

  changed(index: number, conf: ConfState): void {
    this.#entries.push({ from: index, conf });
  }

  /** The state was replaced: what came before tells nothing any more. */
  restart(index: number, conf: ConfState): void {
    this.#entries = [{ from: index, conf }];
  }

  /** Null when that lies before everything known. */
  at(index: number): ConfState | null {
    return this.#entries.findLast(({ from }) => from <= index)?.conf ?? null;
  }

  /** Nobody will ask for anything before `index`. */
  forgetBefore(index: number): void {
    while (this.#entries.length > 1 && this.#entries[1]!.from <= index) this.#entries.shift();
  }
}
