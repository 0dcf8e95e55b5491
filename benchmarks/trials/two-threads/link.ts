/**
 * Two rings and a pair of bells: what the thread that makes calls and the thread that answers them share.
 *
 *   call     length, CALL, id, method, metadata slot, message bytes, deadline (8 bytes), message
 *   cancel   length, CANCEL, id
 *   metadata length, METADATA, slot, bytes, serialized fields: for the calls after it that name the slot
 *   answer   length, status, id, bytes, message (OK) or text (any other status)
 *
 * Fields are words of four bytes unless said otherwise. An id is free again when its answer has arrived.
 */
import type { MessagePort } from 'node:worker_threads';
import { createRing, type Memory, RingReader, RingWriter, type SharedRing } from './byte-ring.ts';
import { type BellEnd, type BellKind, createBells, Doorbell } from './doorbell.ts';
import { Outbox } from './outbox.ts';

export const CALL = 0;
export const CANCEL = 1;
export const METADATA = 2;

export const CALL_HEAD_BYTES = 32;
export const CANCEL_BYTES = 16;
export const METADATA_HEAD_BYTES = 16;
export const ANSWER_HEAD_BYTES = 16;

/** Distinct metadata that are known on both sides at a time. */
export const METADATA_SLOTS = 256;

export const DEFAULT_RING_BYTES = 16 * 1024 * 1024;

/** One side of a link, as it is sent to its thread (with `portsOf` as the transfer list). */
export interface LinkEnd {
  readonly out: SharedRing;
  readonly in: SharedRing;
  readonly bell: BellEnd;
}

/** @returns the side that calls, and the side that answers */
export function createLink(kind: BellKind, ringBytes = DEFAULT_RING_BYTES): readonly [LinkEnd, LinkEnd] {
  const calls = createRing(ringBytes);
  const answers = createRing(ringBytes);
  const [caller, answerer] = createBells(kind);
  return [
    { out: calls, in: answers, bell: caller },
    { out: answers, in: calls, bell: answerer },
  ];
}

export function portsOf({ bell }: LinkEnd): MessagePort[] {
  return bell.port === null ? [] : [bell.port];
}

/** Puts one side to work: `visit` sees every record that arrives. @returns where records go out */
export function openLink(end: LinkEnd, visit: (memory: Memory, at: number) => void): Outbox {
  const bell = new Doorbell(end.bell);
  const inbox = new RingReader(end.in);
  const outbox = new Outbox(new RingWriter(end.out), bell);
  bell.listen(
    () => inbox.hasRecords || outbox.mayRetry,
    () => {
      inbox.takeAll(visit);
      if (inbox.relieve()) bell.ring();
      outbox.retry();
    },
  );
  return outbox;
}
