/**
 * The checkers against chance: histories made by the model itself pass, however their calls overlap; a history with one
 * lie in it fails, unless the lie is proven harmless; the search and the check by revision agree on small ones.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EtcdModel } from '../model/etcd-model.ts';
import { Random } from '../sim/random.ts';
import { checkHistory } from './check-history.ts';
import { evidence } from './golden.ts';
import type { HistoryCall, RecordedAnswer, RecordedCall } from './history.ts';
import { checkLinearizable } from './linearizable.ts';
import { checkBySearch } from './linearizable-search.ts';
import { canonical, runOnModel, tookRevision } from './model-call.ts';
import { readHistory, writeHistory } from './recorder.ts';
import { type HistoryRevision, WatchHistory } from './watch-record.ts';

const scale = Number(process.env.QUORATE_TEST_SCALE ?? 1);
const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const runs = (count: number) => ({ numRuns: Math.max(1, Math.round(count * scale)), seed });
const KEYS = ['a', 'b', 'c'];

interface World {
  readonly calls: HistoryCall[];
  readonly committed: HistoryRevision[];
}

/** A run of a perfect store: each call takes effect at one moment between its call and its return. */
function perfectWorld(worldSeed: number, count: number, clients: number): World {
  const random = new Random(worldSeed, 'world');
  const model = new EtcdModel();
  const calls: HistoryCall[] = [];
  const committed: HistoryRevision[] = [];
  const freeAt = Array.from({ length: clients }, () => 0);
  const lives = Array.from({ length: clients }, () => 0);
  let now = 0;
  for (let number = 0; number < count; number++) {
    // The effect comes at `now`; the call began somewhere after the client's last one.
    const client = random.int(clients);
    now = Math.max(now + 10, freeAt[client]! + 1);
    const callNs = random.between(freeAt[client]!, now);
    const returnNs = now + random.int(30);
    freeAt[client] = returnNs + 1;
    const call = anyCall(random, model, `${client}-${number}`);
    const name = `c${client}#${lives[client]}`;
    const base = { client: name, call, callNs, endpoint: 'm', member: 'm', term: 2 };
    // An outcome may be unknown, and then the call may never have happened.
    const unknown = random.chance(0.15);
    if (unknown) lives[client]!++;
    const lost = unknown && random.chance(0.5);
    const before = new Map(model.keyValues().map((kv) => [kv.key, kv]));
    const verdict = lost ? null : runOnModel(model, call);
    if (model.revision > (committed.at(-1)?.revision ?? 1)) committed.push(changes(model, before));
    if (unknown) {
      const outcome = { kind: 'unknown', error: 'time-out' } as const;
      calls.push({ ...base, returnNs: null, outcome, member: '', revision: 0 });
    } else if (verdict !== null && 'answer' in verdict) {
      const outcome = { kind: 'ok', answer: verdict.answer } as const;
      calls.push({ ...base, returnNs, outcome, revision: model.revision });
    }
  }
  return { calls: calls.sort((a, b) => a.callNs - b.callNs), committed };
}

function anyCall(random: Random, model: EtcdModel, unique: string): RecordedCall {
  const key = random.pick(KEYS);
  const kind = random.weighted({ put: 4, get: 4, list: 2, delete: 2, swap: 3, old: 1, none: 1 });
  switch (kind) {
    case 'put':
      return { kind: 'put', key, value: unique, prevKv: random.chance(0.5) };
    case 'get':
      return { kind: 'range', key, end: '' };
    case 'list':
      return { kind: 'range', key: 'a', end: 'z', limit: random.int(3) };
    case 'delete':
      return { kind: 'delete', key, end: random.chance(0.2) ? 'z' : '', prevKv: random.chance(0.5) };
    case 'swap': {
      const mod = model.keyValues().find((kv) => kv.key === key)?.modRevision ?? 0;
      const operand = random.chance(0.7) ? mod : mod + 1;
      return {
        kind: 'txn',
        compare: [{ key, target: 'mod', result: 'equal', operand }],
        success: [
          { kind: 'put', key, value: unique },
          { kind: 'range', key, end: '' },
        ],
        failure: [{ kind: 'range', key, end: '' }],
      };
    }
    case 'old':
      return { kind: 'range', key, end: '', revision: random.between(1, model.revision) };
    case 'none':
      return {
        kind: 'txn',
        compare: [],
        success: [{ kind: 'delete', key: 'nothing', end: '' }],
        failure: [],
      };
  }
}

function changes(model: EtcdModel, before: ReadonlyMap<string, { readonly key: string }>): HistoryRevision {
  const { revision } = model;
  const after = new Map(model.keyValues().map((kv) => [kv.key, kv]));
  const puts = [...after.values()]
    .filter((kv) => kv.modRevision === revision)
    .map((record) => ({ type: 'put' as const, record }));
  const deletes = [...before.keys()]
    .filter((key) => !after.has(key))
    .map((key) => ({
      type: 'delete' as const,
      record: { key, value: '', createRevision: 0, modRevision: revision, version: 0, lease: 0n },
    }));
  return { revision, events: [...puts, ...deletes] };
}

/** One lie in the history; null when this place has none to tell. */
function lie(random: Random, { calls, committed }: World): World | null {
  const at = random.int(calls.length);
  const call = calls[at]!;
  const changed = (more: Partial<HistoryCall>): World => ({
    calls: calls.map((other, index) => (index === at ? { ...other, ...more } : other)),
    committed,
  });
  switch (
    random.pick(['older', 'newer', 'answer', 'loseRevision', 'swapRevisions', 'value', 'failed'] as const)
  ) {
    case 'older':
      return call.revision > 1 ? changed({ revision: call.revision - 1 }) : null;
    case 'newer':
      return call.revision > 0 ? changed({ revision: call.revision + 1 }) : null;
    case 'answer': {
      const wrong = call.outcome.kind === 'ok' ? wrongAnswer(call.outcome.answer) : null;
      return wrong === null ? null : changed({ outcome: { kind: 'ok', answer: wrong } });
    }
    case 'failed': {
      const wrote = call.outcome.kind === 'ok' && tookRevision(call.call, call.outcome.answer);
      const error = 'etcdserver: too many requests';
      return wrote && call.call.kind !== 'delete' ? changed({ outcome: { kind: 'failed', error } }) : null;
    }
    case 'loseRevision':
      return committed.length < 2
        ? null
        : { calls, committed: committed.toSpliced(random.int(committed.length), 1) };
    case 'swapRevisions': {
      if (committed.length < 2) return null;
      const first = random.int(committed.length - 1);
      const [one, two] = [committed[first]!, committed[first + 1]!];
      const renumbered = [
        { ...two, revision: one.revision },
        { ...one, revision: two.revision },
      ];
      return { calls, committed: committed.toSpliced(first, 2, ...renumbered) };
    }
    case 'value': {
      if (committed.length === 0) return null;
      const place = random.int(committed.length);
      const entry = committed[place]!;
      const events = entry.events.map((event) => ({
        ...event,
        record: { ...event.record, value: 'forged' },
      }));
      if (entry.events.every((event) => event.type === 'delete')) return null;
      return { calls, committed: committed.toSpliced(place, 1, { ...entry, events }) };
    }
  }
}

function wrongAnswer(answer: RecordedAnswer): RecordedAnswer | null {
  switch (answer.kind) {
    case 'range':
      return { ...answer, count: answer.count + 1 };
    case 'put':
      return { ...answer, previous: answer.previous === null ? null : { ...answer.previous, version: 99 } };
    case 'delete':
      return { ...answer, deleted: answer.deleted + 1 };
    case 'txn':
      return { ...answer, succeeded: !answer.succeeded };
    default:
      return null;
  }
}

/**
 * A lie is harmless when a perfect store could have given the history with it: the answer was no other (`put` without a
 * previous record); or the revision of a read moved to one at which the same keys were to be seen and which real time
 * allows (the search knows, without looking at what was committed); or the last revision vanished, and whoever wrote it
 * had no answer, and nobody saw it.
 */
function isHarmless(world: World, lying: World): boolean {
  if (canonical(world) === canonical(lying)) return true;
  if (world.committed === lying.committed) return checkBySearch(lying.calls).length === 0;
  const lost = world.committed.at(-1)!.revision;
  return (
    canonical(world.committed.slice(0, -1)) === canonical(lying.committed) &&
    lying.calls.every((call) => call.revision < lost)
  );
}

describe(`seed ${seed}`, () => {
  const worlds = fc.record({
    world: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    count: fc.integer({ min: 1, max: 60 }),
    clients: fc.integer({ min: 1, max: 5 }),
  });

  it('what a perfect store gives passes', () => {
    fc.assert(
      fc.property(worlds, ({ world, count, clients }) => {
        const { calls, committed } = perfectWorld(world, count, clients);
        expect(checkHistory(evidence(calls, committed))).toEqual([]);
      }),
      runs(200),
    );
  });

  it('one lie is found, or is harmless', () => {
    let [told, harmless] = [0, 0];
    fc.assert(
      fc.property(worlds, fc.integer({ min: 1 }), ({ world, count, clients }, lieSeed) => {
        const honest = perfectWorld(world, Math.min(count, 14), Math.min(clients, 3));
        if (honest.calls.length === 0) return;
        const lying = lie(new Random(lieSeed, 'lie'), honest);
        if (lying === null) return;
        told++;
        if (checkLinearizable(lying.calls, new WatchHistory(lying.committed)).length > 0) return;
        harmless++;
        expect(isHarmless(honest, lying), canonical(lying)).toBe(true);
      }),
      runs(400),
    );
    // The lies are not mostly harmless: else this would prove nothing.
    expect(harmless).toBeLessThan(told / 2);
    expect(told).toBeGreaterThan(50 * Math.min(1, scale));
  });

  it('the search agrees with the check by revision', () => {
    let refuted = 0;
    fc.assert(
      fc.property(worlds, fc.integer({ min: 1 }), ({ world, count, clients }, lieSeed) => {
        const honest = perfectWorld(world, Math.min(count, 14), Math.min(clients, 3));
        expect(checkBySearch(honest.calls)).toEqual([]);
        if (honest.calls.length === 0) return;
        const lying = lie(new Random(lieSeed, 'lie'), honest);
        if (lying === null || checkBySearch(lying.calls).length === 0) return;
        refuted++;
        // What no order at all explains, the order of the revisions does not either.
        expect(checkLinearizable(lying.calls, new WatchHistory(lying.committed))).not.toEqual([]);
      }),
      runs(300),
    );
    expect(refuted).toBeGreaterThan(20 * Math.min(1, scale));
  });

  it('a history survives its file', () => {
    fc.assert(
      fc.property(worlds, ({ world, count, clients }) => {
        const { calls, committed } = perfectWorld(world, count, clients);
        const { history } = evidence(calls, committed);
        expect(readHistory(writeHistory(history))).toEqual(history);
      }),
      runs(30),
    );
  });
});
