/**
 * What goes to a peer and comes from it, counted where it happens.
 *
 *     sent        what this member wrote on streams and calls that it opened, framing included
 *     received    what the peer wrote on those that it opened: the peer's `sent`, when nothing was lost
 *
 * Round trips are those of pings on the connection of votes and heartbeats: what elections depend on.
 */
import { exponentialBuckets, Histogram } from '../histogram.ts';

export class PeerTraffic {
  sentBytes = 0;
  receivedBytes = 0;
  /** Messages that were dropped, and snapshots that failed. */
  sentFailures = 0;
  /** Streams of the peer that were broken, and snapshots that failed. */
  receivedFailures = 0;
  /** Connections of votes and heartbeats that were lost. */
  disconnects = 0;
  /** Seconds; etcd's buckets, as for all histograms here. */
  readonly roundTrips = new Histogram(exponentialBuckets(0.0001, 2, 16));
  readonly snapshotsSent = new Transfers();
  readonly snapshotsReceived = new Transfers();
}

/** Snapshots in one direction. */
export class Transfers {
  underWay = 0;
  succeeded = 0;
  failed = 0;
  readonly seconds = new Histogram(exponentialBuckets(0.1, 2, 10));

  /** @returns what to call when it has ended; only the first call counts */
  begin(nowMs: number): (succeeded: boolean, endMs: number) => void {
    this.underWay++;
    let ended = false;
    return (succeeded, endMs) => {
      if (ended) return;
      ended = true;
      this.underWay--;
      if (succeeded) {
        this.succeeded++;
        this.seconds.observe((endMs - nowMs) / 1_000);
      } else this.failed++;
    };
  }
}
