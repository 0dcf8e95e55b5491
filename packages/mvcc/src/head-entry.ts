/**
 * The newest record of a key, as `head` and `graves` keep it: enough to answer without the record itself
 * (keys_only, compares, the next version) and to link the next record.
 *
 *   flags 1 byte (1 lease, 2 jump, 4 past), varints: main, sub, main - create, version, depth, [lease], [jump main, jump sub], zeros up to 20 bytes
 *   (the lease not counted)
 *
 * The zeros are room to grow. A key's second record adds six bytes (a jump, a distance from its creation); without room, the second puts of keys
 * that were loaded in order split every full leaf into two half-full ones, and each flush of heads rewrites twice as many from then on.
 */
import { readVarint, readVarint64, varintEnd, writeVarint, writeVarint64 } from './varint.ts';

export interface HeadEntry {
  main: number;
  sub: number;
  /** 0 for a tombstone. */
  createRevision: number;
  version: number;
  lease: bigint;
  tombstone: boolean;
  /** An earlier life of the key may still be readable. */
  past: boolean;
  /** See `jump.ts`. Main 0: none. */
  depth: number;
  jumpMain: number;
  jumpSub: number;
}

/** To be filled, again and again. */
export function emptyHeadEntry(): HeadEntry {
  return {
    main: 0,
    sub: 0,
    createRevision: 0,
    version: 0,
    lease: 0n,
    tombstone: false,
    past: false,
    depth: 0,
    jumpMain: 0,
    jumpSub: 0,
  };
}

const LEASE = 1;
const JUMP = 2;
const PAST = 4;
/** Holds a revision up to 268 million (2^28) and 16,383 records of a key: beyond that an entry grows by a byte now and then. */
const ROOM_BYTES = 20;
/** Flags, and at most 8 + 5 + 8 + 8 + 5 + 10 + 8 + 5 bytes of numbers. */
export const MAX_HEAD_ENTRY_BYTES = 64;

/** @returns the offset after the entry */
export function writeHeadEntry(target: Uint8Array, offset: number, entry: HeadEntry): number {
  let flags = 0;
  if (entry.lease !== 0n) flags |= LEASE;
  if (entry.jumpMain !== 0) flags |= JUMP;
  if (entry.past) flags |= PAST;
  target[offset] = flags;
  let at = writeVarint(target, offset + 1, entry.main);
  at = writeVarint(target, at, entry.sub);
  at = writeVarint(target, at, entry.main - entry.createRevision);
  at = writeVarint(target, at, entry.version);
  at = writeVarint(target, at, entry.depth);
  let end = offset + ROOM_BYTES;
  if (entry.lease !== 0n) {
    const leaseStart = at;
    at = writeVarint64(target, at, entry.lease);
    end += at - leaseStart;
  }
  if (entry.jumpMain !== 0) {
    at = writeVarint(target, at, entry.jumpMain);
    at = writeVarint(target, at, entry.jumpSub);
  }
  // Buffers are used again, so what lies here may be an older entry's.
  while (at < end) target[at++] = 0;
  return at;
}

export function readHeadEntry(source: Uint8Array, tombstone: boolean): HeadEntry {
  const flags = source[0]!;
  const main = readVarint(source, 1);
  const sub = readVarint(source, varintEnd);
  const createRevision = main - readVarint(source, varintEnd);
  const version = readVarint(source, varintEnd);
  const depth = readVarint(source, varintEnd);
  let lease = 0n;
  let jumpMain = 0;
  let jumpSub = 0;
  if (flags & LEASE) lease = readVarint64(source, varintEnd);
  if (flags & JUMP) {
    jumpMain = readVarint(source, varintEnd);
    jumpSub = readVarint(source, varintEnd);
  }
  return {
    main,
    sub,
    createRevision,
    version,
    lease,
    tombstone,
    past: (flags & PAST) !== 0,
    depth,
    jumpMain,
    jumpSub,
  };
}
