/**
 * `WatchResponse` bytes, by hand.
 *
 *   0a header   10 watch_id   18 created   20 canceled   28 compact_revision   32 cancel_reason   38 fragment   5a event...
 *
 * The events come last and are the bulk, and they are the same for every watch that gets the same group: they are
 * encoded once, from the event bytes that the store already has. What differs, header and id, is short. Streams that
 * watch the same under the same id (0, for clients with one watch a stream) share even the whole message.
 */
import type { EventGroup, StoreEvent, WatchId } from '@quorate/mvcc';
import { limits } from '@quorate/proto';
import { ResponseTooLargeError } from '../codec/responses.ts';
import { sizeDelimited, sizeNumberField, sizeUint64, sizeVarint, WireWriter } from '../codec/wire-writer.ts';
import type { ResponseHeader } from './header.ts';

const HEADER = 0x0a;
const WATCH_ID = 0x10;
const CREATED = 0x18;
const CANCELED = 0x20;
const COMPACT_REVISION = 0x28;
const CANCEL_REASON = 0x32;
const FRAGMENT = 0x38;
const EVENTS = 0x5a;
const EVENT_PREV_KV = 0x1a;

const EMPTY = new Uint8Array(0);

/** A response without events: created, canceled, progress. */
export interface ControlResponse {
  readonly watchId: WatchId;
  readonly revision: number;
  readonly created?: boolean;
  readonly canceled?: boolean;
  readonly compactRevision?: number;
  readonly cancelReason?: string;
}

export function encodeControl(header: ResponseHeader, response: ControlResponse): Uint8Array {
  const { watchId, revision, created = false, canceled = false, compactRevision = 0 } = response;
  const reason = response.cancelReason === undefined ? EMPTY : Buffer.from(response.cancelReason);
  const headerBytes = header.size(revision);
  const writer = new WireWriter(
    sizeDelimited(headerBytes) +
      sizeId(watchId) +
      (created ? 2 : 0) +
      (canceled ? 2 : 0) +
      sizeNumberField(compactRevision) +
      (reason.length === 0 ? 0 : sizeDelimited(reason.length)),
  );
  writeStart(writer, header, headerBytes, revision, watchId);
  if (created) writer.numberField(CREATED, 1);
  if (canceled) writer.numberField(CANCELED, 1);
  writer.numberField(COMPACT_REVISION, compactRevision);
  if (reason.length > 0) writer.delimited(CANCEL_REASON, reason);
  return writer.buffer;
}

/** Whole messages are kept for so many ids: clients begin to count at 0, so streams with a few watches each share theirs. */
const SHARED_IDS = 64;
/** Of larger events only the last message is kept. */
const SHARED_BYTES = 16 * 1024;

/** What watches of one group share; kept by `EventGroup.memo`. */
class SharedEvents {
  /** All `events` fields. */
  readonly payload: Uint8Array;
  #revision = 0;
  #messages = new Map<WatchId, Uint8Array>();

  constructor(group: EventGroup) {
    this.payload = encodeEvents(group, group.events());
  }

  messageFor(header: ResponseHeader, watchId: WatchId, revision: number): Uint8Array {
    if (this.#revision !== revision) {
      this.#messages.clear();
      this.#revision = revision;
    }
    let message = this.#messages.get(watchId);
    if (message === undefined) {
      message = encodeMessage(header, watchId, revision, false, this.payload);
      if (this.#messages.size >= (this.payload.length <= SHARED_BYTES ? SHARED_IDS : 1))
        this.#messages.clear();
      this.#messages.set(watchId, message);
    }
    return message;
  }
}

const share = (group: EventGroup): SharedEvents => new SharedEvents(group);

/**
 * The response with all events of a group.
 * @returns bytes that may be shared between streams: not to be changed
 * @throws ResponseTooLargeError when it does not fit a message
 */
export function encodeEventsResponse(
  header: ResponseHeader,
  watchId: WatchId,
  revision: number,
  group: EventGroup,
): Uint8Array {
  return group.memo(share).messageFor(header, watchId, revision);
}

/**
 * The same in fragments, each as large as fits in `maxBytes` but of one event at least; all but the last say that
 * more follows (sem-118). A response that fits is one message.
 */
export function encodeFragments(
  header: ResponseHeader,
  watchId: WatchId,
  revision: number,
  group: EventGroup,
  maxBytes: number,
): Uint8Array[] {
  const events = group.events();
  const baseBytes = sizeDelimited(header.size(revision)) + sizeId(watchId);
  const totalBytes = events.reduce((sum, event) => sum + sizeDelimited(eventBytes(group, event)), baseBytes);
  if (totalBytes < maxBytes || events.length < 2) {
    return [encodeEventsResponse(header, watchId, revision, group)];
  }
  const messages: Uint8Array[] = [];
  let from = 0;
  while (from < events.length) {
    let to = from;
    let bytes = baseBytes + 2;
    do {
      bytes += sizeDelimited(eventBytes(group, events[to]!));
      to += 1;
    } while (to < events.length && bytes + sizeDelimited(eventBytes(group, events[to]!)) < maxBytes);
    const payload = encodeEvents(group, events.slice(from, to));
    messages.push(encodeMessage(header, watchId, revision, to < events.length, payload));
    from = to;
  }
  return messages;
}

/** Bytes of an event with its previous record, without tag and length. */
function eventBytes(group: EventGroup, event: StoreEvent): number {
  const previous = group.previousOf(event);
  return event.encoded.length + (previous === null ? 0 : sizeDelimited(previous.encoded.length));
}

function encodeEvents(group: EventGroup, events: readonly StoreEvent[]): Uint8Array {
  let size = 0;
  for (const event of events) size += sizeDelimited(eventBytes(group, event));
  if (size > limits.maxMessageBytes) throw new ResponseTooLargeError(size);
  const writer = new WireWriter(size);
  for (const event of events) {
    writer.byte(EVENTS);
    writer.varint(eventBytes(group, event));
    writer.raw(event.encoded);
    const previous = group.previousOf(event);
    if (previous !== null) writer.delimited(EVENT_PREV_KV, previous.encoded);
  }
  return writer.buffer;
}

function encodeMessage(
  header: ResponseHeader,
  watchId: WatchId,
  revision: number,
  fragment: boolean,
  payload: Uint8Array,
): Uint8Array {
  const headerBytes = header.size(revision);
  const size = sizeDelimited(headerBytes) + sizeId(watchId) + (fragment ? 2 : 0) + payload.length;
  const writer = new WireWriter(size);
  writeStart(writer, header, headerBytes, revision, watchId);
  if (fragment) writer.numberField(FRAGMENT, 1);
  writer.raw(payload);
  return writer.buffer;
}

function writeStart(
  writer: WireWriter,
  header: ResponseHeader,
  headerBytes: number,
  revision: number,
  watchId: WatchId,
): void {
  writer.byte(HEADER);
  writer.varint(headerBytes);
  header.write(writer, revision);
  if (typeof watchId === 'number') {
    writer.numberField(WATCH_ID, watchId);
  } else {
    writer.byte(WATCH_ID);
    writer.uint64(watchId);
  }
}

function sizeId(watchId: WatchId): number {
  if (typeof watchId === 'number') return watchId === 0 ? 0 : 1 + sizeVarint(watchId);
  return 1 + sizeUint64(watchId);
}
