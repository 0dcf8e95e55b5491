/**
 * Wire bytes to JSON, without a message object in between.
 *
 * A large answer is turned into text piece by piece: `jsonPieces` is a generator that yields about `PIECE_CHARACTERS` at
 * a time, however deep the large part lies, so that the one who writes it decides how long a turn may be. Names are
 * those of the proto file, zero values are left out (except in a oneof), 64-bit numbers are text, bytes are base64.
 *
 * JSON is written in the order of the proto file. Our encoders write the wire in that order too; a message that comes in
 * another one, or has a single field twice, is first put in order by `inOrder`, so any encoder's bytes give the same text.
 *
 *     0a 02 08 05 | 18 01        RangeResponse: field 1 (header), 2 bytes: field 1 (cluster_id) = 5; field 3 (more) = 1
 *     {"header":{"cluster_id":"5"},"more":true}
 */
import type { FieldShape, MessageShape } from './shape.ts';
import { MAX_JSON_DEPTH } from './syntax.ts';

/** A piece of text is about this long; messages whose bytes are fewer are written in one go. */
const PIECE_CHARACTERS = 16 * 1024;
/** Fields whose order is looked at in one go: a fraction of a millisecond. */
const FIELDS_AT_ONCE = 4_096;

/** Nesting of messages in an answer: a transaction in another one is three levels of a request's JSON, and two messages of its answer. */
const MAX_DEPTH = MAX_JSON_DEPTH;

/** The whole text at once: for small messages. */
export function jsonText(bytes: Uint8Array, shape: MessageShape): string {
  return new Encoder(bytes).message(0, bytes.length, shape, MAX_DEPTH);
}

/**
 * The text in pieces; joined they equal `jsonText`. Some are empty: looking at a large message takes time too.
 * @param parts the message, cut anywhere between its fields
 */
export function jsonPieces(parts: readonly Uint8Array[], shape: MessageShape): Generator<string, void> {
  return pieces(parts, shape, MAX_DEPTH);
}

function* pieces(parts: readonly Uint8Array[], shape: MessageShape, depth: number): Generator<string, void> {
  if (depth === 0) throw new RangeError('an answer is nested too deep');
  if (!(yield* isInOrder(parts, shape))) {
    const joined = Buffer.concat(parts);
    yield* pieces([new Encoder(joined).inOrder(0, joined.length, shape)], shape, depth);
    return;
  }
  const text = new ObjectText();
  for (const part of parts) {
    const encoder = new Encoder(part);
    while (encoder.at < part.length) {
      const { field, wireType } = encoder.tag(shape);
      if (field?.shape && wireType === 2) {
        const length = encoder.varint();
        const from = encoder.at;
        if (length > PIECE_CHARACTERS) {
          text.begin(field);
          yield text.take();
          yield* pieces([part.subarray(from, from + length)], field.shape, depth - 1);
        } else text.add(field, encoder.message(from, from + length, field.shape, depth - 1));
        encoder.at = from + length;
      } else if (field === undefined) encoder.skip(wireType);
      else encoder.values(field, wireType, text);
      if (text.length >= PIECE_CHARACTERS) yield text.take();
    }
  }
  yield text.finish();
}

/** Whether the fields come as JSON wants them, each single one once. Looks at this level alone, some fields at a time. */
function* isInOrder(parts: readonly Uint8Array[], shape: MessageShape): Generator<string, boolean> {
  let last = -1;
  let fields = 0;
  for (const part of parts) {
    const encoder = new Encoder(part);
    while (encoder.at < part.length) {
      if (++fields % FIELDS_AT_ONCE === 0) yield '';
      const { field, wireType } = encoder.tag(shape);
      encoder.skip(wireType);
      if (field === undefined) continue;
      if (field.index < last || (field.index === last && field.label === 'single')) return false;
      last = field.index;
    }
  }
  return true;
}

/** The text of one object under way: commas, names and the brackets of lists. */
class ObjectText {
  #text = '{';
  #isFirst = true;
  /** The list whose bracket is open. */
  #list: FieldShape | null = null;

  get length(): number {
    return this.#text.length;
  }

  /** Everything before the value. */
  begin(field: FieldShape): void {
    if (this.#list === field) {
      this.#text += ',';
      return;
    }
    this.#closeList();
    this.#text += `${this.#isFirst ? '' : ','}"${field.name}":`;
    this.#isFirst = false;
    if (field.label !== 'repeated') return;
    this.#text += '[';
    this.#list = field;
  }

  add(field: FieldShape, value: string): void {
    this.begin(field);
    this.#text += value;
  }

  take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  finish(): string {
    this.#closeList();
    return `${this.take()}}`;
  }

  #closeList(): void {
    if (this.#list !== null) this.#text += ']';
    this.#list = null;
  }
}

class Encoder {
  readonly #bytes: Buffer;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Leaves `at` at `end`. */
  message(start: number, end: number, shape: MessageShape, depth: number): string {
    if (depth === 0) throw new RangeError('an answer is nested too deep');
    const text = new ObjectText();
    let last = -1;
    this.at = start;
    while (this.at < end) {
      const { field, wireType } = this.tag(shape);
      if (field === undefined) {
        this.skip(wireType);
        continue;
      }
      if (field.index < last || (field.index === last && field.label === 'single')) {
        const ordered = this.inOrder(start, end, shape);
        this.at = end;
        return new Encoder(ordered).message(0, ordered.length, shape, depth);
      }
      last = field.index;
      if (field.shape && wireType === 2) {
        const length = this.varint();
        text.add(field, this.message(this.at, this.at + length, field.shape, depth - 1));
      } else this.values(field, wireType, text);
    }
    if (this.at !== end) throw new RangeError('a field of an answer points past its end');
    return text.finish();
  }

  tag(shape: MessageShape): { field: FieldShape | undefined; wireType: number } {
    const tag = this.varint();
    return { field: shape.byNumber.get(tag >>> 3), wireType: tag & 7 };
  }

  /** A scalar or enum field: one value, or several packed. */
  values(field: FieldShape, wireType: number, text: ObjectText): void {
    const isLengthDelimited = field.type === 'bytes' || field.type === 'string';
    if (field.shape !== null || wireType !== (isLengthDelimited ? 2 : 0)) {
      if (wireType !== 2 || field.shape !== null || isLengthDelimited) {
        this.skip(wireType);
        return;
      }
      const length = this.varint();
      const end = this.at + length;
      while (this.at < end) this.#value(field, text);
      return;
    }
    this.#value(field, text);
  }

  #value(field: FieldShape, text: ObjectText): void {
    const value = this.#scalar(field);
    if (value !== null) text.add(field, value);
    else if (field.label === 'repeated' || field.oneof !== null) text.add(field, zeroOf(field));
  }

  /** @returns null for zero */
  #scalar(field: FieldShape): string | null {
    switch (field.type) {
      case 'bytes': {
        const length = this.varint();
        const from = this.#advance(length);
        return length === 0 ? null : `"${this.#bytes.toString('base64', from, from + length)}"`;
      }
      case 'string': {
        const length = this.varint();
        const from = this.#advance(length);
        return length === 0 ? null : JSON.stringify(this.#bytes.toString('utf8', from, from + length));
      }
      case 'int64':
      case 'uint64': {
        const digits = this.#digits64(field.type === 'int64');
        return digits === '0' ? null : `"${digits}"`;
      }
      case 'bool':
        return this.varint() === 0 ? null : 'true';
      case 'uint32': {
        const value = this.varint();
        return value === 0 ? null : String(value >>> 0);
      }
      default: {
        const value = Number(BigInt.asIntN(32, BigInt(this.#digits64(true))));
        if (value === 0) return null;
        const name = field.enumNames?.get(value);
        return name === undefined ? String(value) : `"${name}"`;
      }
    }
  }

  skip(wireType: number): void {
    if (wireType === 0) this.#digits64(false);
    else if (wireType === 1) this.#advance(8);
    else if (wireType === 2) this.#advance(this.varint());
    else if (wireType === 5) this.#advance(4);
    else throw new RangeError('an answer has a field of a type that nobody writes');
  }

  #advance(byteCount: number): number {
    const from = this.at;
    this.at = from + byteCount;
    if (this.at > this.#bytes.length) throw new RangeError('a field of an answer points past its end');
    return from;
  }

  /** A number below 2^53: tags, lengths, 32-bit values. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 7; count++) {
      const byte = this.#bytes[this.#advance(1)]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw new RangeError('a varint of an answer is too long');
  }

  #digits64(isSigned: boolean): string {
    const from = this.at;
    let length = 1;
    while (this.#bytes[this.#advance(1)]! >= 128) {
      if (++length > 10) throw new RangeError('a varint of an answer is too long');
    }
    if (length <= 7) {
      this.at = from;
      return String(this.varint());
    }
    let bits = 0n;
    for (let index = length - 1; index >= 0; index--) {
      bits = (bits << 7n) | BigInt(this.#bytes[from + index]! & 127);
    }
    return String(isSigned ? BigInt.asIntN(64, bits) : BigInt.asUintN(64, bits));
  }

  /** The same message in order: of single scalars the last counts, single messages are merged (protobuf's rules). */
  inOrder(start: number, end: number, shape: MessageShape): Buffer {
    const found = new Map<FieldShape, Buffer[]>();
    this.at = start;
    while (this.at < end) {
      const from = this.at;
      const { field, wireType } = this.tag(shape);
      this.skip(wireType);
      if (field === undefined) continue;
      const bytes = this.#bytes.subarray(from, this.at);
      const known = found.get(field);
      if (known === undefined || (field.label === 'single' && field.shape === null))
        found.set(field, [bytes]);
      else known.push(bytes);
    }
    const ordered: Buffer[] = [];
    for (const [field, parts] of [...found].sort(([a], [b]) => a.index - b.index)) {
      if (field.label === 'single' && parts.length > 1) ordered.push(merged(field, parts));
      else ordered.push(...parts);
    }
    return Buffer.concat(ordered);
  }
}

/** Messages are merged by putting their fields one after the other. */
function merged(field: FieldShape, parts: readonly Buffer[]): Buffer {
  const contents = parts.map((part) => {
    const reader = new Encoder(part);
    reader.varint();
    const length = reader.varint();
    return part.subarray(reader.at, reader.at + length);
  });
  const content = Buffer.concat(contents);
  return Buffer.concat([varintBytes(field.number * 8 + 2), varintBytes(content.length), content]);
}

function varintBytes(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  return Buffer.from([...bytes, rest]);
}

function zeroOf(field: FieldShape): string {
  if (field.type === 'bytes' || field.type === 'string') return '""';
  if (field.type === 'bool') return 'false';
  if (field.type === 'int64' || field.type === 'uint64') return '"0"';
  const name = field.enumNames?.get(0);
  return name === undefined ? '0' : `"${name}"`;
}
