/**
 * The side of a link that answers: carries a handler table, as a transport does, for calls that come out of a ring.
 *
 * Unary calls only, and without metadata in the answer: what the trial needs. A request is a view into the ring, valid during
 * its turn as `UnaryHandler.handle` allows, so it is not copied on this side.
 */
import { deserialize } from 'node:v8';
import {
  type Metadata,
  type ResponseFields,
  Status,
  type UnaryCall,
  type UnaryHandler,
} from '@quorate/grpc-server';
import type { Memory } from './byte-ring.ts';
import {
  ANSWER_HEAD_BYTES,
  CALL,
  CALL_HEAD_BYTES,
  CANCEL,
  type LinkEnd,
  METADATA,
  METADATA_HEAD_BYTES,
  openLink,
} from './link.ts';
import type { Outbox } from './outbox.ts';

/** Methods by their number in a call's record. */
export type Methods = readonly (readonly [path: string, handler: UnaryHandler])[];

export function answerCalls(end: LinkEnd, methods: Methods): void {
  /** By id. */
  const calls: (RingCall | undefined)[] = [];
  const metadata: Metadata[] = [];
  const outbox = openLink(end, ({ words, floats, bytes }, at) => {
    const word = at >>> 2;
    const number = words[word + 2] as number;
    switch (words[word + 1]) {
      case CALL: {
        const method = methods[words[word + 3] as number];
        const fields = metadata[words[word + 4] as number];
        if (method === undefined || fields === undefined) throw new Error('a call names what is known');
        const start = at + CALL_HEAD_BYTES;
        const message = bytes.subarray(start, start + (words[word + 5] as number));
        const deadlineMs = floats[(at + 24) >>> 3] as number;
        const call = new RingCall(outbox, number, method[0], fields, deadlineMs);
        calls[number] = call;
        method[1].handle(message, call);
        break;
      }
      case CANCEL:
        // Its answer may be on its way already; then the id still belongs to it.
        calls[number]?.cancel();
        break;
      case METADATA: {
        const start = at + METADATA_HEAD_BYTES;
        const fields = Buffer.from(bytes.subarray(start, start + (words[word + 3] as number)));
        metadata[number] = new RingMetadata(deserialize(fields));
        break;
      }
    }
  });
}

class RingMetadata implements Metadata {
  readonly #fields: [name: string, value: string | Uint8Array][];

  constructor(fields: [name: string, value: string | Uint8Array][]) {
    this.#fields = fields;
  }

  get(name: string): string | Uint8Array | undefined {
    return this.#fields.find((field) => field[0] === name)?.[1];
  }

  entries(): Iterable<readonly [name: string, value: string | Uint8Array]> {
    return this.#fields;
  }
}

class RingCall implements UnaryCall {
  readonly path: string;
  readonly metadata: Metadata;
  readonly deadlineMs: number;
  readonly peer = '';
  readonly peerCommonName = '';
  cancelled = false;
  readonly #outbox: Outbox;
  readonly #id: number;
  #isAnswered = false;
  #onCancel: ((reason: 'cancelled' | 'deadline') => void)[] | undefined = undefined;

  constructor(outbox: Outbox, id: number, path: string, metadata: Metadata, deadlineMs: number) {
    this.#outbox = outbox;
    this.#id = id;
    this.path = path;
    this.metadata = metadata;
    this.deadlineMs = deadlineMs;
  }

  onCancel(listener: (reason: 'cancelled' | 'deadline') => void): void {
    if (this.cancelled) listener('cancelled');
    else {
      this.#onCancel ??= [];
      this.#onCancel.push(listener);
    }
  }

  cancel(): void {
    if (this.#isAnswered) return;
    this.cancelled = true;
    for (const listener of this.#onCancel ?? []) listener('cancelled');
  }

  setHeaders(_fields: ResponseFields): void {
    throw new Error('the trial carries no metadata of answers');
  }

  setTrailers(_fields: ResponseFields): void {
    throw new Error('the trial carries no metadata of answers');
  }

  reply(response: Uint8Array): void {
    if (this.#outbox.fits(ANSWER_HEAD_BYTES + response.length)) this.#answer(Status.OK, response);
    else this.fail(Status.RESOURCE_EXHAUSTED, 'the answer does not fit between the threads');
  }

  fail(status: Status, message: string): void {
    this.#answer(status, Buffer.from(message));
  }

  #answer(status: Status, body: Uint8Array): void {
    if (this.#isAnswered) return;
    this.#isAnswered = true;
    this.#outbox.push(ANSWER_HEAD_BYTES + body.length, (memory: Memory, at: number) => {
      const { words, bytes } = memory;
      words[(at >>> 2) + 1] = status;
      words[(at >>> 2) + 2] = this.#id;
      words[(at >>> 2) + 3] = body.length;
      bytes.set(body, at + ANSWER_HEAD_BYTES);
    });
  }
}
