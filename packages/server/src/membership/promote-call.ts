/** A promotion on its way from the member that was asked to the leader: the id in eight bytes; back comes nothing, or an error's code. */
import { type ErrorCode, errorFacts } from '@quorate/proto';
import { DomainError } from '../errors.ts';
import type { ChangeDone } from '../member.ts';
import type { Network } from '../network.ts';

const METHOD = 'member-promote';

/** @param promote on the leader */
export function onPromote(network: Network, promote: (id: bigint, done: ChangeDone) => void): void {
  network.onCall(METHOD, (_from, request, done) => {
    if (request.length !== 8) {
      done(new Error('a promotion names one member'), null);
      return;
    }
    promote(Buffer.from(request).readBigUInt64BE(0), (error) => {
      const code = error instanceof DomainError ? error.code : '';
      if (error !== null && code === '') done(error, null);
      else done(null, Buffer.from(code, 'utf8'));
    });
  });
}

/** @param done `unanswered` also when the one asked does not lead any more */
export function callPromote(
  network: Network,
  leader: bigint,
  id: bigint,
  timeoutMs: number,
  done: (answer: DomainError | null | 'unanswered') => void,
): void {
  const request = Buffer.alloc(8);
  request.writeBigUInt64BE(id);
  network.call(leader, METHOD, request, timeoutMs, (error, response) => {
    const code = response === null ? '' : Buffer.from(response).toString('utf8');
    if (error !== null || code === 'NOT_LEADER' || code === 'SERVER_STOPPED') done('unanswered');
    else done(isErrorCode(code) ? new DomainError(code) : null);
  });
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorFacts, text);
}
