/**
 * What recovery forgives and what it refuses: cases 11 to 15 of the reliability catalogue, exhaustively on a small log.
 *
 * The rule behind all of them: a log opens with everything it ever acknowledged, or it does not open.
 */
import { inspect, isDeepStrictEqual } from 'node:util';
import { Random } from '@quorate/testing';
import { describe, expect, it } from 'vitest';
import { gather, spread, stampOf } from '../src/blocks.ts';
import { FRAME_HEADER_BYTES, parseFrameHeader, sealFrame } from '../src/frame.ts';
import { openWalInline, WalCorruptionError, WalMetadataError, WalMissingError } from '../src/index.ts';
import { readLog } from '../src/recovery.ts';
import {
  appendNow,
  buildLog,
  cut,
  DIRECTORY,
  diskWith,
  edited,
  entry,
  type Files,
  flipped,
  METADATA,
  openOn,
  sampleLog,
  segmentFiles,
} from './images.ts';
import { visibleState } from './log-model.ts';

const SCALE = Number(process.env.QUORATE_TEST_SCALE ?? '1');
const { files, state } = buildLog(sampleLog);
const segments = segmentFiles(files);
const lastName = segments.at(-1)!;
const frames = framesOf(files);
const lastFrame = frames.at(-1)!;

interface FramePosition {
  readonly name: string;
  readonly offset: number;
  readonly end: number;
  /** State of the log with this frame as its last. */
  readonly lastIndex: number;
}

function framesOf(image: Files): FramePosition[] {
  const found: FramePosition[] = [];
  const add = (file: string, frame: { offset: number; bytes: number }, lastIndex: number): void => {
    found.push({
      name: file.slice(file.lastIndexOf('/') + 1),
      offset: frame.offset,
      end: frame.offset + frame.bytes,
      lastIndex,
    });
  };
  let last = 0;
  readLog(diskWith(image), DIRECTORY, {
    segment: (file, header, frame) => add(file, frame, header.lastIndex),
    frame: (file, frame, content) => {
      last = content.entries.at(-1)?.index ?? last;
      add(file, frame, last);
    },
  });
  return found;
}

type Outcome =
  | { readonly kind: 'opened'; readonly state: object; readonly repaired: boolean }
  | { readonly kind: 'refused'; readonly error: WalCorruptionError };

/** Opens an image; anything but a log or a typed refusal is thrown on. */
function tryOpen(image: Files): Outcome {
  const disk = diskWith(image);
  try {
    const { wal, recovered } = openOn(disk);
    return { kind: 'opened', state: visibleState(wal, recovered), repaired: recovered.repaired !== null };
  } catch (error) {
    if (!(error instanceof WalCorruptionError)) throw error;
    return { kind: 'refused', error };
  }
}

function refusalOf(image: Files): WalCorruptionError {
  const outcome = tryOpen(image);
  if (outcome.kind === 'opened') throw new Error(`opened, with ${inspect(outcome.state)}`);
  return outcome.error;
}

describe('the sample', () => {
  it('has several segments, and several frames in the last', () => {
    expect(segments.length).toBeGreaterThanOrEqual(2);
    expect(frames.filter((frame) => frame.name === lastName).length).toBeGreaterThanOrEqual(3);
    expect(lastFrame.end - lastFrame.offset).toBeGreaterThanOrEqual(4 * 512);
  });
});

describe('case-11 a torn tail', () => {
  it('truncation of the last segment at every byte keeps exactly the whole frames before it, and the log goes on', {
    timeout: 120_000,
  }, () => {
    const inLast = frames.filter((frame) => frame.name === lastName);
    const headerEnd = inLast[0]!.end;
    const fullLength = files.get(lastName)!.length;
    for (let at = fullLength - 1; at >= 0; at--) {
      const image = cut(files, lastName, at);
      if (at < headerEnd) {
        // A segment's header is durable before the segment has its name: without it, something else happened.
        const error = refusalOf(image);
        expect([error.file, error.offset], `cut at ${at}`).toEqual([`${DIRECTORY}/${lastName}`, 0]);
        continue;
      }
      const expected = inLast.filter((frame) => frame.end <= at).at(-1)!;
      const disk = diskWith(image);
      const { wal, recovered } = openOn(disk);
      expect(wal.lastIndex(), `cut at ${at}`).toBe(expected.lastIndex);
      const isInside = inLast.some(
        (frame) => frame.offset < at && at < frame.end && at - frame.offset >= 512,
      );
      expect(recovered.repaired !== null, `repaired, cut at ${at}`).toBe(isInside);
      if (at % 64 !== 0) continue;
      // The next append goes to the place of the torn one, and is found again.
      appendNow(wal, { entries: [entry(wal.lastIndex() + 1, 9, Buffer.alloc(1500, at & 255))] });
      const before = visibleState(wal, recovered);
      disk.crash();
      const again = openOn(disk);
      expect(again.recovered.repaired).toBeNull();
      expect(visibleState(again.wal, recovered)).toEqual(before);
    }
  });

  it('the repair says which file, where, and how much', () => {
    const length = lastFrame.offset + 1024;
    const { recovered } = openOn(diskWith(cut(files, lastName, length)));
    expect(recovered.repaired).toEqual({
      file: `${DIRECTORY}/${lastName}`,
      offset: lastFrame.offset,
      bytes: 1024,
      reason: expect.stringMatching(/^frame \d+ reaches beyond the end of the file$/),
    });
  });
});

describe('case-12 flipped bits', () => {
  it('one flip anywhere: the log opens with everything, or is refused with file and offset; never with less', {
    timeout: 600_000,
  }, () => {
    const random = new Random('flips', 'bit');
    const outcomes = { refused: 0, whole: 0 };
    for (const name of segments) {
      const length = files.get(name)!.length;
      for (let offset = 0; offset < length; offset++) {
        const bits = SCALE >= 10 ? [0, 1, 2, 3, 4, 5, 6, 7] : [random.int(8)];
        for (const bit of bits) {
          const outcome = tryOpen(flipped(files, name, offset, bit));
          if (outcome.kind === 'refused') {
            outcomes.refused++;
            expect(outcome.error.offset).toBeLessThanOrEqual(offset);
            expect(outcome.error.file).toBe(`${DIRECTORY}/${name}`);
          } else {
            outcomes.whole++;
            if (outcome.repaired || !isDeepStrictEqual(outcome.state, state)) {
              expect(outcome.state, `${name} byte ${offset} bit ${bit}`).toEqual(state);
              throw new Error(`${name} byte ${offset} bit ${bit}: repaired`);
            }
          }
        }
      }
    }
    // Stamps, padding and unused blocks do no harm; headers and bodies are most of the used bytes.
    expect(outcomes.refused).toBeGreaterThan(frames.length * 400);
    expect(outcomes.whole).toBeGreaterThan(0);
  });

  it("a flip in each frame is refused, naming the frame's offset and the last entry that is intact", () => {
    for (const [at, frame] of frames.entries()) {
      for (const where of [STAMP + 12, STAMP + 41]) {
        const error = refusalOf(flipped(files, frame.name, frame.offset + where, 2));
        const label = `frame ${at}, byte ${where}`;
        expect(error.file, label).toBe(`${DIRECTORY}/${frame.name}`);
        expect(error.offset, label).toBe(frame.offset);
        expect(error.lastGoodIndex, label).toBe(frames[at - 1]?.lastIndex ?? 0);
        expect(error.message, label).toContain(`byte ${frame.offset}`);
      }
    }
  });

  it('nothing is changed by a refusal', () => {
    const image = flipped(files, segments[0]!, 512 + 50, 0);
    const disk = diskWith(image);
    expect(() => openOn(disk)).toThrow(WalCorruptionError);
    for (const [name, bytes] of image) {
      const file = disk.open(`${DIRECTORY}/${name}`, 'read');
      expect(Buffer.from(file.read(0, file.size())).equals(bytes)).toBe(true);
    }
  });
});

const STAMP = 4;

describe('case-13 zeros, garbage and missing blocks', () => {
  const blocks = (frame: FramePosition): number[] => {
    const starts: number[] = [];
    for (let at = frame.offset; at < frame.end; at += 512) starts.push(at);
    return starts;
  };
  const garbage = Buffer.from(new Random('garbage', 'bytes').bytes(512));

  for (const [what, fill] of [
    ['zeros', Buffer.alloc(512)],
    ['garbage', garbage],
  ] as const) {
    it(`any set of the last frame's blocks replaced by ${what} is a torn write: the frame goes, nothing else does`, () => {
      const starts = blocks(lastFrame);
      for (let set = 1; set < 1 << starts.length; set++) {
        const image = edited(files, lastName, (bytes) => {
          for (const [i, at] of starts.entries()) if (set & (1 << i)) fill.copy(bytes, at);
        });
        const { wal, recovered } = openOn(diskWith(image));
        expect(wal.lastIndex(), `set ${set}`).toBe(frames.at(-2)!.lastIndex);
        // With every block gone it is as if the write had never begun.
        expect(recovered.repaired !== null).toBe(set !== (1 << starts.length) - 1);
      }
    });

    it(`a block of an earlier frame replaced by ${what} is corruption`, () => {
      for (const frame of frames.slice(0, -1)) {
        for (const at of blocks(frame)) {
          const outcome = tryOpen(edited(files, frame.name, (bytes) => fill.copy(bytes, at)));
          if (outcome.kind === 'opened') {
            // Nothing but the stamp was lost: the block held zeros.
            expect(outcome.state).toEqual(state);
            expect(
              files
                .get(frame.name)!
                .subarray(at + STAMP, at + 512)
                .equals(fill.subarray(STAMP)),
            ).toBe(true);
            continue;
          }
          const { error } = outcome;
          expect([error.file, error.offset]).toEqual([`${DIRECTORY}/${frame.name}`, frame.offset]);
        }
      }
    });

    it(`${what} after the last frame mean nothing`, () => {
      const image = edited(files, lastName, (bytes) => {
        for (let at = lastFrame.end; at < bytes.length; at += 512) fill.copy(bytes, at);
      });
      const outcome = tryOpen(image);
      expect(outcome).toEqual({ kind: 'opened', state, repaired: false });
    });
  }

  it('blocks of zeros inside a value are not taken for blocks that were never written', () => {
    // The entry of 1500 zero bytes: flip a bit of its frame's header, and of its body.
    const zeroFrame = frames.find((frame) => {
      const bytes = files.get(frame.name)!.subarray(frame.offset + 1024 + STAMP, frame.offset + 1536);
      return frame.end - frame.offset > 1536 && bytes.every((byte) => byte === 0);
    })!;
    const image = flipped(files, zeroFrame.name, zeroFrame.offset + 1200, 0);
    expect(refusalOf(image).offset).toBe(zeroFrame.offset);
  });
});

describe('case-15 files that are not what they should be', () => {
  it('a missing middle segment is refused by name', () => {
    const image = new Map(files);
    image.delete(segments[1]!);
    const error = refusalOf(image);
    expect([error.kind, error.file]).toEqual(['missing-segment', `${DIRECTORY}/${segments[1]}`]);
  });

  it('a missing newest segment is not noticed by the log itself, which is why the host compares with its state machine', () => {
    const image = new Map(files);
    image.delete(lastName);
    const before = frames.filter((frame) => frame.name !== lastName).at(-1)!;
    expect(openOn(diskWith(image)).wal.lastIndex()).toBe(before.lastIndex);
  });

  it('a segment under another number is refused', () => {
    const image = new Map(files);
    image.set('0000000000000009.wal', files.get(lastName)!);
    expect(refusalOf(image).kind).toBe('missing-segment');
    image.delete('0000000000000009.wal');
    const next = (segments.length + 1).toString(16).padStart(16, '0');
    image.set(`${next}.wal`, files.get(lastName)!);
    expect(refusalOf(image).kind).toBe('wrong-segment');
    image.delete(`${next}.wal`);
    image.set(segments[0]!, files.get(lastName)!);
    expect(refusalOf(image).kind).toBe('wrong-segment');
  });

  it('a copy lying beside the segments is refused', () => {
    expect(refusalOf(new Map(files).set('copy of 1.wal', files.get(lastName)!)).kind).toBe('wrong-segment');
  });

  it('a segment of another log with the same number breaks the chain', () => {
    const other = buildLog((wal) => {
      sampleLog(wal);
      appendNow(wal, { entries: [entry(17, 4)] });
    });
    const rewritten = buildLog((wal) => {
      appendNow(wal, { entries: [entry(1, 1, Buffer.alloc(600, 1))] });
      sampleLogAfter(wal);
    });
    expect(segmentFiles(rewritten.files).length).toBeGreaterThanOrEqual(2);
    const image = new Map(other.files).set(segments[1]!, rewritten.files.get(segments[1]!)!);
    expect(['broken-chain', 'missing-frame', 'damaged-header', 'impossible-content']).toContain(
      refusalOf(image).kind,
    );
  });

  it('other metadata is refused', () => {
    expect(() => openOn(diskWith(files), Buffer.from('cluster 1 member 3'))).toThrow(WalMetadataError);
  });

  it('no log where there must be one is refused, and none is made', () => {
    const disk = diskWith(new Map());
    const options = { directory: DIRECTORY, metadata: METADATA, disk, mustExist: true };
    expect(() => openWalInline(options)).toThrow(WalMissingError);
    expect(disk.list(DIRECTORY)).toEqual(['lock']);
  });

  it('a format version of the future is refused with both numbers', () => {
    const error = refusalOf(edited(files, segments[0]!, (bytes) => setVersion(bytes, 7)));
    expect(error.message).toContain('the format is version 7; this build reads version 2');
  });
});

function sampleLogAfter(wal: Parameters<typeof sampleLog>[0]): void {
  for (let i = 2; i <= 14; i++) appendNow(wal, { entries: [entry(i, 1, Buffer.alloc(700, i))] });
}

/** The first segment with its version changed and its checks made right again. */
function setVersion(bytes: Buffer, version: number): void {
  const header = parseFrameHeader(bytes, STAMP)!;
  const content = gather(bytes, FRAME_HEADER_BYTES + header.bodyBytes);
  content.writeUInt32LE(version, FRAME_HEADER_BYTES + 8);
  sealFrame(content, header);
  spread(content, bytes, stampOf(1, header.sequence));
}
