/**
 * A recorded call sent to a member, and its answer in the words of the history. Nothing is retried or corrected.
 */
import { services } from '@quorate/proto';
import type { RecordedAnswer, RecordedCall } from '../checkers/history.ts';
import type { AnswerHeader } from '../checkers/recorder.ts';
import {
  deleteAnswer,
  deleteOf,
  putAnswer,
  putOf,
  rangeAnswer,
  rangeOf,
  text,
  txnAnswer,
  txnOf,
} from '../checkers/wire-messages.ts';
import { type CallResult, type Connection, headerOf } from '../cluster/connection.ts';

export type SentCall =
  | { readonly ok: true; readonly answer: RecordedAnswer; readonly header: AnswerHeader }
  | { readonly ok: false; readonly error: string };

const KV = services['etcdserverpb.KV'];
const LEASE = services['etcdserverpb.Lease'];

export async function sendCall(
  connection: Connection,
  call: RecordedCall,
  timeoutMs: number,
): Promise<SentCall> {
  switch (call.kind) {
    case 'range':
      return told(await connection.call(KV.Range, rangeOf(call), timeoutMs), rangeAnswer);
    case 'put':
      return told(await connection.call(KV.Put, putOf(call), timeoutMs), putAnswer);
    case 'delete':
      return told(await connection.call(KV.DeleteRange, deleteOf(call), timeoutMs), deleteAnswer);
    case 'txn':
      return told(await connection.call(KV.Txn, txnOf(call), timeoutMs), txnAnswer);
    case 'compact':
      return told(await connection.call(KV.Compact, { revision: call.revision }, timeoutMs), () => ({
        kind: 'compact',
      }));
    case 'lease-grant':
      return told(
        await connection.call(LEASE.LeaseGrant, { ID: call.lease, TTL: call.ttlSec }, timeoutMs),
        (granted) => ({
          kind: 'lease-grant',
          lease: granted.ID,
          ttlSec: Number(granted.TTL),
        }),
      );
    case 'lease-revoke':
      return told(await connection.call(LEASE.LeaseRevoke, { ID: call.lease }, timeoutMs), () => ({
        kind: 'lease-revoke',
      }));
    case 'lease-time-to-live':
      return told(
        await connection.call(LEASE.LeaseTimeToLive, { ID: call.lease, keys: true }, timeoutMs),
        (left) => ({
          kind: 'lease-time-to-live',
          ttlSec: Number(left.TTL),
          grantedTtlSec: Number(left.grantedTTL),
          keys: left.keys.map(text),
        }),
      );
    case 'lease-keepalive': {
      const result = await connection.keepAlive(call.lease, timeoutMs);
      if (!result.ok) return { ok: false, error: result.error };
      const { ttlSec, ...header } = result.response;
      return { ok: true, answer: { kind: 'lease-keepalive', ttlSec }, header };
    }
  }
}

function told<R extends { readonly header: Parameters<typeof headerOf>[0]['header'] }>(
  result: CallResult<R>,
  answer: (response: R) => RecordedAnswer,
): SentCall {
  if (!result.ok) return { ok: false, error: result.error };
  return { ok: true, answer: answer(result.response), header: headerOf(result.response) };
}
