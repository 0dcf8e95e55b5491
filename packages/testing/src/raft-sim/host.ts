/**
 * What hosts differ in, and the core has to bear: how late they apply, what survives a restart of theirs, whether old
 * entries can be read at once, and what their transports tell.
 *
 * Drawn from a stream of its own, so that the weather and the theme of a seed are the same with and without.
 */
import {
  type ConfState,
  type Entry,
  type HardState,
  type Snapshot,
  type Storage,
  StorageUnavailableError,
} from '@quorate/raft';
import { Random } from '../sim/random.ts';

export interface HostHabits {
  /** By node: what is handed out for application waits up to so long; 0: it is applied at once. */
  readonly applyMs: readonly number[];
  /** The state machine survives a restart, as a store on disk does; otherwise it begins again from the snapshot. */
  readonly durableState: boolean;
  /** Part of the reads of entries and snapshots that have to be asked again later. */
  readonly unreadable: number;
  /** The transport says when messages are being lost. */
  readonly tellsOfLoss: boolean;
}

/** Applies at once, forgets its state with the process, always reads, says nothing. */
export const PLAIN_HOST: HostHabits = { applyMs: [], durableState: false, unreadable: 0, tellsOfLoss: false };

export function drawHost(seed: string, nodes: number): HostHabits {
  const random = new Random(seed, 'host');
  const applyMs = random.chance(0.4) ? random.pick([5, 40, 300, 2000]) : 0;
  return {
    applyMs: Array.from({ length: nodes }, () => (random.chance(0.5) ? applyMs : 0)),
    durableState: random.chance(0.5),
    unreadable: random.chance(0.3) ? random.pick([0.1, 0.5]) : 0,
    tellsOfLoss: random.chance(0.3),
  };
}

/** A storage that cannot always deliver at once. */
export class MoodyStorage implements Storage {
  readonly #storage: Storage;
  /** Whether what is asked for just now has to be asked for again. */
  readonly #refuses: () => boolean;

  constructor(storage: Storage, refuses: () => boolean) {
    this.#storage = storage;
    this.#refuses = refuses;
  }

  initialState(): { hardState: HardState; conf: ConfState } {
    return this.#storage.initialState();
  }

  entries(low: number, high: number, maxBytes: number): readonly Entry[] {
    if (this.#refuses()) throw new StorageUnavailableError('the entries are being read');
    return this.#storage.entries(low, high, maxBytes);
  }

  term(index: number): number {
    return this.#storage.term(index);
  }

  firstIndex(): number {
    return this.#storage.firstIndex();
  }

  lastIndex(): number {
    return this.#storage.lastIndex();
  }

  snapshot(): Snapshot {
    if (this.#refuses()) throw new StorageUnavailableError('the snapshot is being made');
    return this.#storage.snapshot();
  }
}
