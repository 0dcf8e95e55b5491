/**
 * The last write of a node that died in the midst of it: the first bytes of a frame, zeros behind.
 *
 *     length 4 | checksum 4 | body: has state 1, term 4, vote 8, commit 4; then entries: index 4, term 4, type 1, size 4, data
 *
 * The log that hosts use keeps a step as a whole or not at all (`packages/wal/FORMAT.md`); this is that promise in
 * miniature. A disk that trusts what it finds instead is one of the mistakes the simulator has to notice.
 */
import type { Entry, EntryType, HardState, Ready } from '@quorate/raft';
import type { Random } from '../sim/random.ts';

/** What a frame keeps of a step. A step with a snapshot leaves no torn frame; it is lost as a whole. */
export type Frame = Pick<Ready, 'hardState' | 'entries'>;

const HEADER_BYTES = 8;
const STATE_BYTES = 17;
const ENTRY_BYTES = 13;

export function encodeFrame({ hardState, entries }: Frame): Uint8Array {
  let size = HEADER_BYTES + STATE_BYTES;
  for (const { data } of entries) size += ENTRY_BYTES + data.byteLength;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint8(8, hardState === null ? 0 : 1);
  view.setUint32(9, hardState?.term ?? 0);
  view.setBigUint64(13, hardState?.vote ?? 0n);
  view.setUint32(21, hardState?.commit ?? 0);
  let at = HEADER_BYTES + STATE_BYTES;
  for (const { index, term, type, data } of entries) {
    view.setUint32(at, index);
    view.setUint32(at + 4, term);
    view.setUint8(at + 8, type);
    view.setUint32(at + 9, data.byteLength);
    bytes.set(data, at + ENTRY_BYTES);
    at += ENTRY_BYTES + data.byteLength;
  }
  view.setUint32(0, size);
  view.setUint32(4, checksum(bytes));
  return bytes;
}

/** What is left of a frame when its writing stops before the end. Returns `null` when nothing of it was written. */
export function tear(frame: Uint8Array, random: Random): Uint8Array | null {
  const written = random.int(frame.byteLength);
  if (written === 0) return null;
  return new Uint8Array(frame.byteLength).fill(0).map((_, at) => (at < written ? (frame[at] as number) : 0));
}

/**
 * What the disk finds after a crash.
 * @param trusting takes what is there for what was written, checksum or not
 * @returns `null` when the frame is not whole
 */
export function readFrame(bytes: Uint8Array, trusting: boolean): Frame | null {
  const view = new DataView(bytes.buffer);
  const whole = view.getUint32(0) === bytes.byteLength && view.getUint32(4) === checksum(bytes);
  if (!whole && !trusting) return null;
  const hardState: HardState | null =
    view.getUint8(8) === 1
      ? { term: view.getUint32(9), vote: view.getBigUint64(13), commit: view.getUint32(21) }
      : null;
  const entries: Entry[] = [];
  for (let at = HEADER_BYTES + STATE_BYTES; at + ENTRY_BYTES <= bytes.byteLength; ) {
    const [index, term, size] = [view.getUint32(at), view.getUint32(at + 4), view.getUint32(at + 9)];
    if (index === 0 || at + ENTRY_BYTES + size > bytes.byteLength) break;
    const data = bytes.slice(at + ENTRY_BYTES, at + ENTRY_BYTES + size);
    entries.push({ index, term, type: view.getUint8(at + 8) as EntryType, data });
    at += ENTRY_BYTES + size;
  }
  return { hardState, entries };
}

/** FNV-1a over the body. */
function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let at = HEADER_BYTES; at < bytes.byteLength; at++) {
    hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  }
  return hash >>> 0;
}
