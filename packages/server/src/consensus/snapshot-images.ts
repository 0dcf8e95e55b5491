/**
 * Snapshots on their way out: open images of the store for followers that are too far behind for the log.
 *
 * Raft asks for a snapshot synchronously (`Storage.snapshot`), opening an image takes time. So the first question is
 * answered "not now" and opens one; once it is there raft asks again and gets its place in the log. An image serves one
 * follower, since its content is pulled once:
 *
 *     raft asks --> opening --> ready --raft asks--> taken --message leaves--> being sent --closed--> gone
 *                                 '--nobody asks for a while--> gone
 *
 * At most `MAX_OPEN` exist at a time: an open image keeps compactions from removing what it covers. What is being sent,
 * and what was sent and is not installed yet, also holds the log: entries after it are what the follower needs next.
 *
 * A follower gets one at a time. Raft may want another while one is on its way: it gives up a follower that is silent, and
 * one that is held still, or installs, is silent. A second transfer would cost the first its place, and the failure of the
 * first would be taken for that of the second: snapshots would end each other for ever. So the second is not sent, and what
 * becomes of the first answers for both: delivered, raft probes and finds how far the follower is; failed, it asks again.
 */
import type { ImageSource, Store } from '@quorate/mvcc';
import {
  type ConfState,
  type NodeId,
  type ProgressStatus,
  type Snapshot,
  StorageUnavailableError,
} from '@quorate/raft';
import type { Env } from '../env.ts';
import type { SnapshotContent } from '../network.ts';

const MAX_OPEN = 2;
/** An image nobody asked for again is closed. */
const UNUSED_MS = 5_000;
/** How long after its arrival a snapshot may take to be installed and answered before the log stops waiting for it. */
const INSTALL_PATIENCE_MS = 30_000;
/** Failing to open one is seldom over at once. */
const RETRY_MS = 1_000;

interface OpenImage {
  readonly source: ImageSource;
  readonly snapshot: Snapshot;
  readonly sinceMs: number;
}

/** A snapshot that a follower is getting or has got. */
interface Delivery {
  readonly index: number;
  /** When its transfer ended; null while it lasts. */
  arrivedMs: number | null;
}

export class SnapshotImages {
  readonly #store: Pick<Store, 'openImageSource'>;
  readonly #env: Env;
  readonly #confAt: (index: number) => ConfState | null;
  #onReady: () => void = () => {};
  #opening = false;
  #openCount = 0;
  #ready: OpenImage | null = null;
  /** Handed to raft, and not yet part of a message; by number. */
  readonly #taken = new Map<number, OpenImage>();
  readonly #deliveries = new Map<NodeId, Delivery>();
  /** Followers whose transfer has not been reported on. */
  readonly #underWay = new Set<NodeId>();
  #number = 0;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  /** @param confAt raft's configuration as of an applied index; null when it is no longer known */
  constructor(store: Pick<Store, 'openImageSource'>, env: Env, confAt: (index: number) => ConfState | null) {
    this.#store = store;
    this.#env = env;
    this.#confAt = confAt;
  }

  /** An image became ready: raft should ask again. */
  onReady(listener: () => void): void {
    this.#onReady = listener;
  }

  /**
   * For `Storage.snapshot`.
   * @param logBegin index before the first the log holds: an older image would leave a gap
   * @throws StorageUnavailableError until an image is open
   */
  take(logBegin: number): Snapshot {
    const ready = this.#ready;
    if (ready !== null) {
      this.#ready = null;
      if (ready.snapshot.meta.index >= logBegin) {
        this.#taken.set(numberOf(ready.snapshot), ready);
        return ready.snapshot;
      }
      this.#release(ready);
    }
    this.#maybeOpen();
    throw new StorageUnavailableError('an image of the store is being opened');
  }

  /** Whether a transfer to this follower is under way: no other may begin. */
  isSending(to: NodeId): boolean {
    return this.#underWay.has(to);
  }

  /** The content of a snapshot that raft sends now to `to`; null when it is not one of ours. */
  send(snapshot: Snapshot, to: NodeId): SnapshotContent | null {
    const number = numberOf(snapshot);
    const image = this.#taken.get(number);
    if (image === undefined) return null;
    this.#taken.delete(number);
    this.#underWay.add(to);
    this.#deliveries.set(to, { index: snapshot.meta.index, arrivedMs: null });
    let open = true;
    return {
      next: (done) => image.source.next(done),
      close: () => {
        if (!open) return;
        open = false;
        this.#release(image);
      },
    };
  }

  /** End of a turn: what raft took and did not send goes back. */
  turned(): void {
    for (const [number, image] of this.#taken) {
      this.#taken.delete(number);
      if (this.#ready === null) this.#ready = image;
      else this.#release(image);
    }
  }

  /** The transfer to `to` ended; the network says so once for each. */
  reported(to: NodeId, outcome: 'delivered' | 'failed'): void {
    this.#underWay.delete(to);
    const delivery = this.#deliveries.get(to);
    if (delivery === undefined) return;
    if (outcome === 'failed') this.#deliveries.delete(to);
    else delivery.arrivedMs = this.#env.monotonicMs();
  }

  /** Once a tick. @param progress of the followers while this member leads, else empty */
  tick(nowMs: number, progress: readonly ProgressStatus[]): void {
    if (this.#ready !== null && nowMs - this.#ready.sinceMs > UNUSED_MS) {
      this.#release(this.#ready);
      this.#ready = null;
    }
    for (const [to, { index, arrivedMs }] of this.#deliveries) {
      const follower = progress.find(({ id }) => id === to);
      const installed = follower === undefined || follower.match >= index;
      const late = arrivedMs !== null && nowMs - arrivedMs > INSTALL_PATIENCE_MS;
      if (installed || late) this.#deliveries.delete(to);
    }
  }

  /** Entries after this index are needed by followers that get snapshots; `Infinity` when there are none. */
  get heldIndex(): number {
    let held = Number.POSITIVE_INFINITY;
    for (const { index } of this.#deliveries.values()) held = Math.min(held, index);
    return held;
  }

  close(): void {
    this.#closed = true;
    if (this.#ready !== null) this.#release(this.#ready);
    for (const image of this.#taken.values()) this.#release(image);
    this.#ready = null;
    this.#taken.clear();
  }

  #maybeOpen(): void {
    const nowMs = this.#env.monotonicMs();
    if (this.#opening || this.#closed || this.#openCount >= MAX_OPEN || nowMs < this.#notBeforeMs) return;
    this.#opening = true;
    this.#openCount++;
    this.#store.openImageSource((error, source) => {
      this.#opening = false;
      const conf = source === null ? null : this.#confAt(source.info.appliedIndex);
      if (source === null || conf === null || this.#closed) {
        this.#openCount--;
        source?.close();
        this.#notBeforeMs = this.#env.monotonicMs() + RETRY_MS;
        if (!this.#closed) this.#env.log.log('warn', 'no image of the store for a follower', { error });
        return;
      }
      const { appliedIndex, appliedTerm } = source.info;
      const data = Buffer.alloc(4);
      data.writeUInt32LE(++this.#number % 2 ** 32);
      const snapshot = { meta: { index: appliedIndex, term: appliedTerm, conf }, data };
      this.#ready = { source, snapshot, sinceMs: this.#env.monotonicMs() };
      this.#onReady();
    });
  }

  #release(image: OpenImage): void {
    this.#openCount--;
    image.source.close();
  }
}

/** What ties raft's snapshot to its image; of no meaning to the receiver. */
function numberOf(snapshot: Snapshot): number {
  return Buffer.from(snapshot.data).readUInt32LE(0);
}
