/** An observer whose member's store is replaced: events in between were told to nobody. */
import type { KeyRecord, Store } from '@quorate/mvcc';
import { StoreReplacedError } from '@quorate/mvcc';
import { KeyValue, LeaderResponse } from '@quorate/proto';
import { expect, test } from 'vitest';
import { ObserveCall, type ObserveOptions } from '../../src/api/concurrency/observe.ts';
import { TestStreamCall } from '../support/calls.ts';

function world() {
  const state = { records: [] as KeyRecord[], failure: null as Error | null };
  const store = {
    range: (_options: unknown, done: (error: Error | null, result: unknown) => void) => {
      const { failure } = state;
      state.failure = null;
      if (failure !== null) done(failure, null);
      else done(null, { records: state.records, revision: 9 });
    },
  } as unknown as Store;
  const options = {
    member: { store, confirmRead: (_deadlineMs: number, done: (error: null) => void) => done(null) },
    header: { encode: () => new Uint8Array(0) },
    onEnd() {},
  } as unknown as ObserveOptions;
  const call = new TestStreamCall('/observe', {});
  const observer = new ObserveCall(call, Buffer.from('e/'), options);
  const told = () =>
    call.messages.map((message) => Buffer.from(LeaderResponse.decode(message).kv!.value).toString());
  return { state, call, observer, told };
}

function record(name: string, createRevision: number, value: string): KeyRecord {
  const key = Buffer.from(name);
  const encoded = KeyValue.encode({ key, value: Buffer.from(value) });
  return { key, createRevision, modRevision: createRevision, encoded } as unknown as KeyRecord;
}

test('a leader that changed meanwhile is told, one that did not is not told again', () => {
  const { state, observer, told } = world();
  state.records = [record('e/1', 2, 'one')];
  observer.begin();
  observer.onStoreReplaced();
  expect(told()).toEqual(['one']);
  state.records = [record('e/2', 5, 'two')];
  observer.onStoreReplaced();
  expect(told()).toEqual(['one', 'two']);
});

test('the first leader after a vacancy is told', () => {
  const { state, observer, told } = world();
  observer.begin();
  state.records = [record('e/1', 2, 'one')];
  observer.onStoreReplaced();
  expect(told()).toEqual(['one']);
});

test('a read that the replacement ended is made again', () => {
  const { state, call, observer, told } = world();
  state.records = [record('e/1', 2, 'one')];
  state.failure = new StoreReplacedError('replaced');
  observer.begin();
  expect(call.ended).toBeNull();
  expect(told()).toEqual(['one']);
});
