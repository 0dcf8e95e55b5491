/**
 * The wire format under the generated codecs: protobufjs's `Reader` and `Writer` with 64-bit integers as
 * `bigint`, nested messages bounded in depth, and one typed error for whatever cannot be decoded.
 *
 * Messages are plain objects. A decoded one has every field: scalars hold their zero, absent messages and unset
 * members of a oneof are `undefined`. To encode, name only the fields that matter. Unknown fields are skipped.
 *
 * Buffer ownership: `bytes` fields of a decoded message are views into the bytes given to `decode`. Copy what
 * outlives them. `encode` returns bytes of its own.
 *
 * Next: `gen/messages.ts` (made by `scripts/generate.ts`), `service.ts`.
 */
import protobuf from 'protobufjs/minimal.js';

export const EMPTY_BYTES = new Uint8Array(0);

/**
 * How deep messages may nest. A transaction inside a transaction costs two levels, and the greatest nesting that
 * etcd accepts is one transaction for each of its `max-txn-ops` (128); anything deeper is refused before it can
 * reach the stack's end.
 */
export const MAX_DECODE_DEPTH = 320;

/**
 * What `encode` accepts for a message of type `T`: any subset of its fields; numbers where the wire has 64 bits;
 * and for a nested message also its encoded bytes, which are copied as they are.
 */
export type Init<T> = { readonly [K in keyof T]?: InitField<T[K]> | undefined };
type InitField<V> = V extends Uint8Array
  ? V
  : V extends bigint
    ? bigint | number
    : V extends (infer E)[]
      ? readonly InitField<E>[]
      : V extends Map<infer K, infer E>
        ? ReadonlyMap<K, InitField<E>>
        : V extends object
          ? Init<V> | Uint8Array
          : V;

/** One message type: its name and its two directions. */
export interface Codec<T> {
  /** Fully qualified: `etcdserverpb.RangeRequest`. */
  readonly typeName: string;
  /** A message with every field at its zero. */
  empty(): T;
  encode(message: Init<T>): Uint8Array;
  /** @throws {DecodeError} when the bytes are no such message */
  decode(bytes: Uint8Array): T;
  /** Merges the fields in `[reader.pos, end)` into `target`: for generated code. */
  readonly read: (target: T, reader: WireReader, end: number, depth: number) => void;
}

/** The bytes are not what they claim to be. Nothing of the message may be used. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  /** TOO_DEEP: nested beyond `MAX_DECODE_DEPTH`. MALFORMED: truncated, or lengths, tags or text that cannot be. */
  readonly code: 'TOO_DEEP' | 'MALFORMED';

  constructor(code: 'TOO_DEEP' | 'MALFORMED', message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export function tooDeep(): never {
  throw new DecodeError('TOO_DEEP', `messages nested deeper than ${MAX_DECODE_DEPTH} levels`);
}

/** protobufjs's reader with `bigint` integers and bounded sub-messages. */
export class WireReader extends protobuf.Reader {
  bigInt64(): bigint {
    return BigInt.asIntN(64, this.varint64());
  }

  bigUint64(): bigint {
    return this.varint64();
  }

  /** A string that must be valid UTF-8, as proto3 demands. */
  text(): string {
    return this.stringVerify();
  }

  /** The end of a length-delimited block that starts here; it lies within what is being read. */
  blockEnd(): number {
    const length = this.size();
    const end = this.pos + length;
    if (end > this.len) throw new DecodeError('MALFORMED', 'length points past the end');
    return end;
  }

  /** Reads one nested message, into `target` when the field came before (proto3 merges them). */
  message<T>(target: T | undefined, codec: Codec<T>, depth: number): T {
    const message = target ?? codec.empty();
    const end = this.blockEnd();
    const outerEnd = this.len;
    this.len = end;
    codec.read(message, this, end, depth - 1);
    this.len = outerEnd;
    return message;
  }

  /** Reads one entry of a map from string to message: a message with the fields key = 1 and value = 2. */
  mapEntry<T>(depth: number, codec: Codec<T>): { key: string; value: T } {
    const end = this.blockEnd();
    const outerEnd = this.len;
    this.len = end;
    let key = '';
    let value = codec.empty();
    while (this.pos < end) {
      const tag = this.tag();
      if (tag === 10) key = this.text();
      else if (tag === 18) value = this.message(undefined, codec, depth - 1);
      else this.skipType(tag & 7, 0, tag >>> 3);
    }
    this.len = outerEnd;
    return { key, value };
  }

  /** Most 64-bit fields hold small numbers: up to seven bytes fit a double, only longer ones build a bigint in parts. */
  private varint64(): bigint {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 7; i++) {
      const byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return BigInt(value);
      scale *= 128;
    }
    let high = 0;
    for (let i = 0; i < 3; i++) {
      const byte = this.byte();
      high |= (byte & 127) << (7 * i);
      if (byte < 128) return BigInt.asUintN(64, (BigInt(high) << 49n) | BigInt(value));
    }
    throw new DecodeError('MALFORMED', 'varint longer than ten bytes');
  }

  private byte(): number {
    if (this.pos >= this.len) throw new DecodeError('MALFORMED', 'varint cut off');
    return this.buf[this.pos++] as number;
  }
}

/** protobufjs's writer with `bigint` integers and nested messages, given as fields or as bytes. */
export class WireWriter extends protobuf.BufferWriter {
  /** The key of a field: `number << 3 | wire type`. */
  tag(value: number): this {
    this.uint32(value);
    return this;
  }

  bigInt64(value: bigint | number): this {
    return this.varint64(value);
  }

  bigUint64(value: bigint | number): this {
    return this.varint64(value);
  }

  message<T>(
    tag: number,
    value: Init<T> | Uint8Array,
    write: (message: Init<T>, writer: this) => void,
  ): this {
    this.uint32(tag);
    if (value instanceof Uint8Array) {
      this.bytes(value);
      return this;
    }
    this.fork();
    write(value, this);
    this.ldelim();
    return this;
  }

  /** Two's complement in 64 bits, seven at a time. */
  private varint64(value: bigint | number): this {
    if (typeof value === 'number' && value >= 0 && value <= 0xffffffff) {
      this.uint32(value);
      return this;
    }
    const bits = BigInt.asUintN(64, BigInt(value));
    let low = Number(bits & 0xffffffffn);
    let high = Number(bits >> 32n);
    const bytes: number[] = [];
    while (high !== 0 || low > 127) {
      bytes.push((low & 127) | 128);
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    bytes.push(low);
    this.raw(Uint8Array.from(bytes));
    return this;
  }
}

/** Ties the generated halves of one message type together. */
export function messageCodec<T>(
  typeName: string,
  empty: () => T,
  write: (message: Init<T>, writer: WireWriter) => void,
  read: (target: T, reader: WireReader, end: number, depth: number) => void,
): Codec<T> {
  return {
    typeName,
    empty,
    read,
    encode(message) {
      const writer = new WireWriter();
      write(message, writer);
      return writer.finish();
    },
    decode(bytes) {
      // A plain view even of a Buffer: fields are then plain Uint8Arrays wherever the bytes came from.
      const reader = new WireReader(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      const message = empty();
      try {
        read(message, reader, bytes.length, MAX_DECODE_DEPTH);
      } catch (error) {
        if (error instanceof DecodeError) throw error;
        throw new DecodeError('MALFORMED', `not a valid ${typeName}`, { cause: error });
      }
      return message;
    },
  };
}
