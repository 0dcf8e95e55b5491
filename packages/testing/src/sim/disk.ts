/**
 * A disk in memory that keeps only what it promised.
 *
 * Two worlds side by side: *visible* (what reads and lists return) and *durable* (what a crash leaves). Writes,
 * truncations and names are visible at once and durable only after `sync` or `syncDirectory`. A crash keeps a seeded choice of
 * what was not synced, in order, torn at 512-byte sectors:
 *
 *   write 0..1023 (synced)   write 512..1535   rename a -> b     crash
 *   durable afterwards: sector 1 old or new, sector 2 there or not, the name a or b
 *
 * Faults: a failing call (`inject`), a full disk (`capacityBytes`), a flipped bit (`flipBit`). As on Linux, a `sync` that failed
 * forgets: the pages count as clean, and a later `sync` succeeds without having written them.
 *
 * Folders themselves are durable at once. Everything is drawn from the generator it is given; nothing else is random.
 */
import { type Disk, DiskError, type DiskFile } from '@quorate/wal';
import {
  applyName,
  crashNames,
  type DiskTally,
  emptyTally,
  Inode,
  type NameOperation,
  nameOf,
  parentOf,
} from './disk-image.ts';
import type { Random } from './random.ts';

export type DiskOperation =
  | 'open'
  | 'write'
  | 'read'
  | 'truncate'
  | 'preallocate'
  | 'sync'
  | 'rename'
  | 'remove'
  | 'sync directory';

export interface DiskFault {
  readonly operation: DiskOperation;
  /** Which matching call fails, from 1. Default 1. */
  readonly nth?: number;
  /** Only calls whose path ends so. */
  readonly pathEnd?: string;
  /** Default EIO. */
  readonly code?: string;
}

export class SimDisk implements Disk {
  readonly tally: DiskTally = emptyTally();
  readonly #random: Random;
  readonly #capacityBytes: number;
  #visible = new Map<string, Inode>();
  #durable = new Map<string, Inode>();
  #waiting: NameOperation[] = [];
  readonly #folders = new Set<string>();
  readonly #locks = new Set<string>();
  #faults: { fault: DiskFault; left: number }[] = [];
  /** Rises with each crash: a handle from before is dead. */
  #incarnation = 0;

  constructor(random: Random, options: { readonly capacityBytes?: number } = {}) {
    this.#random = random;
    this.#capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
  }

  /** The next call that matches fails, once. */
  inject(fault: DiskFault): void {
    this.#faults.push({ fault, left: fault.nth ?? 1 });
  }

  /** Injected, and not struck yet. */
  get faultsLeft(): number {
    return this.#faults.length;
  }

  clearFaults(): void {
    this.#faults = [];
  }

  /** Power loss: what was not synced is lost, kept or torn by chance; open files and locks are gone. */
  crash(): void {
    this.tally.crashes++;
    this.#incarnation++;
    this.#locks.clear();
    this.#faults = [];
    crashNames(this.#durable, this.#waiting, this.#random, this.tally);
    this.#waiting = [];
    for (const inode of new Set(this.#durable.values())) inode.crash(this.#random, this.tally);
    this.#visible = new Map(this.#durable);
  }

  /** The process dies, the machine stays up: nothing written is lost, open files and locks are gone. */
  kill(): void {
    this.#incarnation++;
    this.#locks.clear();
    this.#faults = [];
  }

  /** Another disk in the same state, drawing from `random`: many crashes can be tried from one moment. */
  copy(random: Random): SimDisk {
    const copy = new SimDisk(random, { capacityBytes: this.#capacityBytes });
    const inodes = new Map<Inode, Inode>();
    const copied = (inode: Inode): Inode => {
      const known = inodes.get(inode) ?? inode.copy();
      inodes.set(inode, known);
      return known;
    };
    for (const [path, inode] of this.#visible) copy.#visible.set(path, copied(inode));
    for (const [path, inode] of this.#durable) copy.#durable.set(path, copied(inode));
    copy.#waiting = this.#waiting.map((operation) =>
      operation.kind === 'create' ? { ...operation, file: copied(operation.file) } : operation,
    );
    for (const folder of this.#folders) copy.#folders.add(folder);
    for (const lock of this.#locks) copy.#locks.add(lock);
    return copy;
  }

  /** A latent fault: one bit on the platter, visible and durable, without anyone having written it. */
  flipBit(path: string, offset: number, bit: number): void {
    const inode = this.#find(path, 'write');
    for (const content of [inode.visible, inode.durable]) {
      if (offset >= content.length) continue;
      const byte = content.slice(offset, offset + 1);
      byte[0]! ^= 1 << bit;
      content.write(offset, byte);
    }
  }

  usedBytes(): number {
    let bytes = 0;
    for (const inode of new Set(this.#visible.values())) bytes += inode.visible.length;
    return bytes;
  }

  open(path: string, mode: 'create' | 'write' | 'read'): DiskFile {
    this.#before('open', path);
    const incarnation = this.#incarnation;
    if (mode === 'create') this.#create(path);
    const inode = this.#find(path, 'open');
    let open = true;
    const use = (operation: DiskOperation, writes: boolean): void => {
      if (!open) throw new DiskError({ code: 'EBADF', operation, path });
      if (incarnation !== this.#incarnation) throw new DiskError({ code: 'CRASHED', operation, path });
      if (writes && mode === 'read') throw new DiskError({ code: 'EBADF', operation, path });
      this.#before(operation, path);
    };
    return {
      path,
      write: (data, offset) => {
        use('write', true);
        this.#reserve('write', path, offset + data.length - inode.visible.length);
        inode.apply({ kind: 'write', offset, data: data.slice() });
      },
      read: (offset, length) => {
        use('read', false);
        return inode.visible.slice(offset, offset + length);
      },
      size: () => inode.visible.length,
      truncate: (length) => {
        use('truncate', true);
        inode.apply({ kind: 'truncate', length });
      },
      preallocate: (length) => {
        use('preallocate', true);
        this.#reserve('preallocate', path, length - inode.visible.length);
        inode.apply({ kind: 'grow', length });
      },
      sync: () => {
        try {
          use('sync', false);
        } catch (error) {
          // The kernel reports a failed write-back once and then takes the pages for clean.
          if (incarnation === this.#incarnation) inode.waiting = [];
          throw error;
        }
        inode.sync();
      },
      close: () => {
        open = false;
      },
    };
  }

  makeDirectory(path: string): void {
    for (let folder = path; folder.length > 1; folder = parentOf(folder)) this.#folders.add(folder);
  }

  list(path: string): string[] {
    const names: string[] = [];
    for (const file of this.#visible.keys()) if (parentOf(file) === path) names.push(nameOf(file));
    for (const folder of this.#folders) if (parentOf(folder) === path) names.push(nameOf(folder));
    return names.sort();
  }

  exists(path: string): boolean {
    return this.#visible.has(path) || this.#folders.has(path);
  }

  rename(from: string, to: string): void {
    this.#before('rename', from);
    this.#find(from, 'rename');
    this.#changeName({ kind: 'rename', from, to });
  }

  remove(path: string): void {
    this.#before('remove', path);
    this.#find(path, 'remove');
    this.#changeName({ kind: 'remove', path });
  }

  syncDirectory(path: string): void {
    this.#before('sync directory', path);
    const later: NameOperation[] = [];
    for (const operation of this.#waiting) {
      if (parentOf(operation.kind === 'rename' ? operation.to : operation.path) === path) {
        applyName(this.#durable, operation);
      } else {
        later.push(operation);
      }
    }
    this.#waiting = later;
  }

  lock(path: string): { release(): void } {
    if (this.#locks.has(path)) throw new DiskError({ code: 'LOCKED', operation: 'lock', path });
    if (!this.#visible.has(path)) this.#create(path);
    this.#locks.add(path);
    const incarnation = this.#incarnation;
    let held = true;
    return {
      release: () => {
        if (held && incarnation === this.#incarnation) this.#locks.delete(path);
        held = false;
      },
    };
  }

  #create(path: string): void {
    if (this.exists(path)) throw new DiskError({ code: 'EEXIST', operation: 'open', path });
    this.#changeName({ kind: 'create', path, file: new Inode() });
  }

  #find(path: string, operation: string): Inode {
    const inode = this.#visible.get(path);
    if (inode === undefined) throw new DiskError({ code: 'ENOENT', operation, path });
    return inode;
  }

  #changeName(operation: NameOperation): void {
    applyName(this.#visible, operation);
    this.#waiting.push(operation);
  }

  #reserve(operation: DiskOperation, path: string, growth: number): void {
    if (growth <= 0 || this.usedBytes() + growth <= this.#capacityBytes) return;
    this.tally.full++;
    throw new DiskError({ code: 'ENOSPC', operation, path });
  }

  #before(operation: DiskOperation, path: string): void {
    for (const entry of this.#faults) {
      const { fault } = entry;
      if (fault.operation !== operation || !path.endsWith(fault.pathEnd ?? '') || --entry.left > 0) continue;
      this.#faults = this.#faults.filter((other) => other !== entry);
      this.tally.injected++;
      throw new DiskError({ code: fault.code ?? 'EIO', operation, path });
    }
  }
}
