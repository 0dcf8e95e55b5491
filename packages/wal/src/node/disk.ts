/**
 * The real disk. Passes `disk.contract.ts`, as the simulated one does.
 *
 * Space is reserved by writing zeros: Node has no fallocate, and blocks that were written once need no journal commit when they
 * are overwritten and synced.
 */
import {
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { type Disk, DiskError, type DiskFile } from '../disk.ts';
import { lockFile } from './lock.ts';

const ZEROS = Buffer.alloc(256 * 1024);

function attempt<T>(operation: string, path: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (cause instanceof DiskError) throw cause;
    const code = (cause as NodeJS.ErrnoException).code ?? 'UNKNOWN';
    throw new DiskError({ code, operation, path, cause });
  }
}

class NodeFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;
  #open = true;

  constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  write(data: Uint8Array, offset: number): void {
    attempt('write', this.path, () => this.#writeAll(data, offset));
  }

  /** A short write says why only when the rest is tried: a full disk takes what fits, then fails with ENOSPC. */
  #writeAll(data: Uint8Array, offset: number): void {
    let written = 0;
    while (written < data.length) {
      const count = writeSync(this.#descriptor, data, written, data.length - written, offset + written);
      if (count === 0) throw new DiskError({ code: 'SHORT_WRITE', operation: 'write', path: this.path });
      written += count;
    }
  }

  read(offset: number, length: number): Uint8Array {
    return attempt('read', this.path, () => {
      const bytes = Buffer.allocUnsafeSlow(length);
      let count = 0;
      while (count < length) {
        const read = readSync(this.#descriptor, bytes, count, length - count, offset + count);
        if (read === 0) break;
        count += read;
      }
      return bytes.subarray(0, count);
    });
  }

  size(): number {
    return attempt('stat', this.path, () => fstatSync(this.#descriptor).size);
  }

  truncate(length: number): void {
    attempt('truncate', this.path, () => ftruncateSync(this.#descriptor, length));
  }

  preallocate(length: number): void {
    attempt('preallocate', this.path, () => {
      for (let at = this.size(); at < length; at += ZEROS.length) {
        this.#writeAll(ZEROS.subarray(0, Math.min(ZEROS.length, length - at)), at);
      }
    });
  }

  sync(): void {
    attempt('sync', this.path, () => fdatasyncSync(this.#descriptor));
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    attempt('close', this.path, () => closeSync(this.#descriptor));
  }
}

const FLAGS = {
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
  write: constants.O_RDWR,
  read: constants.O_RDONLY,
} as const;

export const nodeDisk: Disk = {
  open(path, mode) {
    return attempt('open', path, () => new NodeFile(path, openSync(path, FLAGS[mode], 0o600)));
  },

  makeDirectory(path) {
    attempt('make directory', path, () => {
      const missing: string[] = [];
      let existing = path;
      for (; !existsSync(existing); existing = dirname(existing)) missing.push(existing);
      // A new folder is an entry in its parent, and as little durable as any other until that is synced. They are made one after the
      // other, from the top, so a process that ends in between leaves one that is not durable: the last, still empty. We begin there.
      if (readdirSync(existing).length === 0) syncParent(existing);
      for (const folder of missing.reverse()) {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        syncFolder(dirname(folder));
      }
    });
  },

  list(path) {
    return attempt('list', path, () => (existsSync(path) ? readdirSync(path).sort() : []));
  },

  exists(path) {
    return existsSync(path);
  },

  rename(from, to) {
    attempt('rename', from, () => renameSync(from, to));
  },

  remove(path) {
    attempt('remove', path, () => rmSync(path));
  },

  syncDirectory(path) {
    attempt('sync directory', path, () => syncFolder(path));
  },

  lock(path) {
    return lockFile(path);
  },
};

/** Of a folder that may be somebody else's: then we did not make it, and may not be allowed to. */
function syncParent(path: string): void {
  try {
    syncFolder(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  }
}

function syncFolder(path: string): void {
  // Windows cannot open a folder for syncing, and orders its metadata by itself.
  if (process.platform === 'win32') return;
  const descriptor = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
