/** The small parts, each against an obviously right one. Seeds are printed by fast-check on failure. */
import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { batchBytes, encodeBatch, viewBatch } from './batch.ts';
import { BLOCK_BYTES, blockCount, CONTENT_AT, gather, spread, stampOf } from './blocks.ts';
import { FRAME_HEADER_BYTES, FrameKind, parseFrameHeader, sealFrame } from './frame.ts';
import { decodeLogBody, decodeMarker, encodeMarker } from './frame-body.ts';
import { fillGroup, planGroup } from './group.ts';
import { createRing, RingConsumer, RingProducer } from './ring.ts';
import { TermIndex, termRuns } from './term-index.ts';

describe('CRC-32C', () => {
  it("is Castagnoli's: the check value of RFC 3720 and of its zeros", () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  });
});

/** More than 128 blocks: displaced words reach across stamps themselves. */
const large = fc
  .tuple(fc.integer({ min: 65_000, max: 135_000 }), fc.integer({ min: 1, max: 1000 }))
  .map(([length, seed]) => Uint8Array.from({ length }, (_, i) => (i * seed + (i >>> 8)) & 0xff));

describe('blocks', () => {
  it('gather undoes spread, every block has the stamp, the rest is zero', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 3000 }), large),
        fc.integer({ min: 1, max: 0xffffffff }),
        (bytes, stamp) => {
          const content = Buffer.from(bytes);
          const target = Buffer.alloc(blockCount(content.length) * BLOCK_BYTES, 0xee);
          const used = spread(content, target, stamp);
          expect(used).toBe(target.length);
          expect(gather(target, content.length)).toEqual(content);
          for (let at = 0; at < used; at += BLOCK_BYTES) expect(target.readUInt32LE(at)).toBe(stamp);
          if (used > 0) {
            const words = Math.ceil(content.length / 4);
            const room = (used / BLOCK_BYTES) * 127;
            const unused = (room - words) * 4;
            expect(target.subarray(used - unused).every((byte) => byte === 0)).toBe(true);
          }
        },
      ),
    );
  });

  it('stamps of neighbouring frames and segments differ, and none is 0', () => {
    const stamps = new Set<number>();
    for (let segment = 1; segment <= 20; segment++) {
      for (let sequence = 1; sequence <= 500; sequence++) stamps.add(stampOf(segment, sequence));
    }
    expect(stamps.size).toBe(10_000);
    expect(stamps.has(0)).toBe(false);
  });
});

describe('markers', () => {
  it('round trip', () => {
    const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const ids = fc.array(id, { maxLength: 9 });
    const conf = fc.record({
      voters: ids,
      votersOutgoing: ids,
      learners: ids,
      learnersNext: ids,
      autoLeave: fc.boolean(),
    });
    const counter = fc.nat({ max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(fc.record({ index: counter, term: counter, conf }), (meta) => {
        expect(decodeMarker(encodeMarker(meta))).toEqual(meta);
      }),
    );
  });
});

/** A log of (index, term) pairs, the long way. */
class SlowTerms {
  first = 1;
  offsetTerm = 0;
  terms: number[] = [];

  term(index: number): number | undefined {
    return index === this.first - 1 ? this.offsetTerm : this.terms[index - this.first];
  }
}

describe('the term index', () => {
  it('equals a plain list under any appends, replacements, trims and restarts', () => {
    const command = fc.oneof(
      fc.record({
        kind: fc.constant('append' as const),
        back: fc.nat(4),
        steps: fc.array(fc.nat(2), { minLength: 1, maxLength: 6 }),
      }),
      fc.record({ kind: fc.constant('trim' as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
      fc.record({ kind: fc.constant('reset' as const), ahead: fc.nat(10) }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
        const fast = new TermIndex();
        const slow = new SlowTerms();
        for (const one of commands) {
          const last = slow.first + slow.terms.length - 1;
          if (one.kind === 'append') {
            const first = Math.max(slow.first, last + 1 - one.back);
            let term = slow.term(last) ?? 0;
            const entries = one.steps.map((step, i) => {
              term += step;
              return { index: first + i, term, type: 0 as const, data: new Uint8Array(0) };
            });
            slow.terms.length = first - slow.first;
            slow.terms.push(...entries.map((entry) => entry.term));
            fast.append(termRuns(entries), entries.length);
          } else if (one.kind === 'trim') {
            const index = slow.first - 1 + Math.floor(slow.terms.length * one.part);
            slow.offsetTerm = slow.term(index)!;
            slow.terms.splice(0, index - slow.first + 1);
            slow.first = index + 1;
            fast.trim(index);
          } else {
            slow.offsetTerm = (slow.term(last) ?? 0) + 1;
            slow.first = last + one.ahead + 1;
            slow.terms = [];
            fast.reset(slow.first - 1, slow.offsetTerm);
          }
          expect(fast.firstIndex).toBe(slow.first);
          expect(fast.lastIndex).toBe(slow.first + slow.terms.length - 1);
          for (let i = slow.first - 2; i <= fast.lastIndex + 1; i++) expect(fast.term(i)).toBe(slow.term(i));
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('groups', () => {
  it('batches that follow each other share a frame; a replacement or a marker begins the next', () => {
    const batch = (first: number, count: number, marker: Buffer | null = null): Buffer => {
      const entries = Array.from({ length: count }, (_, i) => ({
        index: first + i,
        term: 2,
        type: 0 as const,
        data: Buffer.from([first + i]),
      }));
      const hardState = { term: 2, vote: 1n, commit: first };
      const content = {
        entries,
        hardState,
        marker,
        restart: false,
        lastIndex: first + count - 1,
        lastTerm: 2,
      };
      const bytes = Buffer.alloc(batchBytes(content));
      encodeBatch(bytes, content);
      return bytes;
    };
    const marker = encodeMarker({
      index: 3,
      term: 2,
      conf: { voters: [1n], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
    });
    const waiting = [
      batch(7, 2),
      batch(9, 1),
      batch(9, 2),
      batch(11, 1),
      batch(12, 1, marker),
      batch(13, 1),
    ].map(viewBatch);
    const frames: string[] = [];
    for (let start = 0; start < waiting.length; ) {
      const group = planGroup(waiting, start);
      const content = Buffer.alloc(group.contentBytes);
      fillGroup(content, group, waiting, start);
      sealFrame(content, { ...group, kind: FrameKind.log, sequence: 1, previous: 0 });
      const decoded = decodeLogBody(parseFrameHeader(content, 0)!, content.subarray(FRAME_HEADER_BYTES))!;
      const indexes = decoded.entries.map((entry) => `${entry.index}:${entry.data[0]}`).join(' ');
      frames.push(
        `${decoded.marker ? `marker ${decoded.marker.index} ` : ''}${indexes} commit ${decoded.hardState?.commit}`,
      );
      start += group.batchCount;
    }
    expect(frames).toEqual([
      '7:7 8:8 9:9 commit 9',
      '9:9 10:10 11:11 commit 11',
      'marker 3 12:12 13:13 commit 13',
    ]);
  });
});

describe('batches', () => {
  it('stand in shared memory as the body of their frame, whatever the sizes and places of their entries', () => {
    const entry = fc.record({ bytes: fc.integer({ min: 0, max: 700 }), skipped: fc.nat(9), term: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 20 }), fc.boolean(), fc.boolean(), (kinds, marked, stated) => {
        const entries = kinds.map(({ bytes, skipped, term }, i) => {
          const data = Uint8Array.from({ length: skipped + bytes }, (_, k) => i + k).subarray(skipped);
          return { index: 7 + i, term: term * 2 ** 40, type: (i % 2) as 0 | 1, data };
        });
        const conf = { voters: [1n], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
        const meta = { index: 6, term: 0, conf };
        const hardState = stated ? { term: 2, vote: 1n, commit: 3 } : null;
        const marker = marked ? encodeMarker(meta) : null;
        const content = { entries, hardState, marker, restart: marked, lastIndex: 6, lastTerm: 0 };
        const target = Buffer.from(new SharedArrayBuffer(batchBytes(content))).fill(0xee);
        encodeBatch(target, content);

        const view = viewBatch(target);
        const group = planGroup([view], 0);
        const alone = view.blocks.subarray(CONTENT_AT, CONTENT_AT + group.contentBytes);
        const copied = Buffer.alloc(group.contentBytes);
        fillGroup(copied, group, [view], 0);
        const body = alone.subarray(FRAME_HEADER_BYTES);
        expect(body.equals(copied.subarray(FRAME_HEADER_BYTES))).toBe(true);
        expect(view.blocks.length).toBe(blockCount(group.contentBytes) * BLOCK_BYTES);

        sealFrame(alone, { ...group, kind: FrameKind.log, sequence: 1, previous: 0 });
        const frame = decodeLogBody(parseFrameHeader(alone, 0)!, body)!;
        expect(frame.marker).toEqual(marked ? meta : null);
        expect(frame.hardState).toEqual(hardState);
        const plain = (list: typeof frame.entries): unknown =>
          list.map(({ data, ...rest }) => ({ ...rest, data: [...data] }));
        expect(plain(frame.entries)).toEqual(
          plain(entries.map((one, i) => ({ ...one, index: group.firstIndex + i }))),
        );
      }),
    );
  });
});

describe('the ring', () => {
  it('has all its room behind a batch that found it empty, so that those that follow can join its frame or the next', () => {
    const ring = createRing(1024);
    const producer = new RingProducer(ring);
    const consumer = new RingConsumer(ring);
    const push = (): boolean => producer.tryPush(64, () => {});
    for (let i = 0; i < 3; i++) expect(push()).toBe(true);
    consumer.take(() => Buffer.alloc(0));
    consumer.release(3);
    for (let i = 0; i < 16; i++) expect(push()).toBe(true);
    expect(push()).toBe(false);
    expect(consumer.take(() => Buffer.alloc(0)).length).toBe(16);
  });

  it('gives every batch once, in order and whole, over any mixture of sizes and turns', () => {
    const turn = fc.record({
      sizes: fc.array(fc.integer({ min: 1, max: 90 }), { maxLength: 6 }),
      released: fc.nat(6),
    });
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 60 }), (turns) => {
        const ring = createRing(1024);
        const producer = new RingProducer(ring);
        const consumer = new RingConsumer(ring);
        const messages: Buffer[] = [];
        const sent: string[] = [];
        const received: string[] = [];
        let number = 0;
        for (const { sizes, released } of turns) {
          for (const words of sizes) {
            const bytes = words * 8;
            const write = (target: Buffer): void => {
              target.fill(number & 0xff);
              target.writeUInt32LE(bytes, 0);
            };
            if (producer.isTooLarge(bytes)) {
              if (!producer.hasRoomForMessage()) continue;
              const message = Buffer.alloc(bytes);
              write(message);
              messages.push(message);
              producer.pushMessage();
            } else if (!producer.tryPush(bytes, write)) {
              continue;
            }
            sent.push(`${bytes} of ${number++ & 0xff}`);
          }
          const taken = consumer.take(() => messages.shift()!);
          const kept = taken.slice(0, released);
          for (const batch of kept) {
            expect(batch.subarray(4).every((byte) => byte === batch.at(-1))).toBe(true);
            received.push(`${batch.length} of ${batch.at(-1)}`);
          }
          // What was not released is taken again: put messages back.
          for (const batch of taken.slice(released).reverse())
            if (batch.length > 512) messages.unshift(batch);
          consumer.release(kept.length);
        }
        for (const batch of consumer.take(() => messages.shift()!))
          received.push(`${batch.length} of ${batch.at(-1)}`);
        expect(received).toEqual(sent);
      }),
      { numRuns: 300 },
    );
  });
});
