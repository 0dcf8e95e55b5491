/** Rings and bells with both ends in one thread: whatever fits between them, every call is answered, and with its own bytes. */
import { type Metadata, Status, type UnaryHandler } from '@quorate/grpc-server';
import { Random } from '@quorate/testing';
import { describe, expect, it } from 'vitest';
import { answerCalls } from './calls-in.ts';
import { CallsOut, type CallToSend } from './calls-out.ts';
import type { BellKind } from './doorbell.ts';
import { createLink, METADATA_SLOTS } from './link.ts';

const KINDS: BellKind[] = ['wait-async', 'message'];
const RING_BYTES = 4_096;

function metadata(name: string): Metadata {
  const fields = [['name', name]] as const;
  return { get: (wanted) => fields.find(([known]) => known === wanted)?.[1], entries: () => fields };
}

type Answer = { status: Status; body: string };

/** A call whose answer is awaited, and that can be cancelled. */
function pending(from = metadata('')): { call: CallToSend; answer: Promise<Answer>; cancel(): void } {
  let answered: (answer: Answer) => void = () => {};
  const answer = new Promise<Answer>((resolve) => {
    answered = resolve;
  });
  let cancel = () => {};
  const call: CallToSend = {
    metadata: from,
    deadlineMs: 12.5,
    onCancel(listener) {
      cancel = () => listener('cancelled');
    },
    reply: (bytes) => answered({ status: Status.OK, body: Buffer.from(bytes).toString() }),
    fail: (status, body) => answered({ status, body }),
  };
  return { call, answer, cancel: () => cancel() };
}

function open(kind: BellKind, handle: UnaryHandler['handle']): CallsOut {
  const [caller, answerer] = createLink(kind, RING_BYTES);
  answerCalls(answerer, [['/test/Method', { kind: 'unary', handle }]]);
  return new CallsOut(caller);
}

describe.each(KINDS)('a link with bells of kind %s', (kind) => {
  it('answers every call with its own bytes, also when much more is sent than fits', async () => {
    const random = new Random('two-threads', kind);
    const calls = open(kind, (request, call) => {
      const text = Buffer.from(request).toString();
      // Some in the same turn, some later, so that answers overtake each other.
      if (text.length % 3 === 0) setImmediate(() => call.reply(Buffer.from(`re ${text}`)));
      else call.reply(Buffer.from(`re ${text}`));
    });
    for (let round = 0; round < 20; round++) {
      const sent = Array.from({ length: 100 }, (_, i) => `${round} ${i} ${'x'.repeat(random.int(700))}`);
      const answers = sent.map((text) => {
        const { call, answer } = pending();
        calls.send(0, Buffer.from(text), call);
        return answer;
      });
      expect(await Promise.all(answers)).toEqual(
        sent.map((text) => ({ status: Status.OK, body: `re ${text}` })),
      );
    }
  });

  it('carries path, deadline, failure and metadata, of more callers than there are slots', async () => {
    const calls = open(kind, (_request, call) =>
      call.fail(Status.NOT_FOUND, `${call.path} ${call.deadlineMs} ${call.metadata.get('name')}`),
    );
    const callers = Array.from({ length: METADATA_SLOTS + 50 }, (_, i) => metadata(`caller ${i}`));
    for (const round of [1, 2]) {
      const answers = callers.map((from) => {
        const { call, answer } = pending(from);
        calls.send(0, Buffer.from(`${round}`), call);
        return answer;
      });
      expect(await Promise.all(answers)).toEqual(
        callers.map((from) => ({ status: Status.NOT_FOUND, body: `/test/Method 12.5 ${from.get('name')}` })),
      );
    }
  });

  it('tells the handler of a cancel', async () => {
    const calls = open(kind, (_request, call) => {
      call.onCancel((reason) => call.fail(Status.CANCELLED, `${reason} ${call.cancelled}`));
      if (call.deadlineMs > 0) setImmediate(cancel);
    });
    const { call, answer, cancel } = pending();
    calls.send(0, Buffer.from('never answered otherwise'), call);
    expect(await answer).toEqual({ status: Status.CANCELLED, body: 'cancelled true' });
  });

  it('refuses what would never fit, in both directions', async () => {
    const calls = open(kind, (_request, call) => call.reply(new Uint8Array(RING_BYTES)));
    for (const request of [new Uint8Array(RING_BYTES / 2), new Uint8Array(1)]) {
      const { call, answer } = pending();
      calls.send(0, request, call);
      expect((await answer).status).toBe(Status.RESOURCE_EXHAUSTED);
    }
  });
});
