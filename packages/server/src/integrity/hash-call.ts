/**
 * Asking another member for the hash of its keys at a revision (`hash-kv`).
 *
 *   request    revision (8), 1: catch up with the cluster first, 0: as it is now
 *   response   1: compacted there, 2: not there yet, or 0 and: current revision (8), compact revision (8), hash (4)
 */
import { CompactedError, FutureRevisionError, type Store } from '@quorate/mvcc';
import type { Network } from '../network.ts';

const METHOD = 'hash-kv';
const REQUEST_BYTES = 9;
const RESPONSE_BYTES = 21;
const ANSWERED = 0;
const COMPACTED = 1;
const FUTURE = 2;

export interface KeysHash {
  readonly hash: number;
  /** Revision the member is at. */
  readonly revision: number;
  readonly compactRevision: number;
}

export type HashAnswer = KeysHash | 'compacted' | 'future' | 'unanswered';

/** @param catchUp waits until everything committed is applied */
export function onHashCall(
  network: Network,
  store: Store,
  catchUp: (done: (error: Error | null) => void) => void,
): void {
  network.onCall(METHOD, (_from, request, done) => {
    if (request.length !== REQUEST_BYTES) {
      done(new Error('the question names a revision'), null);
      return;
    }
    const view = new DataView(request.buffer, request.byteOffset, REQUEST_BYTES);
    const revision = Number(view.getBigInt64(0));
    const answer = (): void =>
      hashAt(store, revision, (hash) => {
        if (hash === 'unanswered') done(new Error('the hash could not be made'), null);
        else done(null, encode(hash));
      });
    if (view.getUint8(8) === 0) answer();
    else catchUp((error) => (error === null ? answer() : done(error, null)));
  });
}

export function callHash(
  network: Network,
  to: bigint,
  revision: number,
  options: { readonly catchUp: boolean; readonly timeoutMs: number },
  done: (answer: HashAnswer) => void,
): void {
  const request = Buffer.alloc(REQUEST_BYTES);
  request.writeBigInt64BE(BigInt(revision), 0);
  request.writeUInt8(options.catchUp ? 1 : 0, 8);
  network.call(to, METHOD, request, options.timeoutMs, (error, response) => {
    done(error === null && response !== null ? decode(response) : 'unanswered');
  });
}

/** This member's own. */
export function hashAt(store: Store, revision: number, done: (answer: HashAnswer) => void): void {
  store.hashKv(revision, (error, result) => {
    if (error instanceof CompactedError) done('compacted');
    else if (error instanceof FutureRevisionError) done('future');
    else if (result === null) done('unanswered');
    else {
      done({ hash: result.hash, revision: store.revision, compactRevision: result.compactRevision });
    }
  });
}

function encode(answer: Exclude<HashAnswer, 'unanswered'>): Uint8Array {
  if (answer === 'compacted') return Uint8Array.of(COMPACTED);
  if (answer === 'future') return Uint8Array.of(FUTURE);
  const bytes = Buffer.alloc(RESPONSE_BYTES);
  bytes.writeUInt8(ANSWERED, 0);
  bytes.writeBigInt64BE(BigInt(answer.revision), 1);
  bytes.writeBigInt64BE(BigInt(answer.compactRevision), 9);
  bytes.writeUInt32BE(answer.hash >>> 0, 17);
  return bytes;
}

function decode(bytes: Uint8Array): HashAnswer {
  if (bytes[0] === COMPACTED) return 'compacted';
  if (bytes[0] === FUTURE) return 'future';
  if (bytes.length !== RESPONSE_BYTES || bytes[0] !== ANSWERED) return 'unanswered';
  const view = new DataView(bytes.buffer, bytes.byteOffset, RESPONSE_BYTES);
  const [revision, compactRevision] = [Number(view.getBigInt64(1)), Number(view.getBigInt64(9))];
  return { hash: view.getUint32(17), revision, compactRevision };
}
