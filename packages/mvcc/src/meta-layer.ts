/**
 * Replicated values beside the keys (leases, users, members, ...) that the disk does not have yet: an active and a sealed layer over table `meta`.
 *
 * They are flushed with the records, in the transaction that holds the applied index.
 */
import type { BackendReader } from './backend/backend.ts';
import { compareBytes, copyBytes, EMPTY } from './bytes.ts';
import { metaTable } from './tables.ts';
import type { MetaChange } from './writer/jobs.ts';

type Layer = Map<string, Map<string, MetaChange>>;

/** What a change costs besides its bytes. */
const CHANGE_BYTES = 120;

export class MetaLayers {
  #reader: BackendReader;
  #active: Layer = new Map();
  #sealed: Layer = new Map();
  #bytes = 0;

  constructor(reader: BackendReader) {
    this.#reader = reader;
  }

  useReader(reader: BackendReader): void {
    this.#reader = reader;
  }

  /** Memory that the active layer takes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `change` is kept: its bytes must be its own. */
  apply(change: MetaChange): void {
    const [table, key, value] = change;
    let rows = this.#active.get(table);
    if (rows === undefined) {
      rows = new Map();
      this.#active.set(table, rows);
    }
    rows.set(nameOf(key), change);
    this.#bytes += CHANGE_BYTES + key.length + (value?.length ?? 0);
  }

  get(table: string, key: Uint8Array): Uint8Array | null {
    const name = nameOf(key);
    const change = this.#active.get(table)?.get(name) ?? this.#sealed.get(table)?.get(name);
    if (change !== undefined) return change[2];
    const bytes = metaTable(table).get(this.#reader, key);
    return bytes === undefined ? null : copyBytes(bytes);
  }

  scan(table: string, visit: (key: Uint8Array, value: Uint8Array) => boolean): void {
    const rows = new Map<string, MetaChange>([
      ...(this.#sealed.get(table) ?? []),
      ...(this.#active.get(table) ?? []),
    ]);
    const changed = [...rows.values()].sort((a, b) => compareBytes(a[1], b[1]));
    let at = 0;
    let goOn = true;
    const visitChanged = (below: Uint8Array | null): void => {
      for (; goOn && at < changed.length; at++) {
        const [, key, value] = changed[at]!;
        if (below !== null && compareBytes(key, below) >= 0) return;
        if (value !== null) goOn = visit(key, value);
      }
    };
    metaTable(table).scan(this.#reader, EMPTY, null, (key, value) => {
      visitChanged(key);
      if (!goOn) return false;
      const next = changed[at];
      if (next !== undefined && compareBytes(next[1], key) === 0) return true;
      goOn = visit(copyBytes(key), copyBytes(value));
      return goOn;
    });
    visitChanged(null);
  }

  /** @returns the changes to flush */
  seal(): MetaChange[] {
    this.#sealed = this.#active;
    this.#active = new Map();
    this.#bytes = 0;
    return [...this.#sealed.values()].flatMap((rows) => [...rows.values()]);
  }

  dropSealed(): void {
    this.#sealed = new Map();
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}
