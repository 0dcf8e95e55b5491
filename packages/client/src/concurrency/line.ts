/**
 * The queue behind locks and elections: keys `name/LEASE` in order of creation; whoever has the oldest is at the head.
 *
 * The layout is that of etcd's client library, so holders of either kind wait for each other. Each caller watches only the
 * key created just before its own.
 */
import { errorFacts } from '@quorate/proto';
import { type Bytes, toBytes } from '../bytes.ts';
import type { Client } from '../connect.ts';
import { ClientError, localError } from '../errors.ts';
import { prefix } from '../range.ts';
import type { KeyValue } from '../response.ts';
import { type Comparison, compare, op } from '../txn.ts';
import type { LeaseSession } from './lease-session.ts';

/** A key in the queue, and which life of that key. */
export class Place {
  readonly session: LeaseSession;
  readonly key: Uint8Array;
  /** Revision at which the key was created: greater for every later holder, and so a fencing token. */
  readonly revision: number;

  constructor(session: LeaseSession, key: Uint8Array, revision: number) {
    this.session = session;
    this.key = key;
    this.revision = revision;
  }

  /** Holds while this place does: put it in front of every write that the place is meant to protect. */
  get guard(): Comparison {
    return compare.createRevision(this.key, '=', this.revision);
  }

  /** Takes the key away, unless it is another one by now. @returns whether it was still there */
  async leave(): Promise<boolean> {
    const { kv } = this.session.client;
    return (await kv.txn().if(this.guard).do(op.delete(this.key)).commit()).succeeded;
  }
}

/** `name/` and the lease in hexadecimal without padding. */
export function lineKey(name: Bytes, leaseId: bigint): Uint8Array {
  return Uint8Array.from(Buffer.concat([linePrefix(name), toBytes(leaseId.toString(16))]));
}

/** What all keys of the queue begin with. */
export function linePrefix(name: Bytes): Uint8Array {
  return Uint8Array.from(Buffer.concat([toBytes(name), toBytes('/')]));
}

/**
 * Enters the queue; the key may be there from before. The signal does not cut this call short: were the key written after all,
 * nobody would know of it. `waitForHead` heeds it, and takes the key away again.
 * @returns the place, and the record that was there already
 */
export async function enter(
  session: LeaseSession,
  name: Bytes,
  value: Bytes,
  signal?: AbortSignal,
): Promise<{ place: Place; found: KeyValue | null }> {
  if (signal?.aborted) throw localError('CANCELLED', 'the call was cancelled', signal.reason);
  const key = lineKey(name, session.leaseId);
  const { succeeded, header, responses } = await session.client.kv
    .txn()
    .if(compare.createRevision(key, '=', 0))
    .do(op.put(key, value, { lease: session.leaseId }))
    .else(op.get(key))
    .commit();
  if (succeeded) return { place: new Place(session, key, header.revision), found: null };
  const [response] = responses;
  const found = response?.kind === 'range' ? (response.kvs[0] ?? null) : null;
  if (found === null) throw localError('BAD_RESPONSE', 'a key that exists was not found');
  return { place: new Place(session, key, found.createRevision), found };
}

/** Who stood right before `place`, null when nobody did, as of `revision`. */
export async function ahead(
  client: Client,
  name: Bytes,
  place: Place,
  signal?: AbortSignal,
): Promise<{ readonly kv: KeyValue | null; readonly revision: number }> {
  const { header, kvs } = await client.kv.range(prefix(linePrefix(name)), {
    limit: 1,
    sortBy: 'create',
    order: 'descend',
    maxCreateRevision: place.revision - 1,
    ...(signal && { signal }),
  });
  return { kv: kvs[0] ?? null, revision: header.revision };
}

/**
 * Waits for the head of the queue. Whatever ends the wait before, the place is given up.
 * @throws ClientError SESSION_EXPIRED when the own key went meanwhile; CANCELLED at the signal
 */
export async function waitForHead(name: Bytes, place: Place, signal?: AbortSignal): Promise<void> {
  const { session } = place;
  const both = signal === undefined ? session.signal : AbortSignal.any([session.signal, signal]);
  try {
    for (;;) {
      const before = await ahead(session.client, name, place, both);
      if (before.kv === null) break;
      await gone(session.client, before.kv.key, before.revision, both);
    }
    // The lease may have ended while this waited: only a key that is still there holds anything.
    const own = await session.client.kv.get(place.key, { signal: both });
    if (own?.createRevision !== place.revision) throw sessionExpired();
  } catch (error) {
    await place.leave().catch(() => {});
    if (session.loss !== null) throw sessionExpired(session.loss);
    throw error;
  }
}

/** The error of a place whose lease ended. */
export function sessionExpired(cause?: unknown): ClientError {
  return new ClientError('SESSION_EXPIRED', errorFacts.SESSION_EXPIRED.message, { status: 'UNKNOWN', cause });
}

/** Until the key is gone, which was there at `revision`. Not from when it was written: that may be compacted by now. */
async function gone(client: Client, key: Uint8Array, revision: number, signal: AbortSignal): Promise<void> {
  await using watch = client.watch(key, { startRevision: revision + 1, without: 'puts', signal });
  for await (const batch of watch) if (batch.events.length > 0) return;
}
