/**
 * A look at LMDB's file before LMDB maps it.
 *
 * LMDB trusts its file: one that lacks pages kills the process with SIGBUS on the first read past the end. Free pages at its end
 * may be missing, though (`reach.ts`).
 *
 * Two meta pages take turns; the one with the higher transaction number is in force. Layout (offsets in a page
 * of this build): magic at 24, version at 28, page size at 48, root of the free pages at 88, root of the tables at 136, last page
 * number at 144, transaction number at 152.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { BackendError } from '../backend.ts';
import { staysWithin } from './reach.ts';

const MAGIC = 0xbeefc0de;
const META_BYTES = 160;

interface Meta {
  readonly pageBytes: number;
  readonly roots: readonly bigint[];
  readonly lastPage: number;
  readonly transaction: number;
}

/** @throws BackendError with code CORRUPTED, naming the file */
export function checkLmdbFile(path: string): void {
  const fd = openSync(path, 'r');
  try {
    const fileBytes = fstatSync(fd).size;
    if (fileBytes === 0) return;
    const first = readMeta(fd, 0);
    // Without the first page the page size is not known; 4 KiB is what every file of ours has.
    const second = readMeta(fd, first?.pageBytes ?? 4096);
    if (first === null && second === null) throw new BackendError('CORRUPTED', `${path}: no valid meta page`);
    const newest =
      first === null || (second !== null && second.transaction > first.transaction) ? second! : first;
    const wanted = (newest.lastPage + 1) * newest.pageBytes;
    if (fileBytes >= wanted) return;
    const { pageBytes, roots } = newest;
    if (!staysWithin(fd, pageBytes, roots, Math.floor(fileBytes / pageBytes))) {
      throw new BackendError('CORRUPTED', `${path}: ${fileBytes} bytes, its meta page speaks of ${wanted}`);
    }
  } finally {
    closeSync(fd);
  }
}

function readMeta(fd: number, offset: number): Meta | null {
  const page = new DataView(new ArrayBuffer(META_BYTES));
  if (readSync(fd, page, 0, META_BYTES, offset) < META_BYTES) return null;
  if (page.getUint32(24, true) !== MAGIC) return null;
  return {
    pageBytes: page.getUint32(48, true),
    roots: [page.getBigUint64(88, true), page.getBigUint64(136, true)],
    lastPage: Number(page.getBigUint64(144, true)),
    transaction: Number(page.getBigUint64(152, true)),
  };
}
