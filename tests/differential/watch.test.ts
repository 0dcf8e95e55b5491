/**
 * The same watches over the same history on ours and on the real etcd: what every watch sees must be equal.
 *
 * How events are packed into responses depends on timing on both sides, so per watch the creation, the events in
 * order and the end are compared, not the packing.
 */
import { findProgram, Random, type ServerProcess, startEtcd, startQuorate } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { b, compact, del, type Fields, op, put, txn } from './build.ts';
import { Endpoint, type Step, type WatchResponse, type WatchStream } from './exchange.ts';
import { Generator } from './generator.ts';
import { type Plain, plain } from './normalise.ts';

const installed = findProgram('etcd') !== null;
if (!installed)
  console.warn('SKIPPED: etcd is not installed, so nothing was compared with it (Debian: etcd-server)');

const seed = process.env.DIFFERENTIAL_SEED ?? String(Math.floor(Math.random() * 2 ** 31));
const ROUNDS = Math.ceil(12 * Number(process.env.QUORATE_TEST_SCALE ?? 1));
const WRITES = 120;
const WATCHES = 25;

/** What one watch saw, in order. */
interface Seen {
  created: Plain | null;
  events: Plain[];
  end: Plain | null;
}

/** A stream and what its watches saw so far. Creations are answered in order, which gives the watch its number. */
class Observer {
  readonly #stream: WatchStream;
  readonly #byId = new Map<bigint, Seen>();
  readonly seen: Seen[] = [];
  #created = 0;

  constructor(endpoint: Endpoint) {
    this.#stream = endpoint.watch();
    this.#stream.onResponse((response) => this.#record(response));
    this.#stream.onEnd(() => {});
  }

  create(request: Fields): void {
    this.seen.push({ created: null, events: [], end: null });
    this.#stream.send({ createRequest: request });
  }

  cancelWatch(watchId: bigint): void {
    this.#stream.send({ cancelRequest: { watchId } });
  }

  close(): void {
    this.#stream.cancel();
  }

  #record(response: WatchResponse): void {
    if (response.created) {
      const seen = this.seen[this.#created++];
      if (seen === undefined) throw new Error('created more watches than asked for');
      seen.created = {
        watchId: response.watchId.toString(),
        revision: (response.header?.revision ?? 0n).toString(),
      };
      if (response.canceled) seen.end = { reason: response.cancelReason };
      else this.#byId.set(response.watchId, seen);
      return;
    }
    const seen = this.#byId.get(response.watchId);
    if (seen === undefined) throw new Error(`response for unknown watch ${response.watchId}`);
    seen.events.push(...response.events.map((event) => plain(event)));
    if (response.canceled) {
      seen.end = { reason: response.cancelReason, compactRevision: response.compactRevision.toString() };
    }
  }
}

describe.skipIf(!installed)(`same watches, same events as etcd (DIFFERENTIAL_SEED=${seed})`, () => {
  let processes: ServerProcess[] = [];
  let endpoints: [Endpoint, Endpoint];
  beforeAll(async () => {
    processes = await Promise.all([startQuorate(), startEtcd({ flags: ['--unsafe-no-fsync'] })]);
    endpoints = processes.map((server) => new Endpoint(server.name, server.endpoint)) as [Endpoint, Endpoint];
  }, 60_000);
  afterAll(async () => {
    for (const endpoint of endpoints ?? []) endpoint.close();
    await Promise.all(processes.map((server) => server.stop()));
  });

  async function both(step: Step): Promise<bigint> {
    const [ours, theirs] = await Promise.all(endpoints.map((endpoint) => endpoint.call(step)));
    expect(ours?.ok).toBe(theirs?.ok);
    const range: Step = { call: 'KV/Range', request: { key: b('\0'), countOnly: true } };
    const [our, their] = await Promise.all(endpoints.map((endpoint) => endpoint.call(range)));
    if (!our?.ok || !their?.ok)
      throw new Error(`no answer\n${processes.map((server) => server.output().slice(-3000)).join('\n')}`);
    const revision = (their.response.header as { revision: bigint }).revision;
    expect((our.response.header as { revision: bigint }).revision).toBe(revision);
    return revision;
  }

  /** Waits until both saw the same, for as long as anything still moves; then compares. */
  async function expectEqual(
    observers: readonly [Observer, Observer],
    context: string,
    until: (seen: readonly Seen[]) => boolean = () => true,
  ): Promise<void> {
    const giveUp = performance.now() + 10_000;
    while (performance.now() < giveUp) {
      const answered = observers.every(
        ({ seen }) => seen.every((watch) => watch.created !== null) && until(seen),
      );
      if (answered && JSON.stringify(observers[0].seen) === JSON.stringify(observers[1].seen)) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const [index, theirs] of observers[1].seen.entries()) {
      expect(observers[0].seen[index], `${context}, watch ${index}`).toEqual(theirs);
    }
  }

  it('sem-104 sem-105 sem-106 sem-107 sem-108 sem-109 sem-119 sem-120: hand-picked watches', async () => {
    const observers = endpoints.map((endpoint) => new Observer(endpoint)) as [Observer, Observer];
    let revision = await both(put('w/a', '0'));
    const requests: Fields[] = [
      { key: b('w/a') },
      { key: b('w/'), rangeEnd: b('w0') },
      { key: b('') },
      { key: b(''), rangeEnd: b('\0') },
      { key: b('w/b'), rangeEnd: b('w/a') },
      { key: b('w/a'), startRevision: revision },
      { key: b('w/a'), startRevision: revision + 3n },
      { key: b('w/a'), prevKv: true },
      { key: b('w/a'), filters: [0] },
      { key: b('w/a'), filters: [1], prevKv: true },
      { key: b('w/a'), filters: [0, 1] },
      { key: b('w/a'), watchId: 1000n },
      { key: b('w/a'), watchId: 1000n },
      { key: b('w/a'), fragment: true },
      { key: b('w/z'), rangeEnd: b('\0') },
    ];
    for (const observer of observers) for (const request of requests) observer.create(request);
    await expectEqual(observers, 'after creation');
    await both(put('w/a', '1'));
    await both(put('w/b', '1'));
    await both(del('w/a'));
    await both(txn([], [op.put('w/a', '2'), op.put('w/b', '2'), op.del('w/c'), op.put('w/zz', '1')]));
    revision = await both(put('w/a', '3'));
    await expectEqual(observers, 'after writes');
    for (const observer of observers) {
      observer.cancelWatch(0n);
      observer.cancelWatch(4711n);
    }
    await expectEqual(observers, 'after cancelling', (seen) => seen[0]?.end !== null);
    await both(put('w/a', '4'));
    await both(compact(revision));
    for (const observer of observers) {
      observer.create({ key: b('w/a'), startRevision: revision - 1n });
      observer.create({ key: b('w/a'), startRevision: revision });
    }
    await expectEqual(observers, 'after compaction');
    for (const observer of observers) observer.close();
  });

  it.each(Array.from({ length: ROUNDS }, (_, round) => round))('random watches, round %i', async (round) => {
    const random = new Random(`${seed}/${round}`, 'watches');
    const generator = new Generator(`${seed}/watch/${round}`);
    const observers = endpoints.map((endpoint) => new Observer(endpoint)) as [Observer, Observer];
    const marker = `marker/${round}`;
    let revision = await both(put(marker, 'start'));
    const start = revision;
    for (let i = 0; i < WRITES; i++) {
      const step = writeStep(generator, revision);
      revision = await both(step);
      if (i < WATCHES) {
        const request: Fields = {
          key: b(random.pick(['a', 'b', 'aa', '\0', '', 'k/', marker])),
          ...(random.chance(0.6) ? { rangeEnd: b(random.pick(['\0', 'c', 'l', 'b\xff', 'a'])) } : {}),
          ...(random.chance(0.6) ? { startRevision: start + BigInt(random.between(0, 40)) } : {}),
          ...(random.chance(0.3) ? { prevKv: true } : {}),
          ...(random.chance(0.2) ? { filters: [random.int(2)] } : {}),
        };
        for (const observer of observers) observer.create(request);
        // The creation answers with the current revision: nothing may be written before both have answered.
        await expectEqual(observers, `seed ${seed}, round ${round}, creation ${i}`);
      }
    }
    await both(put(marker, 'end'));
    await expectEqual(observers, `seed ${seed}, round ${round}`);
    const events = observers[0].seen.reduce((sum, seen) => sum + seen.events.length, 0);
    expect(events).toBeGreaterThan(WRITES / 2);
    for (const observer of observers) observer.close();
  });
});

/**
 * The generator's next change of keys: a watch sees nothing of the rest, and a compaction would race with catching up.
 *
 * A txn that keeps the value or lease of a key it has just deleted is left out: it passes the checks of etcd 3.4.23,
 * which then ends with a panic.
 */
function writeStep(generator: Generator, revision: bigint): Step {
  for (;;) {
    const step = generator.next(revision, -1n);
    if (step.call === 'KV/Put' || step.call === 'KV/DeleteRange') return step;
    if (step.call === 'KV/Txn' && !keepsOfAKey(step.request)) return step;
  }
}

/** Whether any operation of a txn, or of one within it, keeps the value or lease that its key has. */
function keepsOfAKey(txn: Fields): boolean {
  return [...(txn.success as Fields[]), ...(txn.failure as Fields[])].some(({ requestPut, requestTxn }) => {
    const kept = requestPut as Fields | undefined;
    if (kept?.ignoreValue || kept?.ignoreLease) return true;
    return requestTxn !== undefined && keepsOfAKey(requestTxn as Fields);
  });
}
