/**
 * A lock across programs and machines.
 *
 *     await using session = await openLeaseSession(client, { ttlSec: 10 });
 *     const held = await lock(session, 'reports');
 *     try {
 *       await client.kv.txn().if(held.guard).do(op.put('report', text)).commit();
 *     } finally {
 *       await held.unlock();
 *     }
 *
 * No lock service can stop a program that slept through the end of its lease from believing that it holds the lock. So
 * writes are to be guarded, as above: the store then refuses those of the past. For other systems `held.revision` is a fencing
 * token: it is greater for every later holder.
 */
import type { Bytes } from '../bytes.ts';
import type { LeaseSession } from './lease-session.ts';
import { ahead, enter, Place, sessionExpired, waitForHead } from './line.ts';

export class HeldLock extends Place implements AsyncDisposable {
  /** @returns whether it was still held */
  unlock(): Promise<boolean> {
    return this.leave();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave().catch(() => {});
  }
}

/** Waits for the lock; a second lock of the same name and session is the same lock. */
export async function lock(
  session: LeaseSession,
  name: Bytes,
  options: { readonly signal?: AbortSignal } = {},
): Promise<HeldLock> {
  const { place } = await enter(session, name, '', options.signal);
  await waitForHead(name, place, options.signal);
  return new HeldLock(session, place.key, place.revision);
}

/** Takes the lock if it is free now; null if somebody else has it. */
export async function tryLock(session: LeaseSession, name: Bytes): Promise<HeldLock | null> {
  const { place } = await enter(session, name, '');
  if ((await ahead(session.client, name, place)).kv === null) {
    const own = await session.client.kv.get(place.key);
    if (own?.createRevision === place.revision) return new HeldLock(session, place.key, place.revision);
    throw sessionExpired();
  }
  await place.leave();
  return null;
}
