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
      const firstMade = mkdirSync(path, { recursive: true, mode: 0o700 });
      if (firstMade === undefined) return;
      // A new folder is an entry in its parent, and as little durable as any other until that is synced.
      for (let made = path; ; made = dirname(made)) {
        syncFolder(dirname(made));
        if (made === firstMade || made === dirname(made)) break;
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
