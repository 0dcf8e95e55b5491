/**
 * Files as a crash sees them: what is visible, what is durable, and the operations between the two.
 *
 * Shared by the simulated disk (`disk.ts`), which performs the operations, and by crash images (`../crash-image/`), which
 * replay recorded ones. An operation that was not synced is dropped, kept or torn at 512-byte sectors, by the generator.
 */
import type { Random } from './random.ts';

const SECTOR_BYTES = 512;

/** How much the disk has done to its user; a run asserts that it was not spared. */
export interface DiskTally {
  crashes: number;
  droppedWrites: number;
  keptWrites: number;
  tornWrites: number;
  droppedNames: number;
  keptNames: number;
  injected: number;
  full: number;
}

export type FileOperation =
  | { readonly kind: 'write'; readonly offset: number; readonly data: Uint8Array }
  | { readonly kind: 'truncate'; readonly length: number }
  | { readonly kind: 'grow'; readonly length: number };

export type NameOperation =
  | { readonly kind: 'create'; readonly path: string; readonly file: Inode }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string };

/** A byte string that grows and shrinks; what is beyond its length reads as zero when it grows back. */
class Content {
  #bytes = new Uint8Array(0);
  length = 0;

  apply(operation: FileOperation): void {
    if (operation.kind === 'truncate') this.#resize(operation.length);
    else if (operation.kind === 'grow') this.#resize(Math.max(this.length, operation.length));
    else this.write(operation.offset, operation.data);
  }

  write(offset: number, data: Uint8Array): void {
    if (offset + data.length > this.length) this.#resize(offset + data.length);
    this.#bytes.set(data, offset);
  }

  slice(from: number, to: number): Uint8Array {
    return this.#bytes.slice(from, Math.min(to, this.length));
  }

  copy(): Content {
    const copy = new Content();
    copy.#bytes = this.#bytes.slice(0, this.length);
    copy.length = this.length;
    return copy;
  }

  #resize(length: number): void {
    if (length < this.length) this.#bytes.fill(0, length, this.length);
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.length = length;
  }
}

export class Inode {
  visible = new Content();
  durable = new Content();
  waiting: FileOperation[] = [];

  apply(operation: FileOperation): void {
    this.visible.apply(operation);
    this.waiting.push(operation);
  }

  /** Makes the first `count` waiting operations durable; all of them by default. */
  sync(count = this.waiting.length): void {
    for (const operation of this.waiting.splice(0, count)) this.durable.apply(operation);
  }

  /** Power loss: what waits is settled by chance, and what is left is all there is. */
  crash(random: Random, tally: DiskTally): void {
    for (const operation of this.waiting) settle(this.durable, operation, random, tally);
    this.waiting = [];
    this.visible = this.durable.copy();
  }

  copy(): Inode {
    const copy = new Inode();
    copy.visible = this.visible.copy();
    copy.durable = this.durable.copy();
    copy.waiting = [...this.waiting];
    return copy;
  }
}

/** False when the operation has nothing to work on, because one before it was lost. */
export function applyName(names: Map<string, Inode>, operation: NameOperation): boolean {
  if (operation.kind === 'create') {
    names.set(operation.path, operation.file);
    return true;
  }
  if (operation.kind === 'remove') return names.delete(operation.path);
  const file = names.get(operation.from);
  if (file === undefined) return false;
  names.delete(operation.from);
  names.set(operation.to, file);
  return true;
}

/** Settles names that were not synced, in order: each is lost or kept. */
export function crashNames(
  durable: Map<string, Inode>,
  waiting: readonly NameOperation[],
  random: Random,
  tally: DiskTally,
): void {
  for (const operation of waiting) {
    if (random.chance(0.5) && applyName(durable, operation)) tally.keptNames++;
    else tally.droppedNames++;
  }
}

export function emptyTally(): DiskTally {
  const writes = { droppedWrites: 0, keptWrites: 0, tornWrites: 0 };
  return { crashes: 0, ...writes, droppedNames: 0, keptNames: 0, injected: 0, full: 0 };
}

/** Decides what a crash leaves of one operation that was not synced. */
function settle(durable: Content, operation: FileOperation, random: Random, tally: DiskTally): void {
  const fate = random.int(3);
  if (fate === 0) {
    tally.droppedWrites++;
  } else if (fate === 1 || operation.kind !== 'write') {
    tally.keptWrites++;
    durable.apply(operation);
  } else {
    tally.tornWrites++;
    tear(durable, operation.offset, operation.data, random);
  }
}

/** Each sector by itself is written or not. */
function tear(durable: Content, offset: number, data: Uint8Array, random: Random): void {
  for (let from = 0; from < data.length; ) {
    const to = Math.min(data.length, from + SECTOR_BYTES - ((offset + from) % SECTOR_BYTES));
    if (random.chance(0.5)) durable.write(offset + from, data.subarray(from, to));
    from = to;
  }
}

export function parentOf(path: string): string {
  const at = path.lastIndexOf('/');
  return at <= 0 ? '/' : path.slice(0, at);
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
