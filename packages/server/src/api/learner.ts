/**
 * What a learner answers: its status, serializable ranges and snapshots of its store; every other call on the port is refused, the
 * services that are not etcd's own included (sem-168, sem-169).
 *
 * A learner does not vote and may be far behind; clients that balance over all members must notice and go elsewhere.
 */
import type { Handler } from '@quorate/grpc-server';
import { services } from '@quorate/proto';
import { decodeRangeRequest } from '../codec/requests.ts';
import type { Member } from '../member.ts';
import { statusOfCode } from './error-map.ts';

const STATUS = services['etcdserverpb.Maintenance'].Status.path;
const SNAPSHOT = services['etcdserverpb.Maintenance'].Snapshot.path;
const RANGE = services['etcdserverpb.KV'].Range.path;

/** The same handler, refusing while `member` is a learner. Membership may change at any time, so each call looks. */
export function learnerGuard(
  member: Pick<Member, 'isLearner' | 'ended'>,
  [path, handler]: readonly [path: string, handler: Handler],
): [path: string, handler: Handler] {
  if (path === STATUS || path === SNAPSHOT) return [path, handler];
  // One that has stopped says so itself.
  const applies = (): boolean => member.isLearner && !member.ended;
  const { status, message } = statusOfCode('NOT_SUPPORTED_FOR_LEARNER');
  if (handler.kind === 'unary') {
    return [
      path,
      {
        ...handler,
        handle(bytes, call) {
          if (applies() && !(path === RANGE && isSerializable(bytes))) call.fail(status, message);
          else handler.handle(bytes, call);
        },
      },
    ];
  }
  return [
    path,
    {
      ...handler,
      open(call) {
        if (!applies()) return handler.open(call);
        call.end(status, message);
        return { onMessage() {}, onHalfClose() {} };
      },
    },
  ];
}

function isSerializable(bytes: Uint8Array): boolean {
  try {
    return decodeRangeRequest(bytes).serializable;
  } catch {
    // Not a request: the handler says what is wrong with it.
    return true;
  }
}
