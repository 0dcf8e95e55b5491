/**
 * The Lease service: LeaseGrant, LeaseRevoke, LeaseKeepAlive, LeaseTimeToLive, LeaseLeases.
 *
 * Granting and revoking go through the log and do not change the revision by themselves (sem-086). Renewing and telling
 * the time left are the leader's alone (`lease-leader.ts`); the list is this member's own (sem-099).
 *
 * Next: `keep-alive.ts` is the stream, `lease/` the leases themselves.
 */
import type { Handler, StreamCall, StreamListener, UnaryCall } from '@quorate/grpc-server';
import {
  LeaseGrantResponse,
  LeaseLeasesResponse,
  LeaseTimeToLiveResponse,
  limits as protocolLimits,
  services,
} from '@quorate/proto';
import { encodeHeaderResponse } from '../codec/responses.ts';
import type { Env } from '../env.ts';
import type { LeaseView } from '../lease/lessor.ts';
import type { Member } from '../member.ts';
import type { ResponseHeader } from './header.ts';
import { KeepAliveCall, type Renew } from './keep-alive.ts';
import { LeaderLoss } from './leader-loss.ts';
import { LeaderLeases } from './lease-leader.ts';
import { IGNORE, OpenCalls } from './open-calls.ts';
import { endIfAbandoned, fail, refuse, unaryMethod } from './unary.ts';

const lease = services['etcdserverpb.Lease'];

export type LeaseServiceMember = Pick<
  Member,
  | 'env'
  | 'store'
  | 'lessor'
  | 'limits'
  | 'leader'
  | 'ended'
  | 'committedIndex'
  | 'appliedIndex'
  | 'members'
  | 'propose'
  | 'confirmRead'
  | 'onLeaderChange'
  | 'memberId'
  | 'network'
>;

export interface LeaseService {
  readonly handlers: readonly (readonly [path: string, handler: Handler])[];
  /** Ends open keep-alive streams with "server stopped"; later ones are refused with it. */
  close(): void;
}

export function createLeaseService(member: LeaseServiceMember, header: ResponseHeader): LeaseService {
  const leaderLoss = new LeaderLoss(member);
  const leader = new LeaderLeases(member);
  const open = new OpenCalls<KeepAliveCall>(member, leaderLoss);

  function grant(request: { ID: bigint; TTL: bigint }, call: UnaryCall, encodedBytes: number): void {
    if (request.TTL > BigInt(protocolLimits.maxLeaseTtlSec)) {
      refuse(call, 'LEASE_TTL_TOO_LARGE');
      return;
    }
    // Anything below the minimum, zero and negative too, is the minimum (sem-084).
    const ttlSec = Math.max(Number(request.TTL), member.limits.minLeaseTtlSec);
    const id = request.ID === 0n ? freeId(member) : request.ID;
    member.propose({ kind: 'lease-grant', id, ttlSec }, encodedBytes, call.deadlineMs, (error) => {
      if (error !== null) fail(call, error);
      else call.reply(LeaseGrantResponse.encode({ header: currentHeader(), ID: id, TTL: ttlSec }));
    });
  }

  function revoke(request: { ID: bigint }, call: UnaryCall, encodedBytes: number): void {
    member.propose({ kind: 'lease-revoke', id: request.ID }, encodedBytes, call.deadlineMs, (error) => {
      if (error !== null) fail(call, error);
      else call.reply(encodeHeaderResponse(header, member.store.revision));
    });
  }

  function timeToLive(request: { ID: bigint; keys: boolean }, call: UnaryCall): void {
    leader.view(
      request.ID,
      call.deadlineMs,
      () => endIfAbandoned(call),
      (error, view) => {
        if (error !== null) fail(call, error);
        else if (view === null || !request.keys || member.lessor.primary) {
          call.reply(timeToLiveOf(request, view));
        } else withKeys(request, call, view);
      },
    );
  }

  /** The leader's word came from elsewhere: the keys are this member's own, once it has applied what the leader had. */
  function withKeys(request: { ID: bigint; keys: boolean }, call: UnaryCall, view: LeaseView): void {
    member.confirmRead(call.deadlineMs, (error) => {
      if (error !== null) fail(call, error);
      else call.reply(timeToLiveOf(request, member.lessor.exists(request.ID) ? view : null));
    });
  }

  /** An unknown lease is an answer, not an error (sem-098). */
  function timeToLiveOf(request: { ID: bigint; keys: boolean }, view: LeaseView | null): Uint8Array {
    if (view === null)
      return LeaseTimeToLiveResponse.encode({ header: currentHeader(), ID: request.ID, TTL: -1 });
    return LeaseTimeToLiveResponse.encode({
      header: currentHeader(),
      ID: request.ID,
      TTL: Math.floor(view.remainingMs / 1000),
      grantedTTL: view.grantedTtlSec,
      keys: request.keys ? [...member.store.leaseKeys(request.ID)] : [],
    });
  }

  const renew: Renew = (id, call, done) => leader.renew(id, () => call.cancelled || open.closed, done);

  function openKeepAlive(call: StreamCall): StreamListener {
    if (open.refuse(call)) return IGNORE;
    const keepAlive = new KeepAliveCall(call, {
      member,
      header,
      renew,
      onEnd: (ended) => open.remove(ended),
    });
    if (call.cancelled) return IGNORE;
    open.add(call, keepAlive);
    return keepAlive;
  }

  function currentHeader(): never {
    return header.encode(member.store.revision) as never;
  }

  return {
    handlers: [
      [lease.LeaseGrant.path, unaryMethod(member, (bytes) => lease.LeaseGrant.request.decode(bytes), grant)],
      [
        lease.LeaseRevoke.path,
        unaryMethod(member, (bytes) => lease.LeaseRevoke.request.decode(bytes), revoke),
      ],
      [lease.LeaseKeepAlive.path, { kind: 'stream', open: openKeepAlive }],
      [
        lease.LeaseTimeToLive.path,
        unaryMethod(member, (bytes) => lease.LeaseTimeToLive.request.decode(bytes), timeToLive),
      ],
      [
        lease.LeaseLeases.path,
        unaryMethod(
          member,
          (bytes) => lease.LeaseLeases.request.decode(bytes),
          (_request, call) => {
            const leases = member.lessor.list().map((ID) => ({ ID }));
            call.reply(LeaseLeasesResponse.encode({ header: currentHeader(), leases }));
          },
        ),
      ],
    ],
    close() {
      open.close();
      leader.close();
      leaderLoss.close();
    },
  };
}

/** A positive id that no lease has (sem-083). */
export function freeId({ env, lessor }: { readonly env: Env; readonly lessor: Member['lessor'] }): bigint {
  for (;;) {
    const id = Buffer.from(env.randomBytes(8)).readBigInt64BE() & 0x7fff_ffff_ffff_ffffn;
    if (id !== 0n && !lessor.exists(id)) return id;
  }
}
