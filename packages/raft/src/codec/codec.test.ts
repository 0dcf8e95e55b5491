/** The byte formats: round trips, one encoding for one value, and hostile input. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeConfChange, encodeConfChange } from '../confchange/codec.ts';
import { canonicalConf, EMPTY_CONF } from '../confchange/conf.ts';
import type { ConfChange } from '../confchange/types.ts';
import { CodecError } from '../errors.ts';
import { type Message, MessageType, makeMessage } from '../message.ts';
import { EntryType } from '../types.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { decodeConf, decodeEntry, decodeMessage, encodeConf, encodeEntry, encodeMessage } from './codec.ts';

const number = fc.oneof(fc.nat({ max: 300 }), fc.maxSafeNat());
const id = fc.oneof(fc.bigInt({ min: 1n, max: 9n }), fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }));
const data = fc.uint8Array({ maxLength: 40 });
const entry = fc.record({
  index: number,
  term: number,
  type: fc.constantFrom(EntryType.normal, EntryType.confChange),
  data,
});
const conf = fc.uniqueArray(id, { maxLength: 5 }).map((voters) => canonicalConf({ ...EMPTY_CONF, voters }));
const snapshot = fc.record({ meta: fc.record({ index: number, term: number, conf }), data });
const message: fc.Arbitrary<Message> = fc
  .record({
    type: fc.constantFrom(...Object.values(MessageType)),
    from: fc.oneof(id, fc.constant(0n)),
    to: id,
    term: number,
    index: number,
    logTerm: number,
    entries: fc.array(entry, { maxLength: 4 }),
    commit: number,
    reject: fc.boolean(),
    rejectHint: number,
    snapshot,
    context: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  })
  .map((each) => ({ ...each, snapshot: each.type === MessageType.snapshot ? each.snapshot : null }));
const confChange: fc.Arbitrary<ConfChange> = fc.record({
  transition: fc.constantFrom('auto', 'joint-auto-leave', 'joint-explicit'),
  steps: fc.array(fc.record({ kind: fc.constantFrom('add-voter', 'add-learner', 'remove-node'), id }), {
    maxLength: 5,
  }),
  context: data,
});

/** Either the decoder refuses with its own error, or what it returns encodes to the very same bytes. */
function strict<Value>(
  bytes: Uint8Array,
  decode: (b: Uint8Array) => Value,
  encode: (v: Value) => Uint8Array,
) {
  let value: Value;
  try {
    value = decode(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(CodecError);
    return;
  }
  expect(Buffer.from(encode(value)).equals(bytes)).toBe(true);
}

describe('codec', () => {
  it('messages, entries, configurations and changes survive the round trip', () => {
    fc.assert(
      fc.property(message, entry, conf, confChange, (aMessage, anEntry, aConf, aChange) => {
        expect(decodeMessage(encodeMessage(aMessage))).toEqual(aMessage);
        expect(decodeEntry(encodeEntry(anEntry))).toEqual(anEntry);
        expect(decodeConf(encodeConf(aConf))).toEqual(aConf);
        expect(decodeConfChange(encodeConfChange(aChange))).toEqual(aChange);
      }),
      { numRuns: 2_000 },
    );
  });

  it('every truncation of a message is refused', () => {
    fc.assert(
      fc.property(message, (aMessage) => {
        const bytes = encodeMessage(aMessage);
        for (let length = 0; length < bytes.length; length += 1) {
          expect(() => decodeMessage(bytes.subarray(0, length))).toThrow(CodecError);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('changed bytes are refused or are the one encoding of something else', () => {
    const change = fc.tuple(fc.nat({ max: 200 }), fc.nat({ max: 255 }));
    fc.assert(
      fc.property(message, fc.array(change, { minLength: 1, maxLength: 3 }), (aMessage, changes) => {
        const bytes = Uint8Array.from(encodeMessage(aMessage));
        for (const [position, value] of changes) bytes[position % bytes.length] = value;
        strict(bytes, decodeMessage, encodeMessage);
      }),
      { numRuns: 20_000 },
    );
  });

  it('noise never becomes anything but a CodecError or the value it encodes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        strict(bytes, decodeEntry, encodeEntry);
        strict(bytes, decodeConfChange, encodeConfChange);
      }),
      { numRuns: 20_000 },
    );
  });

  it('a count or a length that the input cannot hold is refused before anything is allocated', () => {
    const writer = new ByteWriter();
    writer.byte(1);
    writer.byte(MessageType.append);
    writer.byte(0);
    for (let field = 0; field < 8; field += 1) writer.varint(1);
    writer.varint(Number.MAX_SAFE_INTEGER);
    expect(() => decodeMessage(writer.finish())).toThrow('a count exceeds the input');
  });

  it('numbers have one form: padded and oversized ones are refused', () => {
    expect(() => new ByteReader(new Uint8Array([0x80, 0x00])).varint()).toThrow('shortest form');
    expect(() => new ByteReader(new Uint8Array(8).fill(0xff)).varint()).toThrow('2^53');
    expect(() => new ByteReader(new Uint8Array(10).fill(0xff)).varint64()).toThrow('2^64');
    expect(() => new ByteReader(new Uint8Array([0x80])).varint()).toThrow('ends too early');
  });

  it.each([
    ['a Uint8Array', (bytes: Uint8Array) => bytes],
    ['a Buffer of Node', (bytes: Uint8Array) => Buffer.from(bytes)],
  ])('decoded entries do not share memory with %s they came from', (_name, chunkOf) => {
    const data = new Uint8Array(10).fill(1);
    const chunk = chunkOf(
      encodeMessage(
        makeMessage({
          type: MessageType.append,
          from: 1n,
          to: 2n,
          term: 1,
          entries: [{ index: 1, term: 1, type: EntryType.normal, data }],
        }),
      ),
    );
    const decoded = decodeMessage(chunk).entries[0]!.data;
    expect(decoded.buffer).not.toBe(chunk.buffer);
    chunk.fill(0);
    expect(decoded).toEqual(data);
  });
});
