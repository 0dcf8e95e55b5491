/**
 * Looking at a log without opening it: `verifyWal` says whether it would open and what is in it, `dumpWal` prints it.
 *
 * Both only read, and take no lock: on a log that is in use they see a moment of it, and may take the write of that moment for
 * a torn one.
 *
 *   segment 0000000000000001.wal  number 1, follows entry 0, metadata 10 bytes
 *     0x000200 frame 2     1 block    hard state term 1 vote 2 commit 0
 *     0x000400 frame 3     2 blocks   entries 1..2 (708 bytes) term 1
 */

import type { HardState, SnapshotMeta } from '@quorate/raft';
import { BLOCK_BYTES } from './blocks.ts';
import type { Disk } from './disk.ts';
import { WalCorruptionError } from './errors.ts';
import type { LogFrame, SegmentHeader } from './frame-body.ts';
import { nodeDisk } from './node/disk.ts';
import { type LogContents, readLog } from './recovery.ts';
import type { ScannedFrame } from './segment-scan.ts';
import type { SegmentInfo, WalRepair } from './wal.ts';

export interface WalVerification {
  /** It would open, perhaps after clearing an unfinished last write. */
  readonly ok: boolean;
  readonly corruption: WalCorruptionError | null;
  /** The unfinished last write that opening would clear. */
  readonly torn: WalRepair | null;
  readonly segments: readonly SegmentInfo[];
  /** Whole frames and entries read, also up to the damage of a corrupt log. Entries that were replaced count. */
  readonly frameCount: number;
  readonly entryCount: number;
  /** Undefined when the log is corrupt. */
  readonly firstIndex: number | undefined;
  readonly lastIndex: number | undefined;
  readonly hardState: HardState | null;
  readonly snapshot: SnapshotMeta | null;
  readonly metadata: Uint8Array | null;
}

/** Reads and checks every frame. Null when there is no log in `directory`. @throws DiskError */
export function verifyWal(directory: string, options: { readonly disk?: Disk } = {}): WalVerification | null {
  let frameCount = 0;
  let entryCount = 0;
  let contents: LogContents | null = null;
  let corruption: WalCorruptionError | null = null;
  try {
    contents = readLog(options.disk ?? nodeDisk, directory, {
      segment: () => {
        frameCount++;
      },
      frame: (_file, _frame, content) => {
        frameCount++;
        entryCount += content.entries.length;
      },
    });
    if (contents === null) return null;
  } catch (error) {
    if (!(error instanceof WalCorruptionError)) throw error;
    corruption = error;
  }
  return {
    ok: corruption === null,
    corruption,
    torn: contents?.torn ?? null,
    segments: contents?.index.segments() ?? [],
    frameCount,
    entryCount,
    firstIndex: contents?.index.terms.firstIndex,
    lastIndex: contents?.index.terms.lastIndex,
    hardState: contents?.hardState ?? null,
    snapshot: contents?.snapshot ?? null,
    metadata: contents?.writer.metadata ?? null,
  };
}

/** What `dumpWal` calls with each line of text; return false to stop. */
export type DumpLine = (line: string) => boolean | undefined;

export interface DumpOptions {
  readonly disk?: Disk;
  /** Print each entry too, with up to this many bytes of its data in hex. Default: frames only. */
  readonly entryBytes?: number;
}

/**
 * Describes a log line by line, up to its end or its damage.
 * @returns the damage, or null; `undefined` when there is no log in `directory`
 */
export function dumpWal(
  directory: string,
  line: DumpLine,
  options: DumpOptions = {},
): WalCorruptionError | null | undefined {
  const print = (text: string): void => {
    if (line(text) === false) throw STOPPED;
  };
  try {
    const contents = readLog(options.disk ?? nodeDisk, directory, {
      segment: (file, header, frame) => print(describeSegment(file, header, frame)),
      frame: (_file, frame, content) => {
        print(describeFrame(frame, content));
        if (options.entryBytes === undefined) return;
        for (const text of describeEntries(content, options.entryBytes)) print(text);
      },
    });
    if (contents === null) return undefined;
    for (const text of describeEnd(contents)) print(text);
    return null;
  } catch (error) {
    if (error === STOPPED) return null;
    if (!(error instanceof WalCorruptionError)) throw error;
    line(`corrupt: ${error.message}`);
    return error;
  }
}

const STOPPED = new Error('the reader of the dump has seen enough');

/** The verdict as text, one line per fact. */
export function describeVerification(found: WalVerification): string[] {
  const lines = [`frames ${found.frameCount}, entries ${found.entryCount}`];
  for (const segment of found.segments) {
    lines.push(`segment ${segment.file}: ${segment.usedBytes} bytes used, highest entry ${segment.maxIndex}`);
  }
  if (found.corruption !== null) return [...lines, found.corruption.message];
  lines.push(`log [${found.firstIndex}, ${found.lastIndex}]`);
  lines.push(found.hardState === null ? 'no hard state' : describeHardState(found.hardState));
  lines.push(found.snapshot === null ? 'no snapshot marker' : describeMarker(found.snapshot));
  if (found.torn !== null) lines.push(describeTorn(found.torn));
  return [...lines, 'ok'];
}

function describeSegment(file: string, header: SegmentHeader, frame: ScannedFrame): string {
  const name = file.slice(file.lastIndexOf('/') + 1);
  const blocks = frame.bytes / BLOCK_BYTES;
  return (
    `segment ${name}  number ${header.segment}, frame ${frame.header.sequence}, ${blocks} block${blocks > 1 ? 's' : ''}, ` +
    `follows entry ${header.lastIndex} of term ${header.lastTerm}, metadata ${header.metadata.length} bytes`
  );
}

function describeFrame(frame: ScannedFrame, content: LogFrame): string {
  const parts: string[] = [];
  if (content.marker !== null) parts.push(describeMarker(content.marker));
  const { entries, hardState } = content;
  const first = entries[0];
  if (first !== undefined) {
    const last = entries.at(-1)!;
    const bytes = entries.reduce((sum, entry) => sum + entry.data.length, 0);
    const terms = first.term === last.term ? `term ${first.term}` : `terms ${first.term}..${last.term}`;
    parts.push(`entries ${first.index}..${last.index} (${bytes} bytes) ${terms}`);
  }
  if (hardState !== null) parts.push(describeHardState(hardState));
  const blocks = frame.bytes / BLOCK_BYTES;
  const place = `0x${frame.offset.toString(16).padStart(6, '0')}`;
  return `  ${place} frame ${frame.header.sequence}  ${blocks} block${blocks > 1 ? 's' : ''}  ${parts.join('; ')}`;
}

function* describeEntries(content: LogFrame, maxBytes: number): Generator<string> {
  for (const entry of content.entries) {
    const shown = Buffer.from(
      entry.data.buffer,
      entry.data.byteOffset,
      Math.min(entry.data.length, maxBytes),
    );
    const rest = entry.data.length > maxBytes ? `... ${entry.data.length} bytes` : '';
    const type = entry.type === 0 ? 'normal' : 'conf-change';
    yield `    entry ${entry.index} term ${entry.term} ${type} ${shown.toString('hex')}${rest}`;
  }
}

function describeEnd(contents: LogContents): string[] {
  const { terms } = contents.index;
  const lines = [`log [${terms.firstIndex}, ${terms.lastIndex}], last term ${terms.lastTerm}`];
  if (contents.hardState !== null) lines.push(describeHardState(contents.hardState));
  if (contents.torn !== null) lines.push(describeTorn(contents.torn));
  return lines;
}

function describeHardState(state: HardState): string {
  return `hard state term ${state.term} vote ${state.vote.toString(16)} commit ${state.commit}`;
}

function describeMarker(meta: SnapshotMeta): string {
  const ids = (list: readonly bigint[]): string => list.map((id) => id.toString(16)).join(',') || '-';
  const { conf } = meta;
  const joint = conf.votersOutgoing.length > 0 ? ` outgoing ${ids(conf.votersOutgoing)}` : '';
  return `snapshot at ${meta.index} term ${meta.term} voters ${ids(conf.voters)}${joint} learners ${ids(conf.learners)}`;
}

function describeTorn(torn: WalRepair): string {
  return `unfinished last write at byte ${torn.offset} of ${torn.file}: ${torn.reason}; opening clears it`;
}
