/**
 * The two meta pages: where the tree begins, as of the last transactions.
 *
 * A commit writes its meta over the older of the two, so a torn write leaves the other one. The newer valid one counts.
 */
import { BoltError } from './errors.ts';
import {
  DEFAULT_PAGE_BYTES,
  fnv64a,
  MAGIC,
  MAX_PAGE_BYTES,
  META_BYTES,
  META_CHECKED_BYTES,
  MIN_PAGE_BYTES,
  NO_FREELIST,
  PAGE_HEADER_BYTES,
  PageFlag,
  readUint64,
  VERSION,
  view,
  writeUint64,
} from './format.ts';
import type { BoltSource } from './source.ts';

export interface Meta {
  readonly pageBytes: number;
  readonly rootPageId: number;
  readonly rootSequence: number;
  /** `NO_FREELIST` when it was not written. */
  readonly freelistPageId: number;
  /** One past the highest page in use. */
  readonly highWater: number;
  readonly transactionId: number;
}

/** @returns the meta, or what is wrong with it */
export function decodeMeta(bytes: Uint8Array): Meta | string {
  if (bytes.length < PAGE_HEADER_BYTES + META_BYTES) return 'the file ends inside it';
  const meta = bytes.subarray(PAGE_HEADER_BYTES, PAGE_HEADER_BYTES + META_BYTES);
  const from = view(meta);
  if (from.getUint32(0, true) !== MAGIC) return 'wrong magic number';
  const version = from.getUint32(4, true);
  if (version !== VERSION) return `format version ${version} is not known`;
  if (from.getBigUint64(META_CHECKED_BYTES, true) !== fnv64a(meta.subarray(0, META_CHECKED_BYTES)))
    return 'wrong checksum';
  const pageBytes = from.getUint32(8, true);
  if (pageBytes < MIN_PAGE_BYTES || pageBytes > MAX_PAGE_BYTES || (pageBytes & (pageBytes - 1)) !== 0)
    return `page size ${pageBytes} is not possible`;
  const noFreelist = from.getBigUint64(32, true) === 2n ** 64n - 1n;
  const numbers = [16, 24, 32, 40, 48].map((offset) => readUint64(from, offset));
  if (noFreelist) numbers[2] = NO_FREELIST;
  if (numbers.some((number) => number === null)) return 'a number is out of range';
  const [rootPageId, rootSequence, freelistPageId, highWater, transactionId] = numbers as [
    number,
    number,
    number,
    number,
    number,
  ];
  return { pageBytes, rootPageId, rootSequence, freelistPageId, highWater, transactionId };
}

/** The page that holds `meta`: its place follows from the transaction. */
export function encodeMetaPage(meta: Meta): Uint8Array {
  const page = new Uint8Array(meta.pageBytes);
  const into = view(page);
  writeUint64(into, 0, meta.transactionId % 2);
  into.setUint16(8, PageFlag.meta, true);
  const at = PAGE_HEADER_BYTES;
  into.setUint32(at, MAGIC, true);
  into.setUint32(at + 4, VERSION, true);
  into.setUint32(at + 8, meta.pageBytes, true);
  writeUint64(into, at + 16, meta.rootPageId);
  writeUint64(into, at + 24, meta.rootSequence);
  writeUint64(into, at + 32, meta.freelistPageId);
  writeUint64(into, at + 40, meta.highWater);
  writeUint64(into, at + 48, meta.transactionId);
  const sum = fnv64a(page.subarray(at, at + META_CHECKED_BYTES));
  into.setBigUint64(at + META_CHECKED_BYTES, sum, true);
  return page;
}

/**
 * The meta that counts. The second page's place depends on the page size, which only the first one tells: when that one is
 * unreadable, every possible size is tried.
 * @throws BoltError when neither can be used
 */
export function findMeta(source: BoltSource): Meta {
  const readAt = (offset: number): Meta | string =>
    decodeMeta(source.read(offset, PAGE_HEADER_BYTES + META_BYTES));
  const first = readAt(0);
  const sizes =
    typeof first === 'string'
      ? [DEFAULT_PAGE_BYTES, ...powersOfTwo(MIN_PAGE_BYTES, MAX_PAGE_BYTES)]
      : [first.pageBytes];
  let second: Meta | string = 'the file ends before it';
  for (const pageBytes of sizes) {
    const found = readAt(pageBytes);
    if (typeof found === 'string' ? typeof second === 'string' : found.pageBytes !== pageBytes) continue;
    second = found;
    break;
  }
  if (typeof first === 'string' && typeof second === 'string') {
    throw new BoltError('not-bbolt', null, `not a bbolt file: neither meta page can be used (${first})`);
  }
  const meta =
    typeof first === 'string'
      ? (second as Meta)
      : typeof second === 'string' || first.transactionId >= second.transactionId
        ? first
        : second;
  const pages = Math.floor(source.size / meta.pageBytes);
  if (meta.highWater > pages) {
    throw new BoltError(
      'damaged',
      null,
      `the file is too short: its meta page speaks of ${meta.highWater} pages, it has ${pages}`,
    );
  }
  return meta;
}

function powersOfTwo(low: number, high: number): number[] {
  const powers: number[] = [];
  for (let power = low; power <= high; power *= 2) powers.push(power);
  return powers;
}
