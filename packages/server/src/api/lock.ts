/**
 * The Lock service: Lock and Unlock, for clients that have no lock of their own built in.
 *
 * A lock is a queue of keys (`concurrency/line.ts`), and holding it means that one's key is the oldest. Every failure has the code
 * UNKNOWN with the text of its cause, since etcd's service is a client of its own server and passes texts on (sem-200).
 */
import type { Handler, UnaryCall } from '@quorate/grpc-server';
import { type LockRequest, LockResponse, services, type UnlockRequest, UnlockResponse } from '@quorate/proto';
import type { Lines } from './concurrency/line.ts';
import { deleteStep } from './concurrency/operations.ts';
import { failUnknown, refuseUnknown } from './concurrency/refusals.ts';
import type { ResponseHeader } from './header.ts';
import { unaryMethod } from './unary.ts';

const NOTHING = new Uint8Array(0);

export function lockHandlers(lines: Lines, header: ResponseHeader): [path: string, handler: Handler][] {
  const { member } = lines;
  const { Lock, Unlock } = services['v3lockpb.Lock'];

  function lock({ name, lease }: LockRequest, call: UnaryCall, encodedBytes: number): void {
    const entrant = {
      name,
      lease,
      value: NOTHING,
      replaces: false,
      lostCode: 'SESSION_EXPIRED',
      encodedBytes,
    } as const;
    lines.enter(entrant, call, (error, head) => {
      if (error !== null) failUnknown(call, error);
      else call.reply(LockResponse.encode({ header: header.encode(head!.revision), key: head!.key }));
    });
  }

  /** A key that is not there is released already (sem-202). */
  function unlock({ key }: UnlockRequest, call: UnaryCall, encodedBytes: number): void {
    if (key.length === 0) {
      refuseUnknown(call, 'EMPTY_KEY');
      return;
    }
    member.propose(deleteStep(key), encodedBytes, call.deadlineMs, (error, outcome) => {
      if (error !== null) failUnknown(call, error);
      else if (outcome?.kind !== 'delete-range') throw new Error('a deletion gave another outcome');
      else call.reply(UnlockResponse.encode({ header: header.encode(outcome.revision) }));
    });
  }

  return [
    [Lock.path, unaryMethod(member, (bytes) => Lock.request.decode(Uint8Array.from(bytes)), lock)],
    [Unlock.path, unaryMethod(member, (bytes) => Unlock.request.decode(Uint8Array.from(bytes)), unlock)],
  ];
}
