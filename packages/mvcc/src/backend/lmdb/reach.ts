/**
 * Which pages an LMDB file needs.
 *
 * A transaction may take the last page of the file and free it again before it commits. Such a page is never written, so a whole
 * file may end before its meta page says it does. One that was truncated looks the same. What tells them apart is
 * whether the trees lead to a page that is not there; this walks them, on the rare file that is short.
 *
 * Layout of this build, little-endian: a page has a header of 24 bytes (flags at 18, end of the node table at 20), then offsets of
 * nodes, relative to the header's end. A node: low word of size or page number 2, high word 2, flags 2, key size 2,
 * key, data. Large values and named tables stand in leaves as references: (page 8, transaction 8, pages 8), and a table's record
 * of 48 bytes, whose root is at 40.
 */
import { readSync } from 'node:fs';

const HEADER_BYTES = 24;
const NODE_BYTES = 8;
const BRANCH = 0x01;
const LEAF = 0x02;
const LARGE_VALUE = 0x01;
const SUB_TABLE = 0x02;
const ROOT_IN_TABLE = 40;
const TABLE_BYTES = 48;
/** What an empty tree has as its root. */
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

/**
 * Whether everything that the trees under `roots` lead to lies within the first `pageCount` pages of the file. False as well for
 * trees that no writer makes.
 */
export function staysWithin(
  fd: number,
  pageBytes: number,
  roots: readonly bigint[],
  pageCount: number,
): boolean {
  const page = Buffer.allocUnsafe(pageBytes);
  const open = [...roots];
  // Trees share no page, so a walk that sees more pages than there are goes in circles.
  for (let seen = 0; open.length > 0; ) {
    const number = open.pop()!;
    if (number === NO_PAGE) continue;
    if (number >= BigInt(pageCount) || ++seen > pageCount) return false;
    if (readSync(fd, page, 0, pageBytes, Number(number) * pageBytes) < pageBytes) return false;
    try {
      if (!visit(page, BigInt(pageCount), open)) return false;
    } catch (error) {
      // An offset that leads out of the page.
      if (error instanceof RangeError) return false;
      throw error;
    }
  }
  return true;
}

/** Adds the pages that this one leads to. @returns false when one is not there, or this is no page of a tree */
function visit(page: Buffer, pageCount: bigint, open: bigint[]): boolean {
  const flags = page.readUInt16LE(18);
  if ((flags & (BRANCH | LEAF)) === 0) return false;
  const nodes = page.readUInt16LE(20) >> 1;
  for (let at = 0; at < nodes; at++) {
    const node = page.readUInt16LE(HEADER_BYTES + 2 * at) + HEADER_BYTES;
    const nodeFlags = page.readUInt16LE(node + 4);
    if ((flags & BRANCH) !== 0) {
      open.push(BigInt(page.readUInt32LE(node)) | (BigInt(nodeFlags) << 32n));
      continue;
    }
    const data = node + NODE_BYTES + page.readUInt16LE(node + 6);
    if ((nodeFlags & LARGE_VALUE) !== 0) {
      if (page.readBigUInt64LE(data) + page.readBigUInt64LE(data + 16) > pageCount) return false;
    } else if ((nodeFlags & SUB_TABLE) !== 0) {
      if (page.readUInt32LE(node) < TABLE_BYTES) return false;
      open.push(page.readBigUInt64LE(data + ROOT_IN_TABLE));
    }
  }
  return true;
}
