/**
 * The Election service: Campaign, Proclaim, Leader, Observe, Resign.
 *
 * Candidates queue as lock holders do (`concurrency/line.ts`); the value of a key is what its candidate proclaims. A leader is
 * known by its key *and* that key's create revision (sem-205): with both it may change what it proclaims, and a
 * leader of the past changes nothing.
 */
import type { Handler, StreamCall, StreamListener, UnaryCall } from '@quorate/grpc-server';
import {
  type CampaignRequest,
  CampaignResponse,
  type LeaderKey,
  type LeaderRequest,
  LeaderResponse,
  type ProclaimRequest,
  ProclaimResponse,
  type ResignRequest,
  ResignResponse,
  services,
} from '@quorate/proto';
import type { Outcome, TxnOutcome } from '../results.ts';
import { firstOf } from './concurrency/first.ts';
import type { Lines } from './concurrency/line.ts';
import { ObserveCall } from './concurrency/observe.ts';
import { createdAt, deleteStep, guarded, linePrefix, putStep } from './concurrency/operations.ts';
import { failUnknown, refuseUnknown } from './concurrency/refusals.ts';
import { statusOfError } from './error-map.ts';
import type { ResponseHeader } from './header.ts';
import type { LeaderLoss } from './leader-loss.ts';
import { IGNORE, OpenCalls } from './open-calls.ts';
import { unaryMethod } from './unary.ts';

export interface ElectionService {
  readonly handlers: readonly (readonly [path: string, handler: Handler])[];
  /** Ends the observers. */
  close(): void;
}

export function createElectionService(
  lines: Lines,
  header: ResponseHeader,
  leaderLoss: LeaderLoss,
): ElectionService {
  const { member } = lines;
  const election = services['v3electionpb.Election'];
  const observers = new OpenCalls<ObserveCall>(member, leaderLoss);
  member.onApplied((batch) => {
    for (const observer of observers) observer.onApplied(batch);
  });
  member.onStoreReplaced(() => {
    for (const observer of observers) observer.onStoreReplaced();
  });

  function campaign({ name, lease, value }: CampaignRequest, call: UnaryCall, encodedBytes: number): void {
    const entrant = {
      name,
      lease,
      value,
      replaces: true,
      lostCode: 'ELECTION_NOT_LEADER',
      encodedBytes,
    } as const;
    lines.enter(entrant, call, (error, head) => {
      if (error !== null) {
        failUnknown(call, error);
        return;
      }
      const { key, createRevision, lease: held, enteredRevision } = head!;
      const leader = { name, key, rev: createRevision, lease: held };
      call.reply(CampaignResponse.encode({ header: header.encode(enteredRevision), leader }));
    });
  }

  /** A guarded change of the leader's key. @param done with whether the key was still the leader's */
  function asLeader(
    { key, rev }: LeaderKey,
    step: Parameters<typeof guarded>[1],
    call: UnaryCall,
    encodedBytes: number,
    done: (outcome: TxnOutcome) => void,
  ): void {
    if (key.length === 0) {
      refuseUnknown(call, 'EMPTY_KEY');
      return;
    }
    const settle = (error: Error | null, outcome: Outcome | null): void => {
      if (error !== null) failUnknown(call, error);
      else if (outcome?.kind !== 'txn') throw new Error('a transaction gave another outcome');
      else done(outcome);
    };
    member.propose(guarded(createdAt(key, rev), step), encodedBytes, call.deadlineMs, settle);
  }

  function proclaim({ leader, value }: ProclaimRequest, call: UnaryCall, encodedBytes: number): void {
    if (leader === undefined) {
      refuseUnknown(call, 'MISSING_LEADER_KEY');
      return;
    }
    // A leader that does not name its lease keeps the one it has: a key on none would lead for ever.
    const step = { ...putStep(leader.key, value, leader.lease), ignoreLease: leader.lease === 0n };
    asLeader(leader, step, call, encodedBytes, (outcome) => {
      if (!outcome.succeeded) refuseUnknown(call, 'ELECTION_NOT_LEADER');
      else call.reply(ProclaimResponse.encode({ header: header.encode(outcome.revision) }));
    });
  }

  /** Whoever leads no more has resigned already: no error (sem-205). */
  function resign({ leader }: ResignRequest, call: UnaryCall, encodedBytes: number): void {
    if (leader === undefined) {
      refuseUnknown(call, 'MISSING_LEADER_KEY');
      return;
    }
    asLeader(leader, deleteStep(leader.key), call, encodedBytes, (outcome) => {
      call.reply(ResignResponse.encode({ header: header.encode(outcome.revision) }));
    });
  }

  function leaderOf({ name }: LeaderRequest, call: UnaryCall): void {
    member.confirmRead(call.deadlineMs, (error) => {
      if (error !== null) {
        failUnknown(call, error);
        return;
      }
      firstOf(member.store, linePrefix(name), (rangeError, first, revision) => {
        if (rangeError !== null) failUnknown(call, rangeError);
        else if (first === null) refuseUnknown(call, 'ELECTION_NO_LEADER');
        else call.reply(LeaderResponse.encode({ header: header.encode(revision), kv: first.encoded }));
      });
    });
  }

  function observe(call: StreamCall): StreamListener {
    if (observers.refuse(call)) return IGNORE;
    let asked = false;
    return {
      onMessage(message) {
        if (asked) return;
        asked = true;
        let request: LeaderRequest;
        try {
          request = election.Observe.request.decode(message);
        } catch (error) {
          const { status, message: text } = statusOfError(error as Error);
          call.end(status, text);
          return;
        }
        const observer = new ObserveCall(call, linePrefix(request.name), {
          member,
          header,
          onEnd: () => observers.remove(observer),
        });
        observers.add(call, observer);
        observer.begin();
      },
      onHalfClose() {
        if (!asked) call.end();
      },
    };
  }

  const copied = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes);
  const { Campaign, Proclaim, Leader, Resign, Observe } = election;
  return {
    handlers: [
      [Campaign.path, unaryMethod(member, (bytes) => Campaign.request.decode(copied(bytes)), campaign)],
      [Proclaim.path, unaryMethod(member, (bytes) => Proclaim.request.decode(copied(bytes)), proclaim)],
      [Leader.path, unaryMethod(member, (bytes) => Leader.request.decode(copied(bytes)), leaderOf)],
      [Resign.path, unaryMethod(member, (bytes) => Resign.request.decode(copied(bytes)), resign)],
      [Observe.path, { kind: 'stream', open: observe }],
    ],
    close: () => observers.close(),
  };
}
