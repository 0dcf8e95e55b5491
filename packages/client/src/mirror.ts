/**
 * A mirror: every key under a prefix, first as it is and then as it changes, written to another cluster.
 *
 *     for await (const step of mirror(source, destination, { prefix: 'app/' })) console.log(step.revision, step.keys);
 *
 * The copy begins with all keys as of one revision, page by page, and goes on with the changes after it; changes of one revision
 * are written in one transaction as long as they fit `maxTxnOps`. Leases are not copied: keys of an ended lease go as the
 * source deletes them. Keys that only the destination has are left alone.
 *
 * A mirror that stopped goes on where it was with `revision: last.revision + 1`; what was compacted meanwhile ends it with
 * COMPACTED, and it must begin anew.
 */
import { toBytes } from './bytes.ts';
import type { Client } from './connect.ts';
import { allKeys, prefix as withPrefix } from './range.ts';
import { type Op, op } from './txn.ts';

export interface MirrorOptions {
  /** Keys that are copied; all when empty. */
  readonly prefix?: string | Uint8Array;
  /** Takes the place of `prefix` in the destination's keys; `''` cuts it off. The same when absent. */
  readonly destinationPrefix?: string | Uint8Array;
  /** Leave the first copy out, and begin with the changes of this revision. */
  readonly revision?: number;
  /** Changes in one transaction, at most. */
  readonly maxTxnOps?: number;
  readonly signal?: AbortSignal;
}

export interface MirrorStep {
  /** Of the source: everything up to here is written. 0 until the first copy is complete. */
  readonly revision: number;
  /** Keys written or deleted in this step. */
  readonly keys: number;
}

const DEFAULT_TXN_OPS = 128;
/** A request may hold 1.5 MiB; a page of large values is written in several. */
const MAX_TXN_BYTES = 1024 * 1024;

/** Runs for as long as it is read: a step is written before it is told. */
export async function* mirror(
  source: Client,
  destination: Client,
  options: MirrorOptions = {},
): AsyncGenerator<MirrorStep, void, void> {
  const { signal, maxTxnOps = DEFAULT_TXN_OPS } = options;
  const from = toBytes(options.prefix ?? '');
  const to = options.destinationPrefix === undefined ? from : toBytes(options.destinationPrefix);
  const selector = from.length === 0 ? allKeys() : withPrefix(from);
  const rename = (key: Uint8Array): Uint8Array =>
    Uint8Array.from(Buffer.concat([to, key.subarray(from.length)]));
  const write = (ops: readonly Op[]) =>
    destination.kv
      .txn()
      .do(...ops)
      .commit(signal === undefined ? {} : { signal });
  const call = signal === undefined ? {} : { signal };

  let next = options.revision ?? 0;
  if (next <= 0) {
    const { header } = await source.kv.range(selector, { limit: 1, keysOnly: true, ...call });
    const batch = new Batch(maxTxnOps);
    for await (const kv of source.kv.scan(selector, { revision: header.revision, ...call })) {
      const target = rename(kv.key);
      const bytes = target.length + kv.value.length;
      if (!batch.fits(bytes)) {
        yield await flush(batch, 0, write);
      }
      batch.add(op.put(target, kv.value), bytes);
    }
    yield await flush(batch, header.revision, write);
    next = header.revision + 1;
  }
  await using watch = source.watch(selector, { startRevision: next, ...call });
  for await (const { events } of watch) {
    let revision = 0;
    const batch = new Batch(maxTxnOps);
    const written = new Set<string>();
    for (const { type, kv } of events) {
      const name = Buffer.from(kv.key).toString('latin1');
      const target = rename(kv.key);
      const bytes = target.length + kv.value.length;
      // A revision is one transaction where it can be. One key cannot be written twice in one.
      const full = !batch.fits(bytes) || written.has(name);
      if (batch.size > 0 && (kv.modRevision !== revision || full)) {
        // Of a revision that is written in parts only the last one completes it.
        yield await flush(batch, kv.modRevision === revision ? revision - 1 : revision, write);
        written.clear();
      }
      revision = kv.modRevision;
      written.add(name);
      batch.add(type === 'put' ? op.put(target, kv.value) : op.delete(target), bytes);
    }
    if (batch.size > 0) yield await flush(batch, revision, write);
  }
}

async function flush(
  batch: Batch,
  revision: number,
  write: (ops: readonly Op[]) => Promise<unknown>,
): Promise<MirrorStep> {
  const ops = batch.take();
  if (ops.length > 0) await write(ops);
  return { revision, keys: ops.length };
}

class Batch {
  readonly #maxOps: number;
  #ops: Op[] = [];
  #bytes = 0;

  constructor(maxOps: number) {
    this.#maxOps = Math.max(1, maxOps);
  }

  get size(): number {
    return this.#ops.length;
  }

  fits(bytes: number): boolean {
    return this.size === 0 || (this.size < this.#maxOps && this.#bytes + bytes <= MAX_TXN_BYTES);
  }

  add(change: Op, bytes: number): void {
    this.#ops.push(change);
    this.#bytes += bytes;
  }

  take(): Op[] {
    const ops = this.#ops;
    this.#ops = [];
    this.#bytes = 0;
    return ops;
  }
}
