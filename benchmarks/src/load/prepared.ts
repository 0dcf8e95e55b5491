/**
 * Calls as bytes: HEADERS and DATA with the message, and the places ("slots") where eight hexadecimal digits of a key
 * are written for each call. Nothing is encoded while the load runs.
 *
 * Example: a put of `bench/0000002a` is the template of `bench/00000000` with the number 42 written over the zeros.
 */
import { END_STREAM, FrameType, frame, GRPC_PREFIX_BYTES } from './frames.ts';

/** Eight characters that occur in no message except where a key's digits belong. */
export const KEY_DIGITS = '\x01\x02\x03\x04\x05\x06\x07\x08';

export interface Slot {
  /** Offset in `wire`. */
  readonly at: number;
  /** Added to the call's key, so that one call can name several keys. */
  readonly plus: number;
}

export interface PreparedCall {
  readonly wire: Buffer;
  /** Where the DATA frame begins. */
  readonly headBytes: number;
  readonly slots: readonly Slot[];
}

/** A message with the prefix gRPC puts before it: not compressed, its length. */
export function withPrefix(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(GRPC_PREFIX_BYTES + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, GRPC_PREFIX_BYTES);
  return bytes;
}

/** @param plus what is added to the key at each slot, in order of their appearance in `message` */
export function prepare(head: Buffer, message: Uint8Array, plus: readonly number[]): PreparedCall {
  const wire = Buffer.concat([head, frame(FrameType.DATA, END_STREAM, 0, withPrefix(message))]);
  const slots: Slot[] = [];
  for (let at = wire.indexOf(KEY_DIGITS); at >= 0; at = wire.indexOf(KEY_DIGITS, at + 1)) {
    slots.push({ at, plus: plus[slots.length] ?? 0 });
  }
  if (slots.length !== plus.length) throw new Error('a message has another number of slots than was said');
  return { wire, headBytes: head.length, slots };
}

const HEX = Buffer.from('0123456789abcdef');

/** Writes `key` into the slots of a copy of `prepared.wire` that begins at `start` of `bytes`. */
export function patchKeys(prepared: PreparedCall, bytes: Buffer, start: number, key: number): void {
  const { slots } = prepared;
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i] as Slot;
    let rest = key + slot.plus;
    for (let at = start + slot.at + 7; at >= start + slot.at; at--) {
      bytes[at] = HEX[rest & 15] as number;
      rest >>>= 4;
    }
  }
}
