/**
 * Snapshots on their way in: content first, message after.
 *
 * A snapshot message means "forget your log, here is the state". It may only reach the core when the state is really
 * here, whole and checked; so its content goes into an image sink first, which disturbs nothing, and a transfer that
 * breaks off leaves nothing behind.
 *
 * One transfer at a time. What is under way goes on and others are refused, or several could end each other for ever. Only a
 * leader of a later term takes the place of an earlier one, whose message raft would refuse once it is whole; and from the
 * last chunk on not even that one, since what is left takes a short while.
 *
 * Read next: `driver.ts` `deliverSnapshot`, which takes over from here.
 */
import type { ImageSink, Store } from '@quorate/mvcc';
import { decodeMessage, type Message, MessageType, ProtocolError, type Snapshot } from '@quorate/raft';
import type { Logger } from '../env.ts';
import type { SnapshotContent } from '../network.ts';

/** A snapshot message with its finished image. */
export interface ReceivedSnapshot {
  readonly message: Message;
  readonly snapshot: Snapshot;
  readonly sink: ImageSink;
}

export interface SnapshotReceiverHost {
  /** Whether a snapshot up to `index`, sent in `term`, could be news. */
  wants(index: number, term: number): boolean;
  /** A message whose content is not needed. */
  step(message: Message): void;
  /** Content and message are here. @param done null once it is installed or found unneeded */
  deliver(received: ReceivedSnapshot, done: (error: Error | null) => void): void;
}

type Done = (error: Error | null) => void;

interface Transfer {
  /** Of the leader that sent it. */
  readonly term: number;
  readonly content: SnapshotContent;
  readonly sink: ImageSink;
  readonly report: Done;
  /** All content is here. */
  whole: boolean;
  /** Nothing that still comes back from content or sink counts. */
  over: boolean;
}

export class SnapshotReceiver {
  readonly #store: Pick<Store, 'receiveImage'>;
  readonly #log: Logger;
  readonly #host: SnapshotReceiverHost;
  #transfer: Transfer | null = null;
  /** A received one is being installed. */
  #installing = false;
  #closed = false;

  constructor(store: Pick<Store, 'receiveImage'>, log: Logger, host: SnapshotReceiverHost) {
    this.#store = store;
    this.#log = log;
    this.#host = host;
  }

  receive(from: bigint, bytes: Uint8Array, content: SnapshotContent, done: Done): void {
    const refuse = (error: Error | null): void => {
      content.close();
      done(error);
    };
    if (this.#closed) {
      refuse(new Error('the member is stopping'));
      return;
    }
    let message: Message;
    try {
      message = decodeMessage(bytes);
      if (message.from !== from) throw new ProtocolError('message names another sender');
    } catch (error) {
      refuse(error as Error);
      return;
    }
    const { snapshot } = message;
    if (message.type !== MessageType.snapshot || snapshot === null) {
      refuse(new ProtocolError('a snapshot stream without a snapshot message'));
      return;
    }
    if (!this.#host.wants(snapshot.meta.index, message.term)) {
      content.close();
      this.#host.step(message);
      done(null);
      return;
    }
    if (this.#installing) {
      refuse(new Error('another snapshot is being installed'));
      return;
    }
    if (this.#transfer !== null) {
      if (this.#transfer.whole || message.term <= this.#transfer.term) {
        refuse(new Error('another snapshot is being received'));
        return;
      }
      this.#break(this.#transfer, new Error('a newer leader sends another'));
    }
    const { index, term } = snapshot.meta;
    this.#log.log('info', 'receiving a snapshot', { from: from.toString(16), index, term });
    this.#begin({ message, snapshot }, content, done);
  }

  close(): void {
    this.#closed = true;
    if (this.#transfer !== null) this.#break(this.#transfer, new Error('the member is stopping'));
  }

  #begin(arriving: { message: Message; snapshot: Snapshot }, content: SnapshotContent, report: Done): void {
    const sink = this.#store.receiveImage();
    const { term } = arriving.message;
    const transfer: Transfer = { term, content, sink, report, whole: false, over: false };
    this.#transfer = transfer;
    this.#pull(transfer, () => this.#finish(transfer, arriving));
  }

  #break(transfer: Transfer, error: Error): void {
    transfer.over = true;
    this.#transfer = null;
    transfer.content.close();
    transfer.sink.abort();
    this.#log.log('warn', 'a snapshot was not taken in', { error });
    transfer.report(error);
  }

  /** Chunk after chunk; callbacks that come at once do not deepen the stack. */
  #pull(transfer: Transfer, atEnd: () => void): void {
    const { content, sink } = transfer;
    let running = false;
    let again = false;
    const next = (): void => {
      again = true;
      if (running) return;
      running = true;
      while (again && !transfer.over) {
        again = false;
        content.next((error, chunk) => {
          if (transfer.over) return;
          if (error !== null) this.#break(transfer, error);
          else if (chunk === null) atEnd();
          else {
            sink.write(chunk, (failure) => {
              if (transfer.over) return;
              if (failure !== null) this.#break(transfer, failure);
              else next();
            });
          }
        });
      }
      running = false;
    };
    next();
  }

  #finish(transfer: Transfer, { message, snapshot }: { message: Message; snapshot: Snapshot }): void {
    const { sink, content, report } = transfer;
    transfer.whole = true;
    sink.finish((error, info) => {
      if (transfer.over) return;
      if (error !== null || info === null) {
        this.#break(transfer, error ?? new Error('the image has no end'));
        return;
      }
      const { index, term } = snapshot.meta;
      if (info.appliedIndex !== index || info.appliedTerm !== term) {
        this.#break(transfer, new ProtocolError('the image is not the one its message names'));
        return;
      }
      transfer.over = true;
      this.#transfer = null;
      this.#installing = true;
      content.close();
      this.#host.deliver({ message, snapshot, sink }, (failure) => {
        this.#installing = false;
        report(failure);
      });
    });
  }
}
