/** Which of several snapshots a member takes in: what is under way goes on, or they could end each other for ever. */
import type { ImageInfo, ImageSink } from '@quorate/mvcc';
import { encodeMessage, MessageType, makeMessage } from '@quorate/raft';
import { expect, test } from 'vitest';
import type { SnapshotContent } from '../network.ts';
import { type ReceivedSnapshot, SnapshotReceiver } from './snapshot-receiver.ts';

/** A receiver whose senders and store move when the test says so. */
function receiver() {
  const outcomes: Record<string, string> = {};
  const delivered: ReceivedSnapshot[] = [];
  const installed: ((error: Error | null) => void)[] = [];
  const finished: ((error: Error | null, info: ImageInfo | null) => void)[] = [];
  const sink = (): ImageSink => ({
    write: (_chunk, done) => done(null),
    finish: (done) => finished.push(done),
    abort() {},
  });
  const under = new SnapshotReceiver(
    { receiveImage: sink },
    { log() {} },
    {
      wants: () => true,
      step() {},
      deliver: (received, done) => {
        delivered.push(received);
        installed.push(done);
      },
    },
  );
  /** Begins a transfer. @returns its end: all content has come */
  const send = (name: string, from: bigint, term: number, index: number): (() => void) => {
    let pulled: Parameters<SnapshotContent['next']>[0] | null = null;
    const conf = { voters: [1n, 9n], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
    const snapshot = { meta: { index, term: 1, conf }, data: new Uint8Array(4) };
    const content: SnapshotContent = {
      next: (done) => {
        pulled = done;
      },
      close() {},
    };
    const message = makeMessage({ type: MessageType.snapshot, from, to: 9n, term, snapshot });
    under.receive(from, encodeMessage(message), content, (error) => {
      outcomes[name] = error?.message ?? 'installed';
    });
    return () => pulled!(null, null);
  };
  return { send, outcomes, delivered, installed, finished };
}

const image = (appliedIndex: number): ImageInfo => ({ appliedIndex, appliedTerm: 1 }) as ImageInfo;

test('case-48 another of the same leader is refused, whatever its index; the first goes on and is installed', () => {
  const { send, outcomes, delivered, installed, finished } = receiver();
  const whole = send('first', 1n, 3, 10);
  send('same', 1n, 3, 10);
  send('newer', 1n, 3, 20);
  send('of an older leader', 2n, 2, 30);
  const refused = 'another snapshot is being received';
  expect(outcomes).toEqual({ same: refused, newer: refused, 'of an older leader': refused });
  whole();
  finished[0]!(null, image(10));
  installed[0]!(null);
  expect(outcomes.first).toBe('installed');
  expect(delivered.map(({ snapshot }) => snapshot.meta.index)).toEqual([10]);
});

test('case-48 a later leader takes the place of an earlier one', () => {
  const { send, outcomes, installed, finished } = receiver();
  send('first', 1n, 3, 10);
  const whole = send('later', 2n, 4, 8);
  expect(outcomes).toEqual({ first: 'a newer leader sends another' });
  whole();
  finished[0]!(null, image(8));
  installed[0]!(null);
  expect(outcomes.later).toBe('installed');
});

test('case-48 one that is whole, or being installed, is not given up even for a later leader', () => {
  const { send, outcomes, installed, finished } = receiver();
  send('first', 1n, 3, 10)();
  send('while it is put together', 2n, 4, 20);
  expect(outcomes['while it is put together']).toBe('another snapshot is being received');
  finished[0]!(null, image(10));
  send('while it is installed', 2n, 4, 20);
  expect(outcomes['while it is installed']).toBe('another snapshot is being installed');
  installed[0]!(null);
  expect(outcomes.first).toBe('installed');
  const whole = send('after it', 2n, 4, 20);
  whole();
  finished[1]!(null, image(20));
  installed[1]!(null);
  expect(outcomes['after it']).toBe('installed');
});
