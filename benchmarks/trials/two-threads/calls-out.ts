/**
 * The side of a link that makes calls: the transport's thread, whose handlers do nothing but this.
 *
 * An answer is copied out of the ring, for the transport may keep it until its socket takes it.
 */
import { serialize } from 'node:v8';
import type { Metadata, UnaryCall } from '@quorate/grpc-server';
import { Status } from '@quorate/grpc-server';
import type { Memory } from './byte-ring.ts';
import {
  ANSWER_HEAD_BYTES,
  CALL,
  CALL_HEAD_BYTES,
  CANCEL,
  CANCEL_BYTES,
  type LinkEnd,
  METADATA,
  METADATA_HEAD_BYTES,
  METADATA_SLOTS,
  openLink,
} from './link.ts';
import type { Outbox } from './outbox.ts';

/** What is needed of a call to have it answered elsewhere. */
export type CallToSend = Pick<UnaryCall, 'metadata' | 'deadlineMs' | 'onCancel' | 'reply' | 'fail'>;

export class CallsOut {
  readonly #outbox: Outbox;
  /** By id. */
  readonly #calls: (CallToSend | undefined)[] = [];
  readonly #freeIds: number[] = [];
  /** What the other side knows by a slot's number: calls with the same header block share one object. */
  readonly #slots: Metadata[] = [];
  readonly #slotOf = new WeakMap<Metadata, number>();
  #nextSlot = 0;

  constructor(end: LinkEnd) {
    this.#outbox = openLink(end, (memory, at) => this.#onAnswer(memory, at));
  }

  /** @param message copied before this returns */
  send(method: number, message: Uint8Array, call: CallToSend): void {
    const bytes = CALL_HEAD_BYTES + message.length;
    if (!this.#outbox.fits(bytes)) {
      call.fail(Status.RESOURCE_EXHAUSTED, 'the request does not fit between the threads');
      return;
    }
    const slot = this.#slotFor(call.metadata);
    const id = this.#freeIds.pop() ?? this.#calls.length;
    this.#calls[id] = call;
    this.#outbox.push(bytes, (memory, at) => {
      const { words } = memory;
      const word = at >>> 2;
      words[word + 1] = CALL;
      words[word + 2] = id;
      words[word + 3] = method;
      words[word + 4] = slot;
      words[word + 5] = message.length;
      memory.floats[(at + 24) >>> 3] = call.deadlineMs;
      memory.bytes.set(message, at + CALL_HEAD_BYTES);
    });
    call.onCancel(() => {
      this.#outbox.push(CANCEL_BYTES, ({ words }, at) => {
        words[(at >>> 2) + 1] = CANCEL;
        words[(at >>> 2) + 2] = id;
      });
    });
  }

  #slotFor(metadata: Metadata): number {
    const known = this.#slotOf.get(metadata);
    if (known !== undefined && this.#slots[known] === metadata) return known;
    const slot = this.#nextSlot;
    this.#nextSlot = (slot + 1) % METADATA_SLOTS;
    this.#slots[slot] = metadata;
    this.#slotOf.set(metadata, slot);
    const fields = serialize([...metadata.entries()]);
    this.#outbox.push(METADATA_HEAD_BYTES + fields.length, ({ words, bytes }, at) => {
      words[(at >>> 2) + 1] = METADATA;
      words[(at >>> 2) + 2] = slot;
      words[(at >>> 2) + 3] = fields.length;
      bytes.set(fields, at + METADATA_HEAD_BYTES);
    });
    return slot;
  }

  #onAnswer({ words, bytes }: Memory, at: number): void {
    const word = at >>> 2;
    const status = words[word + 1] as Status;
    const id = words[word + 2] as number;
    const start = at + ANSWER_HEAD_BYTES;
    const body = bytes.subarray(start, start + (words[word + 3] as number));
    const call = this.#calls[id];
    if (call === undefined) throw new Error('an answer belongs to a call');
    this.#calls[id] = undefined;
    this.#freeIds.push(id);
    if (status === Status.OK) call.reply(Buffer.from(body));
    else call.fail(status, body.toString());
  }
}
