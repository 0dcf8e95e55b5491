/** What may happen to a store, one command each: done to the model and to the store, and compared. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { KeyRecord, RangeResult } from '../../src/types.ts';
import { describeRecord, type Harness, shortOf } from './harness.ts';
import { bytesOf, encodeKeyValue, inRange, type ModelRecord, textOf } from './model-store.ts';

type Model = Record<string, never>;
type Command = fc.Command<Model, Harness>;

abstract class Step implements Command {
  check(): boolean {
    return true;
  }
  run(_model: Model, harness: Harness): void {
    this.apply(harness);
    harness.expectSame();
  }
  abstract apply(harness: Harness): void;
  abstract toString(): string;
}

export type Operation =
  | { kind: 'put'; key: string; value: string; lease: bigint }
  | { kind: 'delete'; key: string; end: string | null }
  | { kind: 'read'; key: string; end: string | null };

const rangeText = (key: string, end: string | null): string =>
  end === null ? shortOf(key) : `[${shortOf(key)},${end === '\0' ? '∞' : shortOf(end)})`;

/** One log entry: several changes in one revision, the same key perhaps twice, committed or aborted. */
export class Entry extends Step {
  readonly operations: readonly Operation[];
  readonly meta: string | null;
  readonly abort: boolean;
  constructor(operations: readonly Operation[], meta: string | null, abort: boolean) {
    super();
    this.operations = operations;
    this.meta = meta;
    this.abort = abort;
  }

  apply(harness: Harness): void {
    const model = harness.model.clone();
    const transaction = harness.begin(model.index + 1);
    const main = model.revision + 1;
    let sub = 0;
    for (const operation of this.operations) {
      if (operation.kind === 'put') {
        const { key, value, lease } = operation;
        harness.expectRecord(transaction.put(bytesOf(key), bytesOf(value), lease), model.at(key, main));
        model.put(main, sub++, key, value, lease);
      } else {
        const { key, end } = operation;
        const found = model.range(key, end, main);
        const range = { key: bytesOf(key), end: end === null ? null : bytesOf(end) };
        if (operation.kind === 'read') {
          const result = transaction.range({ ...range, revision: 0, limit: 2 });
          harness.expectRange(result, found, 2);
        } else {
          const deleted = transaction.deleteRange(range);
          harness.expectRange({ records: deleted, count: deleted.length, revision: 0 }, found, 0);
          for (const record of found) model.remove(main, sub++, record.key);
        }
      }
      if (sub > 0) model.revision = main;
    }
    expect(transaction.changeCount).toBe(sub);
    if (this.meta !== null) {
      transaction.putMeta('t', bytesOf('m'), bytesOf(this.meta));
      transaction.removeMeta('t', bytesOf(this.meta));
      transaction.putMeta('u', bytesOf(this.meta), bytesOf('x'));
    }
    if (this.abort) {
      transaction.abort();
      return;
    }
    if (this.meta !== null) {
      model.meta.set('t m', this.meta);
      model.meta.set(`u ${this.meta}`, 'x');
    }
    const batch = transaction.commit();
    expect(batch === null ? [] : batch.events.map(describeEvent)).toEqual(
      model.events(main).map(describeModelEvent),
    );
    model.index++;
    harness.model = model;
    harness.remember();
  }

  override toString(): string {
    const parts = this.operations.map((operation) => {
      if (operation.kind === 'put') {
        return `put ${shortOf(operation.key)}="${operation.value}"${operation.lease === 0n ? '' : ` lease ${operation.lease}`}`;
      }
      return `${operation.kind} ${rangeText(operation.key, operation.end)}`;
    });
    if (this.meta !== null) parts.push(`meta ${this.meta}`);
    return `${this.abort ? 'abort' : 'entry'}{${parts.join('; ')}}`;
  }
}

function describeEvent(event: { type: string; record: KeyRecord; encoded: Uint8Array }): string {
  const { record } = event;
  const kv = Buffer.from(record.encoded);
  const prefix = Buffer.from(event.type === 'delete' ? [8, 1, 0x12] : [0x12]);
  expect(Buffer.from(event.encoded).indexOf(prefix)).toBe(0);
  expect(Buffer.from(event.encoded).subarray(-kv.length).equals(kv)).toBe(true);
  return `${event.type} ${describeRecord(record).replace(/ [0-9a-f]*$/, '')} sub ${record.sub}`;
}

function describeModelEvent(record: ModelRecord): string {
  const type = record.tombstone ? 'delete' : 'put';
  const { create, main, version, lease } = record;
  return `${type} ${shortOf(record.key)} c${create} m${main} v${version} l${lease} "${record.value}" sub ${record.sub}`;
}

/** A revision as an offset: 0 now, -3 three revisions ago, 1 the future. */
function revisionOf(harness: Harness, back: number): number {
  return Math.max(1, harness.model.revision - back);
}

function expectRefused(harness: Harness, revision: number, error: unknown): boolean {
  const { revision: now, compactRevision } = harness.model;
  const wanted = revision > now ? 'FUTURE_REVISION' : revision < compactRevision ? 'COMPACTED' : null;
  if (wanted === null) {
    if (error !== null) throw error;
    return false;
  }
  expect((error as { code?: string } | null)?.code).toBe(wanted);
  return true;
}

export class Read extends Step {
  readonly key: string;
  readonly end: string | null;
  readonly back: number;
  readonly limit: number;
  readonly how: 'all' | 'countOnly' | 'keysOnly';
  constructor(
    key: string,
    end: string | null,
    back: number,
    limit: number,
    how: 'all' | 'countOnly' | 'keysOnly',
  ) {
    super();
    this.key = key;
    this.end = end;
    this.back = back;
    this.limit = limit;
    this.how = how;
  }

  apply(harness: Harness): void {
    const revision = revisionOf(harness, this.back);
    let result: RangeResult | null = null;
    let error: unknown = null;
    try {
      result = harness.store.rangeSync({
        key: bytesOf(this.key),
        end: this.end === null ? null : bytesOf(this.end),
        revision,
        limit: this.limit,
        countOnly: this.how === 'countOnly',
        keysOnly: this.how === 'keysOnly',
      });
    } catch (thrown) {
      error = thrown;
    }
    if (expectRefused(harness, revision, error)) return;
    const wanted = harness.model.range(this.key, this.end, revision);
    expect(result!.revision).toBe(harness.model.revision);
    if (this.how === 'countOnly') {
      expect([result!.records.length, result!.count]).toEqual([0, wanted.length]);
    } else if (this.how === 'keysOnly') {
      harness.expectRange(
        result!,
        wanted.map((record) => ({ ...record, value: '' })),
        this.limit,
      );
    } else {
      harness.expectRange(result!, wanted, this.limit);
      const range = { key: bytesOf(this.key), end: this.end === null ? null : bytesOf(this.end) };
      const page = harness.store.rangePageSync({ ...range, revision, limit: this.limit });
      harness.expectPage(page, wanted, this.limit);
    }
  }

  override toString(): string {
    return `${this.how === 'all' ? 'range' : this.how} ${rangeText(this.key, this.end)} @-${this.back} limit ${this.limit}`;
  }
}

/** A read that goes on while other commands run. */
export class LongRead extends Step {
  readonly key: string;
  readonly end: string;
  readonly back: number;
  readonly limit: number;
  constructor(key: string, end: string, back: number, limit: number) {
    super();
    this.key = key;
    this.end = end;
    this.back = back;
    this.limit = limit;
  }

  apply(harness: Harness): void {
    const revision = revisionOf(harness, this.back);
    const wanted = harness.model.range(this.key, this.end, revision);
    const read = { name: this.toString(), done: false };
    harness.reads.push(read);
    const options = { key: bytesOf(this.key), end: bytesOf(this.end), revision, limit: this.limit };
    harness.store.range(options, (error, result) => {
      expect(read.done).toBe(false);
      read.done = true;
      if (!expectRefused(harness, revision, error)) harness.expectRange(result!, wanted, this.limit);
    });
    const page = { name: `${this.toString()} as bytes`, done: false };
    harness.reads.push(page);
    harness.store.rangePage(options, (error, result) => {
      expect(page.done).toBe(false);
      page.done = true;
      if (!expectRefused(harness, revision, error)) harness.expectPage(result!, wanted, this.limit);
    });
  }

  override toString(): string {
    return `long range ${rangeText(this.key, this.end)} @-${this.back} limit ${this.limit}`;
  }
}

/** A list in pages of `limit` at one revision, with whatever other commands did before. */
export class List extends Step {
  readonly limit: number;
  readonly back: number;
  constructor(limit: number, back: number) {
    super();
    this.limit = limit;
    this.back = back;
  }

  apply(harness: Harness): void {
    const revision = revisionOf(harness, this.back);
    if (revision < harness.model.compactRevision || revision > harness.model.revision) return;
    let low = '\0';
    for (;;) {
      const wanted = harness.model.range(low, '\0', revision);
      const options = { key: bytesOf(low), end: bytesOf('\0'), revision, limit: this.limit };
      const page = harness.store.rangeSync(options);
      harness.expectRange(page, wanted, this.limit);
      harness.expectPage(harness.store.rangePageSync(options), wanted, this.limit);
      if (page.records.length < this.limit) return;
      low = `${textOf(page.records[page.records.length - 1]!.key)}\0`;
    }
  }

  override toString(): string {
    return `list by ${this.limit} @-${this.back}`;
  }
}

export class GetAt extends Step {
  readonly key: string;
  readonly back: number;
  constructor(key: string, back: number) {
    super();
    this.key = key;
    this.back = back;
  }

  apply(harness: Harness): void {
    const revision = revisionOf(harness, this.back);
    let record: KeyRecord | null = null;
    let error: unknown = null;
    try {
      record = harness.store.getAt(bytesOf(this.key), revision);
    } catch (thrown) {
      error = thrown;
    }
    if (!expectRefused(harness, revision, error)) {
      harness.expectRecord(record, harness.model.at(this.key, revision));
    }
    harness.expectRecord(
      harness.store.get(bytesOf(this.key)),
      harness.model.at(this.key, harness.model.revision),
    );
  }

  override toString(): string {
    return `get ${shortOf(this.key)} @-${this.back}`;
  }
}

/** All events from a revision on, in pieces. */
export class Events extends Step {
  readonly back: number;
  readonly maxBytes: number;
  constructor(back: number, maxBytes: number) {
    super();
    this.back = back;
    this.maxBytes = maxBytes;
  }

  apply(harness: Harness): void {
    const from = revisionOf(harness, this.back);
    if (from < harness.model.compactRevision) {
      expect(() => harness.store.readEvents(from, this.maxBytes)).toThrow('compacted');
      return;
    }
    const seen: string[] = [];
    for (let next = from; next <= harness.model.revision; ) {
      const { batches, next: after } = harness.store.readEvents(next, this.maxBytes);
      expect(after).toBeGreaterThan(next);
      for (const { revision, events } of batches) {
        expect(new Set(events.map(({ record }) => record.modRevision))).toEqual(new Set([revision]));
        seen.push(...events.map(describeEvent));
      }
      next = after;
    }
    expect(seen).toEqual(harness.model.events(from).map(describeModelEvent));
  }

  override toString(): string {
    return `events from -${this.back}, ${this.maxBytes} bytes`;
  }
}

export class Compact extends Step {
  readonly back: number;
  constructor(back: number) {
    super();
    this.back = back;
  }

  apply(harness: Harness): void {
    const model = harness.model.clone();
    const revision = harness.model.revision - this.back;
    const transaction = harness.begin(model.index + 1);
    if (revision <= model.compactRevision) {
      expect(() => transaction.compact(revision)).toThrow('compacted');
    } else if (revision > model.revision) {
      expect(() => transaction.compact(revision)).toThrow('future');
    } else {
      transaction.compact(revision);
      model.compactRevision = revision;
    }
    transaction.commit();
    model.index++;
    harness.model = model;
    harness.remember();
  }

  override toString(): string {
    return `compact -${this.back}`;
  }
}

export class Hash extends Step {
  readonly back: number;
  constructor(back: number) {
    super();
    this.back = back;
  }

  apply(harness: Harness): void {
    const revision = revisionOf(harness, this.back);
    let answered = false;
    harness.store.hashKv(revision, (error, result) => {
      answered = true;
      if (expectRefused(harness, revision, error)) return;
      expect(result).toEqual({
        hash: harness.model.hash(revision),
        hashRevision: revision,
        compactRevision: harness.model.compactRevision,
      });
    });
    harness.settle(() => answered);
  }

  override toString(): string {
    return `hash @-${this.back}`;
  }
}

export class Leases extends Step {
  apply(harness: Harness): void {
    for (const lease of [1n, 2n, -3n]) {
      expect(harness.store.leaseKeys(lease).map(textOf)).toEqual(harness.model.leaseKeys(lease));
    }
  }
  override toString(): string {
    return 'lease keys';
  }
}

export class Meta extends Step {
  apply(harness: Harness): void {
    const rows = new Map<string, string>();
    for (const table of ['t', 'u']) {
      harness.store.scanMeta(table, (key, value) => {
        rows.set(`${table} ${textOf(key)}`, textOf(value));
        return true;
      });
    }
    expect(rows).toEqual(new Map([...harness.model.meta].sort(([a], [b]) => (a < b ? -1 : 1))));
    for (const [name, value] of rows) {
      const [table, key] = name.split(' ');
      expect(textOf(harness.store.getMeta(table!, bytesOf(key!))!)).toBe(value);
    }
  }
  override toString(): string {
    return 'meta';
  }
}

/** Lets the loop turn: the writer does jobs, long reads go on. */
export class Turns extends Step {
  readonly count: number;
  constructor(count: number) {
    super();
    this.count = count;
  }
  apply(harness: Harness): void {
    harness.turn(this.count);
  }
  override toString(): string {
    return `turn ${this.count}`;
  }
}

export class Flush extends Step {
  readonly how: 'records' | 'heads' | 'removal';
  constructor(how: 'records' | 'heads' | 'removal') {
    super();
    this.how = how;
  }
  apply(harness: Harness): void {
    if (this.how === 'removal' && harness.imageOpen) return;
    let answered = false;
    const done = (error: Error | null): void => {
      expect(error).toBeNull();
      answered = true;
    };
    if (this.how === 'records') harness.store.flush(done);
    else if (this.how === 'heads') harness.store.flushHeads(done);
    else harness.store.whenCompacted(harness.model.compactRevision, done);
    harness.settle(() => answered);
    if (this.how === 'records') expect(harness.store.durableIndex).toBe(harness.model.index);
  }
  override toString(): string {
    return `flush ${this.how}`;
  }
}

export class Defragment extends Step {
  readonly wait: boolean;
  constructor(wait: boolean) {
    super();
    this.wait = wait;
  }
  apply(harness: Harness): void {
    let answered = false;
    harness.store.defragment((error) => {
      // One that was only begun may be cut off by a crash.
      if (this.wait) expect(error).toBeNull();
      answered = true;
    });
    if (this.wait) harness.settle(() => answered);
  }
  override toString(): string {
    return this.wait ? 'defragment' : 'begin defragment';
  }
}

export class Crash extends Step {
  apply(harness: Harness): void {
    harness.crash();
  }
  override toString(): string {
    return 'crash';
  }
}

/** The reader's snapshot moves by itself, to what the writer did and has not told yet. */
export class SnapshotMoves extends Step {
  apply(harness: Harness): void {
    harness.backend.moveReaders();
  }
  override toString(): string {
    return 'snapshot moves';
  }
}

/** A transaction of the writer fails in the middle of a job, then the process ends. */
export class FailedWrite extends Step {
  readonly skip: number;
  constructor(skip: number) {
    super();
    this.skip = skip;
  }
  apply(harness: Harness): void {
    harness.crashInWriter(this.skip);
  }
  override toString(): string {
    return `crash in transaction ${this.skip}`;
  }
}

/**
 * The arbitrary commands.
 * @param longKeys whether some keys share a prefix of 1,900 bytes: one of them is enough to turn native counts off
 * @param crashes whether the process may end
 */
export function arbitraryCommands(longKeys: boolean, crashes = true): fc.Arbitrary<Command>[] {
  const long = 'k'.repeat(1900);
  const keys = ['a', 'a\0', 'ab', 'b', 'c/1', 'c/2', 'c/3', 'c/4', 'd', 'k', 'z', '\xff', '\xff\xff'];
  const shortKey = fc.constantFrom(...keys);
  const longKey = fc.constantFrom(long, `${long}\0`, `${long}a`, `${long}b`, `${long}${'c'.repeat(300)}`);
  const key = longKeys
    ? fc.oneof({ arbitrary: shortKey, weight: 12 }, { arbitrary: longKey, weight: 1 })
    : shortKey;
  const end = fc.oneof(fc.constantFrom('\0', '\0', 'b', 'c0', 'd', 'l'), key);
  const maybeEnd = fc.option(end, { nil: null });
  const value = fc.constantFrom('', 'x', 'yy', 'z'.repeat(150));
  const lease = fc.constantFrom(0n, 0n, 1n, 2n, -3n);
  const operation: fc.Arbitrary<Operation> = fc.oneof(
    { arbitrary: fc.record({ kind: fc.constant('put' as const), key, value, lease }), weight: 5 },
    { arbitrary: fc.record({ kind: fc.constant('delete' as const), key, end: maybeEnd }), weight: 2 },
    { arbitrary: fc.record({ kind: fc.constant('read' as const), key, end: maybeEnd }), weight: 1 },
  );
  const operations = fc.array(operation, { minLength: 0, maxLength: 4 });
  const meta = fc.option(fc.constantFrom('p', 'q'), { nil: null, freq: 6 });
  const aborted = fc.nat(9).map((n) => n === 0);
  const back = fc.integer({ min: -1, max: 12 });
  const limit = fc.constantFrom(0, 0, 1, 2, 3, 100);
  const how = fc.constantFrom('all' as const, 'all' as const, 'countOnly' as const, 'keysOnly' as const);
  const entry = fc.tuple(operations, meta, aborted).map((parts) => new Entry(...parts));
  return [
    entry,
    entry,
    entry,
    entry,
    fc.tuple(key, maybeEnd, back, limit, how).map((parts) => new Read(...parts)),
    fc.tuple(key, end, back, limit).map((parts) => new LongRead(...parts)),
    fc.tuple(fc.constantFrom(1, 2, 3), back).map((parts) => new List(...parts)),
    fc.tuple(key, back).map((parts) => new GetAt(...parts)),
    fc.tuple(back, fc.constantFrom(1, 200, 100_000)).map((parts) => new Events(...parts)),
    back.map((n) => new Compact(n)),
    back.map((n) => new Hash(n)),
    fc.constant(new Leases()),
    fc.constant(new Meta()),
    fc.integer({ min: 1, max: 6 }).map((n) => new Turns(n)),
    fc.constantFrom('records' as const, 'heads' as const, 'removal' as const).map((how) => new Flush(how)),
    fc.boolean().map((wait) => new Defragment(wait)),
    fc.constant(new SnapshotMoves()),
    ...(crashes ? [fc.constant(new Crash()), fc.nat(4).map((n) => new FailedWrite(n))] : []),
  ];
}

export { encodeKeyValue, inRange };
