/** Real files, for reading and for writing. */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { BoltSource } from '../source.ts';
import type { BoltSink } from '../writer.ts';

export interface BoltFileHandle extends BoltSource {
  close(): void;
}

/**
 * Opens `path` for reading.
 * @param sizeBytes how much of it is the database, when something else follows; default: all of it
 * @throws the system's error
 */
export function openFile(path: string, sizeBytes?: number): BoltFileHandle {
  const descriptor = openSync(path, 'r');
  const size = Math.min(fstatSync(descriptor).size, sizeBytes ?? Number.POSITIVE_INFINITY);
  return {
    size,
    read(offset, length) {
      const wanted = Math.max(0, Math.min(length, size - offset));
      const bytes = Buffer.allocUnsafeSlow(wanted);
      let filled = 0;
      while (filled < wanted) {
        const count = readSync(descriptor, bytes, filled, wanted - filled, offset + filled);
        if (count === 0) break;
        filled += count;
      }
      return bytes.subarray(0, filled);
    },
    close: () => closeSync(descriptor),
  };
}

export interface BoltFileSink extends BoltSink {
  /** Makes what was written durable. */
  sync(): void;
  close(): void;
}

/** A new file of mode 0600. @throws the system's error, also when the name exists */
export function createFile(path: string): BoltFileSink {
  const descriptor = openSync(path, 'wx', 0o600);
  return {
    write(bytes, offset) {
      let written = 0;
      while (written < bytes.length)
        written += writeSync(descriptor, bytes, written, bytes.length - written, offset + written);
    },
    truncate: (size) => ftruncateSync(descriptor, size),
    sync: () => fsyncSync(descriptor),
    close: () => closeSync(descriptor),
  };
}
