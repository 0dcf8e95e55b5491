/**
 * The numbers of the format: page header, elements, bucket header, meta page. `../FORMAT.md` draws them.
 *
 * Everything is little-endian. Page ids and counters are 64 bits; a file whose numbers leave the safe integers is damaged,
 * since no disk is that large.
 */

export const PAGE_HEADER_BYTES = 16;
export const ELEMENT_BYTES = 16;
export const BUCKET_HEADER_BYTES = 16;

export const PageFlag = { branch: 0x01, leaf: 0x02, meta: 0x04, freelist: 0x10 } as const;
/** Flag of a leaf element whose value is a bucket. */
export const BUCKET_ELEMENT = 0x01;

export const MAGIC = 0xed0cdaed;
export const VERSION = 2;
/** Bytes of a meta before its checksum, and with it. */
export const META_CHECKED_BYTES = 56;
export const META_BYTES = 64;

export const DEFAULT_PAGE_BYTES = 4096;
export const MIN_PAGE_BYTES = 512;
export const MAX_PAGE_BYTES = 64 * 1024;

/** Largest key and value bbolt takes. */
export const MAX_KEY_BYTES = 32_768;
export const MAX_VALUE_BYTES = 2 ** 31 - 2;
/** Pages hold their count of elements in 16 bits; the highest value means "elsewhere" on freelist pages. */
export const MAX_COUNT = 0xfffe;

/** Deeper trees do not exist: two children a branch make more pages than a disk has. */
export const MAX_DEPTH = 64;

/** Buckets within buckets: far beyond what anybody makes, and few enough to walk. */
export const MAX_NESTING = 1_000;

/** The freelist's place when it was not written: it is worked out from the reachable pages. */
export const NO_FREELIST = -1;

export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** @returns null beyond the safe integers */
export function readUint64(from: DataView, offset: number): number | null {
  const high = from.getUint32(offset + 4, true);
  return high >= 0x200000 ? null : high * 2 ** 32 + from.getUint32(offset, true);
}

export function writeUint64(into: DataView, offset: number, value: number): void {
  into.setUint32(offset, value % 2 ** 32, true);
  into.setUint32(offset + 4, Math.floor(value / 2 ** 32), true);
}

const FNV_OFFSET = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;

/** FNV-1a of 64 bits: the checksum of a meta. Slow and short, as metas are. */
export function fnv64a(bytes: Uint8Array): bigint {
  let hash = FNV_OFFSET;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * FNV_PRIME);
  return hash;
}

export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}
