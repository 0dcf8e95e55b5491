/**
 * The files the log lives in, as the log needs them.
 *
 * Small on purpose: the real one is `node/disk.ts`, the simulated one (which loses what was not synced, tears
 * writes, fails and fills up) is in `@quorate/testing`; both pass `disk.contract.ts`. All calls are synchronous:
 * the log calls them from a thread of its own.
 *
 * Promise kinds: a returned `write` is *visible*, a returned `sync` is *durable*. A created, renamed or removed
 * name is durable only after `syncDirectory`. Every failure throws `DiskError`, and a failed `write` or `sync`
 * leaves the file in an unknown state: the log never goes on after one.
 */
export interface DiskFile {
  readonly path: string;
  /** Writes all of `data` at `offset` bytes, extending the file when needed; `data` may be reused at once. @throws DiskError also when only a part could be written */
  write(data: Uint8Array, offset: number): void;
  /** Reads up to `length` bytes at `offset`; shorter only at the end of the file. */
  read(offset: number, length: number): Uint8Array;
  size(): number;
  /** Cuts the file to `length` bytes. */
  truncate(length: number): void;
  /** Reserves real blocks up to `length` bytes, reading as zeros, without shrinking. @throws DiskError with code ENOSPC */
  preallocate(length: number): void;
  /** Makes data and length durable (fdatasync). */
  sync(): void;
  close(): void;
}

export interface Disk {
  /** Opens for reading and writing; `create` makes a new file of mode 0600 and fails when the name exists. */
  open(path: string, mode: 'create' | 'write' | 'read'): DiskFile;
  /** Creates `path` and its parents, mode 0700; nothing happens when it exists. */
  makeDirectory(path: string): void;
  /** Names in `path`, sorted; empty when the directory does not exist. */
  list(path: string): string[];
  exists(path: string): boolean;
  /** Atomically replaces `to`. */
  rename(from: string, to: string): void;
  remove(path: string): void;
  syncDirectory(path: string): void;
  /** Takes the exclusive lock of `path` (a file, created when missing). @throws DiskError with code LOCKED when another process holds it */
  lock(path: string): { release(): void };
}

/** The world failed. `cause` is the system's own error. */
export class DiskError extends Error {
  override readonly name = 'DiskError';
  /** System error code (ENOSPC, EIO, ...) or LOCKED. */
  readonly code: string;
  readonly operation: string;
  readonly path: string;

  constructor(what: { code: string; operation: string; path: string; cause?: unknown }) {
    super(`${what.operation} ${what.path}: ${what.code}`, { cause: what.cause });
    this.code = what.code;
    this.operation = what.operation;
    this.path = what.path;
  }
}
