/**
 * Strategy: take whole frames and whole logs, mutate them, make the checksums right again (or not), and let the decoders see them.
 * Invariants: a decoder returns or refuses, in its own words; it never throws anything else, never hangs, and never asks for more
 * memory than the input is long, whatever lengths and counts the input claims.
 *
 * A million mutations of frame bodies (case-14) and 5,000 logs, times QUORATE_TEST_SCALE.
 */
import { Random } from '@quorate/testing';
import { describe, expect, it } from 'vitest';
import { BLOCK_BYTES, gather, spread, stampOf } from '../src/blocks.ts';
import {
  FRAME_HEADER_BYTES,
  type FrameHeader,
  FrameKind,
  parseFrameHeader,
  sealFrame,
} from '../src/frame.ts';
import { decodeLogBody, decodeMarker, decodeSegmentHeader, encodeMarker } from '../src/frame-body.ts';
import { type Disk, WalCorruptionError } from '../src/index.ts';
import { readLog } from '../src/recovery.ts';
import { buildLog, DIRECTORY, diskWith, sampleLog } from './images.ts';
import { snapshotAt } from './log-model.ts';

const SCALE = Number(process.env.QUORATE_TEST_SCALE ?? '1');
const MUTATIONS = Math.ceil(1_000_000 * SCALE);
const { files } = buildLog(sampleLog);
/** Values that lie: huge, negative, just beyond, not a safe integer. */
const LIES = [0xffffffff, 0x80000000, 0x7fffffff, 0, 1, 0x10000, 0x00200000];

function mutate(random: Random, bytes: Buffer): Buffer {
  let changed = Buffer.from(bytes);
  for (let times = random.between(1, 4); times > 0 && changed.length > 0; times--) {
    const at = random.int(changed.length);
    const kind = random.weighted({ flip: 4, byte: 4, lie: 4, cut: 1, grow: 1, copy: 2 });
    if (kind === 'flip') changed[at] = changed[at]! ^ (1 << random.int(8));
    else if (kind === 'byte') changed[at] = random.int(256);
    else if (kind === 'lie' && changed.length >= 4) {
      changed.writeUInt32LE(random.pick(LIES), Math.min(at & ~3, changed.length - 4));
    } else if (kind === 'cut') changed = changed.subarray(0, at);
    else if (kind === 'grow') changed = Buffer.concat([changed, random.bytes(random.int(64))]);
    else if (kind === 'copy') changed.copy(changed, at, random.int(changed.length));
  }
  return changed;
}

interface Sample {
  readonly header: FrameHeader;
  readonly body: Buffer;
}

const samples: Sample[] = [];
readLog(diskWith(files), DIRECTORY, {
  segment: (_file, _header, { header, body }) => samples.push({ header, body }),
  frame: (_file, { header, body }) => samples.push({ header, body }),
});

describe('case-14 lying and garbled input', () => {
  it(`${MUTATIONS} mutated frame bodies are decoded or refused, within their own size`, {
    timeout: 1_200_000,
  }, () => {
    const random = new Random('fuzz', 'bodies');
    const marker = encodeMarker(snapshotAt(5, 2));
    let decoded = 0;
    let refused = 0;
    for (let i = 0; i < MUTATIONS; i++) {
      const { header, body } = random.pick(samples);
      const bytes = mutate(random, body);
      if (header.kind === FrameKind.segmentHeader) {
        decodeSegmentHeader(bytes);
        decodeMarker(mutate(random, marker));
        continue;
      }
      const lying: FrameHeader = {
        ...header,
        entryCount: random.chance(0.2) ? random.pick(LIES) : header.entryCount,
        flags: random.chance(0.2) ? random.int(8) : header.flags,
      };
      const content = decodeLogBody(lying, bytes);
      if (content === null) {
        refused++;
        continue;
      }
      decoded++;
      let held = 0;
      for (const entry of content.entries) {
        held += entry.data.length + 16;
        // Views of the input, not copies made on its word.
        if (entry.data.length > 0 && entry.data.buffer !== bytes.buffer)
          throw new Error('an entry was allocated');
      }
      if (held > bytes.length) throw new Error(`${held} bytes of entries out of ${bytes.length}`);
    }
    expect(decoded).toBeGreaterThan(MUTATIONS / 100);
    expect(refused).toBeGreaterThan(MUTATIONS / 100);
  });

  const logs = Math.ceil(5_000 * SCALE);
  it(`${logs} mutated logs with right checksums are read or refused, never reading beyond their files`, {
    timeout: 1_200_000,
  }, () => {
    const random = new Random('fuzz', 'logs');
    const kinds = new Map<string, number>();
    const names = [...files.keys()].filter((name) => name.endsWith('.wal'));
    for (let i = 0; i < logs; i++) {
      const name = random.pick(names);
      const image = new Map(files).set(
        name,
        mutateSegment(random, names.indexOf(name) + 1, files.get(name)!),
      );
      let outcome = 'read';
      try {
        readLog(watched(diskWith(image)), DIRECTORY);
      } catch (error) {
        if (!(error instanceof WalCorruptionError)) throw error;
        outcome = error.kind;
      }
      kinds.set(outcome, (kinds.get(outcome) ?? 0) + 1);
    }
    for (const kind of ['read', 'impossible-content', 'broken-chain', 'missing-frame', 'damaged-header']) {
      expect(kinds.get(kind), kind).toBeGreaterThan(0);
    }
  });
});

/** One frame of the segment changed and sealed again, sometimes with the chain mended, sometimes plain garbage. */
function mutateSegment(random: Random, segment: number, bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes);
  if (random.chance(0.2)) return mutate(random, changed);
  const starts: number[] = [];
  for (let at = 0; at < changed.length; at += BLOCK_BYTES) {
    if (parseFrameHeader(changed, at + 4) !== null) starts.push(at);
  }
  const at = random.pick(starts);
  const header = parseFrameHeader(changed, at + 4)!;
  const content = gather(changed.subarray(at), FRAME_HEADER_BYTES + header.bodyBytes);
  const body = mutate(random, content.subarray(FRAME_HEADER_BYTES));
  const sealed = Buffer.concat([Buffer.alloc(FRAME_HEADER_BYTES), body]);
  const lie = random.chance(0.3);
  sealFrame(sealed, {
    ...header,
    firstIndex: lie ? random.pick([0, 1, 1000, Number.MAX_SAFE_INTEGER]) : header.firstIndex,
    entryCount: lie ? random.pick(LIES) : header.entryCount,
    sequence: random.chance(0.1) ? header.sequence + random.int(3) : header.sequence,
  });
  const room = Buffer.concat([changed.subarray(0, at), Buffer.alloc(sealed.length * 2 + BLOCK_BYTES)]);
  const used = spread(sealed, room.subarray(at), stampOf(segment, header.sequence));
  room.copy(changed, at, at, Math.min(at + used, changed.length));
  return changed;
}

/** A disk that refuses to be asked for more than a file has. */
function watched(disk: Disk): Disk {
  return {
    ...disk,
    list: (path) => disk.list(path),
    open: (path, mode) => {
      const file = disk.open(path, mode);
      return {
        ...file,
        path: file.path,
        size: () => file.size(),
        close: () => file.close(),
        read: (offset, length) => {
          if (length < 0 || offset + length > file.size())
            throw new Error(`${length} bytes asked for at ${offset}`);
          return file.read(offset, length);
        },
      };
    },
  };
}
