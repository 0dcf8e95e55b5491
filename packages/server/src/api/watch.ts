/**
 * The Watch service: one stream method, served from this member's applied state (sem-126).
 *
 * Next: `watch-stream.ts` is one call, `watch-request.ts` and `watch-response.ts` its bytes; the hub in
 * `@quorate/mvcc` decides who gets what and when.
 */
import type { Handler, StreamCall, StreamListener } from '@quorate/grpc-server';
import { WatchHub, type WatchStats } from '@quorate/mvcc';
import type { Member } from '../member.ts';
import type { ResponseHeader } from './header.ts';
import { LeaderLoss } from './leader-loss.ts';
import { IGNORE, OpenCalls } from './open-calls.ts';
import { WatchCall, type WatchPermission } from './watch-stream.ts';

export const WATCH_PATH = '/etcdserverpb.Watch/Watch';

/** Shortest time between automatic progress reports, whatever is configured (sem-122). */
const MIN_PROGRESS_INTERVAL_MS = 100;

export interface WatchService {
  readonly handlers: readonly (readonly [path: string, handler: Handler])[];
  stats(): WatchStats;
  /** Ends all open calls with "server stopped"; later calls are refused with it. */
  close(): void;
}

export interface WatchServiceOptions {
  /** Absent: everybody may watch everything. */
  readonly permission?: WatchPermission;
}

/** What the service needs of a member. */
export type WatchMember = Pick<
  Member,
  | 'env'
  | 'turnEnd'
  | 'store'
  | 'limits'
  | 'leader'
  | 'ended'
  | 'onApplied'
  | 'onStoreReplaced'
  | 'onLeaderChange'
>;

export function createWatchService(
  member: WatchMember,
  header: ResponseHeader,
  options: WatchServiceOptions = {},
): WatchService {
  const permission = options.permission ?? (() => null);
  const { env, turnEnd } = member;
  const runtime = {
    monotonicMs: () => env.monotonicMs(),
    setTimer: (delayMs: number, callback: () => void) => env.setTimer(delayMs, callback),
    afterPoll: (callback: () => void) => turnEnd.afterPoll(callback),
    randomInt: (bound: number) => env.randomInt(bound),
  };
  const hub = new WatchHub(member.store, runtime, {
    progressIntervalMs: Math.max(MIN_PROGRESS_INTERVAL_MS, member.limits.watchProgressIntervalMs),
  });
  member.onApplied((batch) => hub.publish(batch));
  member.onStoreReplaced(() => hub.storeAdvanced());
  const leaderLoss = new LeaderLoss(member);
  const open = new OpenCalls<WatchCall>(member, leaderLoss);

  function openCall(call: StreamCall): StreamListener {
    if (open.refuse(call)) return IGNORE;
    const watchCall = new WatchCall(call, {
      member,
      header,
      hub,
      permission,
      onEnd: (ended) => open.remove(ended),
    });
    if (call.cancelled) return IGNORE;
    open.add(call, watchCall);
    return watchCall;
  }

  return {
    handlers: [[WATCH_PATH, { kind: 'stream', open: openCall }]],
    stats: () => hub.stats(),
    close() {
      open.close();
      leaderLoss.close();
      hub.close();
    },
  };
}
