/** An observer whose member's store is replaced: events in between were told to nobody. */
import type { KeyRecord, Store } from '@quorate/mvcc';
import { StoreReplacedError } from '@quorate/mvcc';
import { KeyValue, LeaderRequest, LeaderResponse, services } from '@quorate/proto';
import { expect, test } from 'vitest';
import { Lines } from '../../src/api/concurrency/line.ts';
import { ObserveCall, type ObserveOptions } from '../../src/api/concurrency/observe.ts';
import { createElectionService } from '../../src/api/election.ts';
import type { LeaderLoss } from '../../src/api/leader-loss.ts';
import type { Member } from '../../src/member.ts';
import { TestStreamCall, TestUnaryCall } from '../support/calls.ts';

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
  return { state, store, options, call, observer, told };
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

test('and so is that of Leader: a member that got an image answers from it', () => {
  const { state, store, options } = world();
  const member = { ...options.member, store, leader: 1n, ended: false, onApplied() {}, onStoreReplaced() {} };
  const lines = new Lines(member as unknown as Member);
  const { handlers } = createElectionService(lines, options.header, {} as LeaderLoss);
  const { path } = services['v3electionpb.Election'].Leader;
  const handler = new Map(handlers).get(path);
  if (handler?.kind !== 'unary') throw new Error('not unary');
  state.records = [record('e/1', 2, 'one')];
  state.failure = new StoreReplacedError('replaced');
  const asked = new TestUnaryCall(path, {});
  handler.handle(LeaderRequest.encode({ name: Buffer.from('e') }), asked);
  expect(asked.failure).toBeNull();
  expect(Buffer.from(LeaderResponse.decode(asked.response!).kv!.value).toString()).toBe('one');
});
