/**
 * Leader election: of all who campaign under one name one leads, and the others wait until it resigns or is lost. What a
 * leader proclaims is for everybody to read.
 */
import { errorFacts } from '@quorate/proto';
import type { Bytes } from '../bytes.ts';
import type { Client } from '../connect.ts';
import { ClientError } from '../errors.ts';
import { prefix } from '../range.ts';
import type { KeyValue } from '../response.ts';
import { op } from '../txn.ts';
import type { LeaseSession } from './lease-session.ts';
import { enter, linePrefix, Place, waitForHead } from './line.ts';

export class Leadership extends Place implements AsyncDisposable {
  /** Changes what is proclaimed. @throws ClientError ELECTION_NOT_LEADER when it is not leader any more */
  async proclaim(value: Bytes): Promise<void> {
    const { session, key } = this;
    const put = op.put(key, value, { lease: session.leaseId });
    const { succeeded } = await session.client.kv.txn().if(this.guard).do(put).commit();
    if (succeeded) return;
    const { message } = errorFacts.ELECTION_NOT_LEADER;
    throw new ClientError('ELECTION_NOT_LEADER', message, { status: 'UNKNOWN' });
  }

  /** Lets the next one lead. @returns whether it still led */
  resign(): Promise<boolean> {
    return this.leave();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave().catch(() => {});
  }
}

/** Waits until this session leads. */
export async function campaign(
  session: LeaseSession,
  name: Bytes,
  value: Bytes,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Leadership> {
  const { place, found } = await enter(session, name, value, options.signal);
  const leadership = new Leadership(session, place.key, place.revision);
  if (found !== null) await leadership.proclaim(value);
  await waitForHead(name, place, options.signal);
  return leadership;
}

/** Who leads now, and what it proclaims; null when nobody does. */
export async function leader(
  client: Client,
  name: Bytes,
  options: { readonly signal?: AbortSignal } = {},
): Promise<KeyValue | null> {
  return (await first(client, name, options.signal)).kv;
}

async function first(
  client: Client,
  name: Bytes,
  signal: AbortSignal | undefined,
): Promise<{ kv: KeyValue | null; revision: number }> {
  const { kvs, header } = await client.kv.range(prefix(linePrefix(name)), {
    limit: 1,
    sortBy: 'create',
    order: 'ascend',
    ...(signal && { signal }),
  });
  return { kv: kvs[0] ?? null, revision: header.revision };
}

/** The leader, everything it proclaims, and every leader after it, until the signal or the end of the loop. */
export async function* observe(
  client: Client,
  name: Bytes,
  options: { readonly signal?: AbortSignal } = {},
): AsyncGenerator<KeyValue, void, void> {
  const { signal } = options;
  const watching = signal === undefined ? {} : { signal };
  for (;;) {
    const { kv, revision } = await first(client, name, signal);
    if (kv === null) {
      await using vacancy = client.watch(prefix(linePrefix(name)), {
        startRevision: revision + 1,
        without: 'deletes',
        ...watching,
      });
      for await (const batch of vacancy) if (batch.events.length > 0) break;
      continue;
    }
    yield kv;
    await using watch = client.watch(kv.key, { startRevision: revision + 1, ...watching });
    follow: for await (const batch of watch) {
      for (const event of batch.events) {
        if (event.type === 'delete') break follow;
        yield event.kv;
      }
    }
    if (signal?.aborted) return;
  }
}
