/**
 * An API server's day on a Kubernetes-shaped keyspace, with the power cord pulled in the middle.
 *
 *     node src/main.ts [--objects 100000] [--updates 20000]
 *
 * Loads the objects, lists them in pages at one revision, updates and deletes them in transactions guarded by their
 * mod_revision while watches run from the first revision, keeps node leases alive, compacts now and then; kills the
 * server with SIGKILL under load, starts it again, goes on, and at the end compares every object and every event with
 * what had been acknowledged.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { between, type Client, ClientError, compare, connect, op, prefix } from '@quorate/client';
import { Ledger } from './ledger.ts';
import { generationOf, numbers, objectId, objectValue, resources } from './objects.ts';
import { freePort, ServerProcess } from './server.ts';

const { values } = parseArgs({
  options: { objects: { type: 'string', default: '100000' }, updates: { type: 'string', default: '20000' } },
});
const OBJECTS = Number(values.objects);
const UPDATES = Number(values.updates);
const WORKERS = 64;
const PAGE = 500;
const COMPACT_EVERY = 5_000;

const say = (text: string) => console.log(text);
const seconds = (from: number) => `${((performance.now() - from) / 1000).toFixed(1)} s`;
const random = numbers(2026);

/** Generation and mod_revision of every live object, as acknowledged. */
const live = new Map<number, { generation: number; revision: number }>();
const idOfKey = (key: string) => objectId(Number(key.slice(-7)), OBJECTS);

const dataDir = mkdtempSync(join(tmpdir(), 'kubernetes-registry-'));
const server = new ServerProcess(await freePort(), dataDir);
await server.start();
const client = connect(server.endpoint);
const ledger = new Ledger();
let compacted = 0;
const first = await client.kv.range(prefix('/registry/'), { limit: 1 });
const watching = startWatches(client, first.header.revision + 1);
try {
  await load();
  await listInPages();
  await update('before the kill', UPDATES / 2);
  await killUnderLoad();
  await update('after the restart', UPDATES / 2);
  await verify();
} finally {
  await client.close();
  await server.kill();
  rmSync(dataDir, { recursive: true, force: true });
}

async function load(): Promise<void> {
  const begun = performance.now();
  let bytes = 0;
  let next = 0;
  await inParallel(async () => {
    while (next < OBJECTS) {
      const id = objectId(next++, OBJECTS);
      const value = objectValue(id, 1);
      bytes += value.length;
      // An API server creates an object only where there is none.
      const result = await client.kv
        .txn()
        .if(compare.modRevision(id.key, '=', 0))
        .do(op.put(id.key, value))
        .commit();
      if (!result.succeeded) throw new Error(`${id.key} exists already`);
      note(id.key, 1, result.header.revision);
    }
  });
  say(`loaded ${OBJECTS} objects, ${(bytes / 1e6).toFixed(0)} MB, in ${seconds(begun)}`);
}

/** Lists every resource in pages at the revision of the first page. */
async function listInPages(): Promise<void> {
  const begun = performance.now();
  let listed = 0;
  let pages = 0;
  for (const resource of resources) {
    const start = `/registry/${resource}/`;
    const end = `/registry/${resource}0`;
    let from = start;
    let revision = 0;
    let remaining = -1;
    for (;;) {
      const page = await client.kv.range(between(from, end), { limit: PAGE, revision });
      revision ||= page.header.revision;
      if (remaining >= 0 && page.count !== remaining) {
        throw new Error(`count ${page.count} after a page that left ${remaining}`);
      }
      remaining = page.count - page.kvs.length;
      listed += page.kvs.length;
      pages++;
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) break;
      from = `${last.name}\0`;
    }
    if (remaining !== 0) throw new Error(`the list of ${resource} ended ${remaining} objects early`);
  }
  if (listed !== live.size) throw new Error(`listed ${listed} of ${live.size} objects`);
  say(`listed them in ${pages} pages at fixed revisions in ${seconds(begun)}`);
}

/** Guarded updates and deletions by many workers; a lost race is read again and retried, as API servers do. */
async function update(when: string, count: number): Promise<void> {
  const begun = performance.now();
  const lease = await client.lease.grant(60);
  const keepAlive = client.lease.keepAlive(lease.id);
  let done = 0;
  let deleted = 0;
  let compactions = 0;
  await inParallel(async (worker) => {
    while (done < count) {
      const number = ++done;
      await updateOne(worker);
      if (number % 10 === 0 && (await deleteOne(worker))) deleted++;
      if (number % 200 === 0)
        await client.kv.put(`/registry/leases/node-${worker}`, String(number), { lease: lease.id });
      if (number % COMPACT_EVERY === 0) {
        // What API servers do every five minutes: old versions go, and what watches have not seen yet stays.
        const seen = watching.reached();
        if (seen > compacted) {
          compacted = seen;
          await client.kv.compact(seen);
          compactions++;
        }
      }
    }
  });
  keepAlive.stop();
  await client.lease.revoke(lease.id);
  say(
    `${when}: ${done} guarded updates, ${deleted} deletions, ${compactions} compactions in ${seconds(begun)}`,
  );
}

/** Workers own disjoint objects, so that the ledger knows each one's history. */
function pick(worker: number): number | undefined {
  for (let attempt = 0; attempt < 50; attempt++) {
    const number = Math.floor((random() * OBJECTS) / WORKERS) * WORKERS + worker;
    if (live.has(number)) return number;
  }
  return undefined;
}

async function updateOne(worker: number): Promise<void> {
  const number = pick(worker);
  const known = number === undefined ? undefined : live.get(number);
  if (number === undefined || known === undefined) return;
  const id = objectId(number, OBJECTS);
  const generation = known.generation + 1;
  try {
    const result = await client.kv
      .txn()
      .if(compare.modRevision(id.key, '=', known.revision))
      .do(op.put(id.key, objectValue(id, generation)))
      .else(op.get(id.key))
      .commit();
    if (!result.succeeded) throw new Error(`${id.key} was changed by somebody else`);
    note(id.key, generation, result.header.revision);
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    live.delete(number);
    ledger.unknown({ key: id.key, generation });
    throw error;
  }
}

async function deleteOne(worker: number): Promise<boolean> {
  const number = pick(worker);
  const known = number === undefined ? undefined : live.get(number);
  if (number === undefined || known === undefined) return false;
  const { key } = objectId(number, OBJECTS);
  live.delete(number);
  try {
    const result = await client.kv
      .txn()
      .if(compare.modRevision(key, '=', known.revision))
      .do(op.delete(key))
      .commit();
    if (!result.succeeded) throw new Error(`${key} was changed by somebody else`);
    ledger.acknowledge({ key, generation: 0 }, result.header.revision);
    return true;
  } catch (error) {
    if (error instanceof ClientError) ledger.unknown({ key, generation: 0 });
    throw error;
  }
}

function note(key: string, generation: number, revision: number): void {
  live.set(idOfKey(key).number, { generation, revision });
  ledger.acknowledge({ key, generation }, revision);
}

/** Load goes on while the server dies; what was not answered is of unknown fate. */
async function killUnderLoad(): Promise<void> {
  let killed = false;
  let answered = 0;
  let unanswered = 0;
  const load = inParallel(async (worker) => {
    while (!killed) {
      try {
        await updateOne(worker);
        answered++;
      } catch (error) {
        if (!(error instanceof ClientError)) throw error;
        unanswered++;
        return;
      }
    }
  });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await server.kill();
  killed = true;
  const restartMs = await server.start();
  await load;
  say(
    `killed with SIGKILL after ${answered} more updates, ${unanswered} unanswered; ` +
      `a linearizable read was answered ${restartMs.toFixed(0)} ms after the start`,
  );
}

interface Watching {
  /** Every watch has seen everything up to this revision. */
  reached(): number;
  /** Waits until every watch has come to `revision`, then ends them. */
  finish(revision: number): Promise<void>;
}

function startWatches(from: Client, startRevision: number): Watching {
  const reached = new Map<string, number>();
  let failure: unknown = null;
  const watches = resources.map((resource) => {
    const watch = from.watch(prefix(`/registry/${resource}/`), { startRevision });
    reached.set(resource, 0);
    const reading = (async () => {
      for await (const { events, header } of watch) {
        for (const { type, kv } of events) {
          const key = kv.name;
          const generation =
            type === 'delete' ? 0 : key.endsWith('-end') ? 1 : generationOf(idOfKey(key), kv.value);
          if (!key.endsWith('-end')) ledger.event(resource, { key, generation }, Number(kv.modRevision));
          reached.set(resource, Math.max(reached.get(resource) ?? 0, Number(kv.modRevision)));
        }
        reached.set(
          resource,
          Math.max(reached.get(resource) ?? 0, events.length === 0 ? header.revision : 0),
        );
      }
    })().catch((error: unknown) => {
      failure = error;
    });
    return { watch, reading };
  });
  return {
    reached: () => Math.min(...reached.values()),
    async finish(revision) {
      const giveUp = performance.now() + 60_000;
      while ([...reached.values()].some((at) => at < revision)) {
        if (failure !== null) throw failure;
        if (performance.now() > giveUp)
          throw new Error(`watches stand at ${[...reached]}, not at ${revision}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      for (const { watch, reading } of watches) {
        await watch[Symbol.asyncDispose]();
        await reading;
      }
      if (failure !== null) throw failure;
    },
  };
}

async function verify(): Promise<void> {
  const begun = performance.now();
  // One last revision that every watch has to reach.
  const end = await client.kv
    .txn()
    .do(...resources.map((resource) => op.put(`/registry/${resource}/zz-end`, '')))
    .commit();
  await watching.finish(end.header.revision);
  ledger.settle();

  const expected = ledger.live();
  let compared = 0;
  for (const resource of resources) {
    for await (const kv of client.kv.scan(prefix(`/registry/${resource}/`))) {
      if (kv.name.endsWith('-end')) continue;
      const known = expected.get(kv.name);
      const generation = generationOf(idOfKey(kv.name), kv.value);
      if (known === undefined) throw new Error(`${kv.name} should not exist`);
      if (known.generation !== generation || known.revision !== Number(kv.modRevision)) {
        throw new Error(
          `${kv.name} is generation ${generation} at ${kv.modRevision}, not ${known.generation} at ${known.revision}`,
        );
      }
      expected.delete(kv.name);
      compared++;
    }
  }
  if (expected.size > 0) throw new Error(`lost: ${[...expected.keys()].slice(0, 10).join(', ')}`);
  say(
    `verified ${compared} objects byte by byte and ${ledger.events} watch events in ${seconds(begun)}: nothing lost, ` +
      `repeated or out of order (${ledger.unknownThatHappened} unanswered writes had happened)`,
  );
}

async function inParallel(work: (worker: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)));
}
