/**
 * Hand-written watch codecs against the generated ones, and against bytes that nobody should send.
 */
import { type EventGroup, EventGroup as Group } from '@quorate/mvcc';
import { WatchCreateRequest, WatchRequest, WatchResponse } from '@quorate/proto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ResponseHeader } from '../../src/api/header.ts';
import { decodeWatchRequest } from '../../src/api/watch-request.ts';
import { encodeControl, encodeEventsResponse, encodeFragments } from '../../src/api/watch-response.ts';
import { WireError } from '../../src/codec/wire-reader.ts';
import { MemoryStore } from '../support/memory-store.ts';

const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(0n, 1n, -1n, 2n ** 53n - 1n, 2n ** 53n, -(2n ** 53n), 2n ** 63n - 1n, -(2n ** 63n)),
  fc.integer({ min: -5, max: 300 }).map(BigInt),
);
const key = fc.uint8Array({ maxLength: 20 });
const create = fc.record({
  key,
  rangeEnd: key,
  startRevision: int64,
  progressNotify: fc.boolean(),
  filters: fc.array(fc.constantFrom(0, 1, 2, -1, 77), { maxLength: 4 }),
  prevKv: fc.boolean(),
  watchId: int64,
  fragment: fc.boolean(),
});

function saturated(value: bigint): number {
  const max = BigInt(Number.MAX_SAFE_INTEGER);
  return Number(value > max ? max : value < -max ? -max : value);
}

describe('WatchRequest', () => {
  it('create: equals the generated codec for any field values', () => {
    fc.assert(
      fc.property(create, (fields) => {
        const decoded = decodeWatchRequest(WatchRequest.encode({ createRequest: fields }));
        expect(decoded).toMatchObject({
          kind: 'create',
          startRevision: saturated(fields.startRevision),
          progressNotify: fields.progressNotify,
          withoutPuts: fields.filters.includes(0),
          withoutDeletes: fields.filters.includes(1),
          prevKv: fields.prevKv,
          fragment: fields.fragment,
        });
        if (decoded.kind !== 'create') throw new Error('no create');
        expect(Buffer.from(decoded.key)).toEqual(Buffer.from(fields.key));
        expect(Buffer.from(decoded.rangeEnd)).toEqual(Buffer.from(fields.rangeEnd));
        expect(BigInt(decoded.watchId)).toBe(fields.watchId);
        expect(typeof decoded.watchId).toBe(
          Number.isSafeInteger(Number(fields.watchId)) ? 'number' : 'bigint',
        );
      }),
    );
  });

  it('cancel and progress', () => {
    fc.assert(
      fc.property(int64, (watchId) => {
        const decoded = decodeWatchRequest(WatchRequest.encode({ cancelRequest: { watchId } }));
        expect(decoded.kind === 'cancel' && BigInt(decoded.watchId)).toBe(watchId);
      }),
    );
    expect(decodeWatchRequest(WatchRequest.encode({ progressRequest: {} }))).toEqual({ kind: 'progress' });
  });

  it('filters come one by one as well as packed', () => {
    const unpacked = Uint8Array.of(0x0a, 4, 0x28, 0, 0x28, 1);
    expect(decodeWatchRequest(unpacked)).toMatchObject({ withoutPuts: true, withoutDeletes: true });
  });

  it('the last member of the oneof wins whole', () => {
    const first = WatchRequest.encode({ createRequest: { key: Buffer.from('one'), prevKv: true } });
    const second = WatchRequest.encode({ createRequest: { rangeEnd: Buffer.from('two') } });
    const decoded = decodeWatchRequest(Buffer.concat([first, second]));
    expect(decoded).toMatchObject({ kind: 'create', prevKv: false });
    const cancel = WatchRequest.encode({ cancelRequest: { watchId: 3n } });
    expect(decodeWatchRequest(Buffer.concat([second, cancel]))).toEqual({ kind: 'cancel', watchId: 3 });
  });

  it('sem-103 nothing set, and members of the future, are nothing', () => {
    expect(decodeWatchRequest(new Uint8Array(0))).toEqual({ kind: 'none' });
    expect(decodeWatchRequest(Uint8Array.of(0x22, 2, 0x08, 1))).toEqual({ kind: 'none' });
  });

  it('unknown fields are skipped at every level', () => {
    const inner = Buffer.concat([
      WatchCreateRequest.encode({ key: Buffer.from('k') }),
      Uint8Array.of(0x48, 1, 0x9a, 0x06, 2, 1, 2),
    ]);
    expect(decodeWatchRequest(Buffer.concat([Uint8Array.of(0x0a, inner.length), inner]))).toMatchObject({
      kind: 'create',
    });
    expect(decodeWatchRequest(Uint8Array.of(0x1a, 2, 0x08, 5))).toEqual({ kind: 'progress' });
  });

  it('any bytes at all are decoded or refused with a WireError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          decodeWatchRequest(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  it('cut at every byte: refused, or the fields before the cut', () => {
    const whole = WatchRequest.encode({
      createRequest: {
        key: Buffer.from('abc'),
        rangeEnd: Buffer.from('abd'),
        startRevision: 300n,
        filters: [0, 1],
      },
    });
    for (let length = 1; length < whole.length; length++) {
      expect(() => decodeWatchRequest(whole.subarray(0, length))).toThrow(WireError);
    }
  });
});

describe('WatchResponse', () => {
  const header = new ResponseHeader(0xfedc_ba98_7654_3210n, 7n, { term: 3 });

  it('control messages equal the generated codec', () => {
    const response = fc.record({
      watchId: int64,
      revision: fc.nat(),
      created: fc.boolean(),
      canceled: fc.boolean(),
      compactRevision: fc.nat(),
      cancelReason: fc.constantFrom('', 'mvcc: watcher range is empty', 'gründlich'),
    });
    fc.assert(
      fc.property(response, ({ watchId, ...rest }) => {
        const id = Number.isSafeInteger(Number(watchId)) ? Number(watchId) : watchId;
        const bytes = encodeControl(header, { watchId: id, ...rest });
        const { revision, ...fields } = rest;
        expect(Buffer.from(bytes)).toEqual(
          Buffer.from(
            WatchResponse.encode({
              header: { clusterId: 0xfedc_ba98_7654_3210n, memberId: 7n, revision, raftTerm: 3 },
              watchId,
              ...fields,
            }),
          ),
        );
      }),
    );
  });

  /** A group of every event of `store`, with previous records from it. */
  function groupOf(store: MemoryStore, withPrevious: boolean): EventGroup {
    const previous = withPrevious
      ? {
          of: (event: { record: { key: Uint8Array; modRevision: number } }) =>
            store.getAt(event.record.key, event.record.modRevision - 1),
        }
      : null;
    let group = Group.root(previous as never);
    for (const batch of store.history) for (const event of batch.events) group = group.with(event);
    return group;
  }

  function storeWith(
    writes: readonly { key: string; value: string; lease: bigint; gone: boolean }[],
  ): MemoryStore {
    const store = new MemoryStore();
    for (const { key, value, lease, gone } of writes) {
      if (gone) store.delete(key);
      else store.put(key, value, lease);
    }
    return store;
  }

  const writes = fc.array(
    fc.record({
      key: fc.constantFrom('a', 'b', ''),
      value: fc.string({ maxLength: 200 }),
      lease: int64,
      gone: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  );

  it('events with and without prev_kv decode to what happened', () => {
    fc.assert(
      fc.property(writes, fc.boolean(), int64, fc.nat(), (changes, withPrevious, watchId, revision) => {
        const store = storeWith(changes);
        const group = groupOf(store, withPrevious);
        const id = Number.isSafeInteger(Number(watchId)) ? Number(watchId) : watchId;
        const decoded = WatchResponse.decode(encodeEventsResponse(header, id, revision, group));
        expect(decoded).toMatchObject({ watchId, created: false, fragment: false });
        expect(decoded.header).toMatchObject({ revision: BigInt(revision), memberId: 7n });
        const events = group.events();
        expect(decoded.events).toHaveLength(events.length);
        decoded.events.forEach((event, index) => {
          const { record, type } = events[index]!;
          expect(event.type).toBe(type === 'put' ? 0 : 1);
          expect(event.kv).toMatchObject({
            modRevision: BigInt(record.modRevision),
            version: BigInt(record.version),
            lease: record.lease,
          });
          const before = withPrevious ? store.getAt(record.key, record.modRevision - 1) : null;
          expect(event.prevKv?.modRevision).toBe(before === null ? undefined : BigInt(before.modRevision));
        });
      }),
      { numRuns: 200 },
    );
  });

  it('one message is shared by streams that watch with one id, the events by all', () => {
    const group = groupOf(storeWith([{ key: 'a', value: 'x', lease: 0n, gone: false }]), false);
    const message = encodeEventsResponse(header, 0, 2, group);
    expect(encodeEventsResponse(header, 0, 2, group)).toBe(message);
    expect(WatchResponse.decode(encodeEventsResponse(header, 5, 2, group)).watchId).toBe(5n);
    expect(WatchResponse.decode(encodeEventsResponse(header, 0, 3, group)).header?.revision).toBe(3n);
  });

  it('sem-118 fragments: whole events, all but the last say that more follows, and together they are the response', () => {
    fc.assert(
      fc.property(
        writes,
        fc.integer({ min: 50, max: 600 }),
        fc.boolean(),
        (changes, maxBytes, withPrevious) => {
          const group = groupOf(storeWith(changes), withPrevious);
          if (group.size === 0) return;
          const parts = encodeFragments(header, 9, 2, group, maxBytes);
          const decoded = parts.map((part) => WatchResponse.decode(part));
          expect(decoded.map((part) => part.fragment)).toEqual(
            decoded.map((_, index) => index < parts.length - 1),
          );
          const whole = WatchResponse.decode(encodeEventsResponse(header, 9, 2, group));
          expect(decoded.flatMap((part) => part.events)).toEqual(whole.events);
          parts.forEach((part, index) => {
            if (decoded[index]!.events.length > 1) expect(part.length).toBeLessThan(maxBytes);
          });
        },
      ),
    );
  });
});
