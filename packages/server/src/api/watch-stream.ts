/**
 * One call of `/etcdserverpb.Watch/Watch`: requests in, responses out, and a consumer of the watch hub between.
 *
 * Memory: what the caller has not read yet lies in the call's queue. Once the transport says that the caller does not
 * keep up and the queue is long (2 MiB, or 16,384 messages) the stream is full: the hub parks its watches, request
 * messages wait unread, and everything goes on when the queue has drained. One response more than the bound can be
 * in the queue, so a stream holds at most about 4 MiB unless a single revision is larger than that.
 */
import { Status, type StreamCall, type StreamListener } from '@quorate/grpc-server';
import {
  type EventGroup,
  Watch,
  type WatchConsumer,
  type WatchHub,
  type WatchRefusal,
  type WatchStream,
} from '@quorate/mvcc';
import { limits, type WatchCancelCode, watchCancelReasons } from '@quorate/proto';
import type { Member } from '../member.ts';
import { statusOfCode, statusOfError, type WireStatus } from './error-map.ts';
import type { ResponseHeader } from './header.ts';
import { decodeWatchRequest, type WatchCreate } from './watch-request.ts';
import {
  type ControlResponse,
  encodeControl,
  encodeEventsResponse,
  encodeFragments,
} from './watch-response.ts';

const MAX_QUEUED_BYTES = 2 * 1024 * 1024;
const MAX_QUEUED_MESSAGES = 16_384;

/** Id of a created message that refuses, and of progress that is true of all watches. */
const NO_WATCH_ID = -1;
/** Key of the wire's "no key": the first key there can be (sem-104). */
const FIRST_KEY = Uint8Array.of(0);

const REFUSAL_REASONS: Readonly<Record<WatchRefusal, string>> = {
  EMPTY_RANGE: watchCancelReasons.WATCHER_RANGE_EMPTY,
  DUPLICATE_ID: watchCancelReasons.DUPLICATE_WATCH_ID,
  COMPACTED: watchCancelReasons.COMPACTED,
};

/** Whether the caller may watch `[key, rangeEnd)`; asked when a watch is created (sem-128). */
export type WatchPermission = (
  call: StreamCall,
  key: Uint8Array,
  rangeEnd: Uint8Array,
) => WatchCancelCode | null;

export interface WatchCallOptions {
  readonly member: Pick<Member, 'store' | 'limits'>;
  readonly header: ResponseHeader;
  readonly hub: WatchHub;
  readonly permission: WatchPermission;
  /** Called once, when the call has ended for whatever reason. */
  readonly onEnd: (ended: WatchCall) => void;
}

export class WatchCall implements WatchConsumer, StreamListener {
  readonly #call: StreamCall;
  readonly #options: WatchCallOptions;
  readonly #stream: WatchStream;
  readonly #fragmentBytes: number;
  #ended = false;
  /** The transport said that the caller does not keep up, and has not drained since. */
  #blocked = false;
  /** Messages queued since then. */
  #queuedMessages = 0;
  #paused = false;

  constructor(call: StreamCall, options: WatchCallOptions) {
    this.#call = call;
    this.#options = options;
    this.#stream = options.hub.openStream(this);
    this.#fragmentBytes = options.member.limits.maxRequestBytes + limits.grpcOverheadBytes;
    call.onCancel(() => this.end(statusOfCode('WATCH_CANCELED')));
  }

  onMessage(message: Uint8Array): void {
    if (this.#ended) return;
    let request: ReturnType<typeof decodeWatchRequest>;
    try {
      request = decodeWatchRequest(message);
    } catch (error) {
      this.end(statusOfError(error as Error));
      return;
    }
    switch (request.kind) {
      case 'create':
        this.#create(request);
        break;
      case 'cancel':
        if (this.#stream.cancel(request.watchId)) {
          this.#answer({ watchId: request.watchId, canceled: true, revision: this.#revision });
        }
        break;
      case 'progress':
        this.#stream.requestProgress();
        break;
      case 'none':
        break;
    }
    if (this.isFull() && !this.#paused) {
      this.#paused = true;
      this.#call.pause();
    }
  }

  /** A caller may end its side and go on listening. */
  onHalfClose(): void {}

  isFull(): boolean {
    return (
      this.#blocked &&
      (this.#queuedMessages >= MAX_QUEUED_MESSAGES || this.#call.queuedBytes >= MAX_QUEUED_BYTES)
    );
  }

  onEvents(watch: Watch, group: EventGroup, headerRevision: number): void {
    const { header } = this.#options;
    try {
      if (watch.fragment) {
        const parts = encodeFragments(header, watch.id, headerRevision, group, this.#fragmentBytes);
        for (const part of parts) this.#write(part);
      } else {
        this.#write(encodeEventsResponse(header, watch.id, headerRevision, group));
      }
    } catch (error) {
      this.end(statusOfError(error as Error));
    }
  }

  onProgress(watch: Watch | null, revision: number): void {
    this.#answer({ watchId: watch === null ? NO_WATCH_ID : watch.id, revision });
  }

  /** Header revision 0 and no reason: how etcd ends a compacted watch (sem-111). */
  onCompacted(watch: Watch, compactRevision: number): void {
    this.#answer({ watchId: watch.id, canceled: true, compactRevision, revision: 0 });
  }

  /** Ends the call and its watches. */
  end({ status, message }: WireStatus): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream.close();
    if (status === Status.OK) this.#call.end();
    else this.#call.end(status, message);
    this.#options.onEnd(this);
  }

  get #revision(): number {
    return this.#options.member.store.revision;
  }

  #create(request: WatchCreate): void {
    const key = request.key.length === 0 ? FIRST_KEY : request.key;
    const refusal = this.#options.permission(this.#call, key, request.rangeEnd);
    if (refusal !== null) {
      this.#refuse(watchCancelReasons[refusal]);
      return;
    }
    const watch = this.#stream.create({
      id: request.watchId,
      key,
      end: request.rangeEnd.length === 0 ? null : request.rangeEnd,
      startRevision: request.startRevision,
      withoutPuts: request.withoutPuts,
      withoutDeletes: request.withoutDeletes,
      withPrevious: request.prevKv,
      progressNotify: request.progressNotify,
      fragment: request.fragment,
    });
    if (watch instanceof Watch) {
      this.#answer({ watchId: watch.id, created: true, revision: this.#revision });
    } else {
      this.#refuse(REFUSAL_REASONS[watch]);
    }
  }

  /** One message that opens and ends (sem-106). */
  #refuse(cancelReason: string): void {
    const revision = this.#revision;
    this.#answer({ watchId: NO_WATCH_ID, created: true, canceled: true, cancelReason, revision });
  }

  #answer(response: ControlResponse): void {
    this.#write(encodeControl(this.#options.header, response));
  }

  #write(message: Uint8Array): void {
    const kept = this.#call.write(message);
    if (this.#blocked) {
      this.#queuedMessages += 1;
    } else if (!kept) {
      this.#blocked = true;
      this.#queuedMessages = 1;
      this.#call.onDrain(() => this.#drained());
    }
  }

  #drained(): void {
    this.#blocked = false;
    if (this.#ended) return;
    if (this.#paused) {
      this.#paused = false;
      this.#call.resume();
    }
    this.#stream.resume();
  }
}
