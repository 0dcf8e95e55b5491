/** Where a file's bytes come from: positioned reads, nothing else. `node/file.ts` has the real one. */
export interface BoltSource {
  /** Bytes there are. */
  readonly size: number;
  /** Up to `length` bytes at `offset`, fewer only at the end. The result is the caller's: it is not changed afterwards. */
  read(offset: number, length: number): Uint8Array;
}

/** Bytes in memory as a source. */
export function bytesSource(bytes: Uint8Array): BoltSource {
  return {
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
  };
}
