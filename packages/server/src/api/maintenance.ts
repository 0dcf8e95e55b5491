/**
 * The Maintenance service: Status, Hash, HashKV, Alarm, Defragment, MoveLeader, Downgrade.
 *
 * Status, hashes and defragmentation concern this member alone and need no quorum. Alarms are replicated: raising
 * and clearing go through the log, listing waits until this member is up to date.
 */
import type { Handler, UnaryCall } from '@quorate/grpc-server';
import {
  AlarmRequest_AlarmAction as AlarmAction,
  AlarmRequest,
  AlarmResponse,
  AlarmType,
  DefragmentRequest,
  DefragmentResponse,
  DowngradeRequest_DowngradeAction as DowngradeAction,
  DowngradeRequest,
  DowngradeResponse,
  errorFacts,
  etcdApi,
  HashKVRequest,
  HashKVResponse,
  HashRequest,
  HashResponse,
  MoveLeaderRequest,
  MoveLeaderResponse,
  StatusRequest,
  StatusResponse,
  services,
} from '@quorate/proto';
import { DomainError } from '../errors.ts';
import type { Member } from '../member.ts';
import type { ResponseHeader } from './header.ts';
import { fail, refuse, unaryMethod } from './unary.ts';

type Alarms = ReturnType<Member['alarms']>;

/** @param onDefragment hears of the begin of each defragmentation; @returns what hears of its end, and whether it succeeded */
export function maintenanceHandlers(
  member: Member,
  header: ResponseHeader,
  onDefragment: () => (succeeded: boolean) => void,
): [path: string, handler: Handler][] {
  const { store } = member;

  function hash(_request: HashRequest, call: UnaryCall): void {
    store.hash((error, value) => {
      if (error !== null) fail(call, error);
      else call.reply(HashResponse.encode({ header: header.encode(store.revision), hash: value }));
    });
  }

  /** sem-185. */
  function hashKv({ revision }: HashKVRequest, call: UnaryCall): void {
    store.hashKv(narrow(revision), (error, result) => {
      if (error !== null) {
        fail(call, error);
        return;
      }
      call.reply(
        HashKVResponse.encode({
          header: header.encode(store.revision),
          hash: result!.hash,
          compactRevision: result!.compactRevision,
          // Exact also where it was saturated on the way in.
          hashRevision: revision < 0n ? revision : result!.hashRevision,
        }),
      );
    });
  }

  function alarm(request: AlarmRequest, call: UnaryCall, encodedBytes: number): void {
    const reply = (alarms: Alarms): void =>
      call.reply(
        AlarmResponse.encode({
          header: header.encode(store.revision),
          alarms: alarms.map(({ memberId, alarm: type }) => ({ memberID: memberId, alarm: type })),
        }),
      );
    const changes =
      request.action === AlarmAction.DEACTIVATE ||
      (request.action === AlarmAction.ACTIVATE && request.alarm !== AlarmType.NONE);
    if (changes) {
      const { action, memberID: memberId, alarm: type } = request;
      member.propose(
        { kind: 'alarm', action, memberId, alarm: type },
        encodedBytes,
        call.deadlineMs,
        (error, outcome) => {
          if (error !== null) fail(call, error);
          else reply(outcome?.kind === 'alarm' ? outcome.alarms : []);
        },
      );
      return;
    }
    member.confirmRead(call.deadlineMs, (error) => {
      // In etcd the question travels through the log, and comes to the same end there as a write (sem-016).
      const noLeader =
        member.leader === 0n && error instanceof DomainError && error.code === 'REQUEST_TIMED_OUT';
      if (noLeader) refuse(call, 'CONTEXT_DEADLINE_EXCEEDED');
      else if (error !== null) fail(call, error);
      else reply(request.action === AlarmAction.GET ? alarmsOfType(member.alarms(), request.alarm) : []);
    });
  }

  function defragment(_request: DefragmentRequest, call: UnaryCall): void {
    const ended = onDefragment();
    store.defragment((error) => {
      ended(error === null);
      if (error !== null) fail(call, error);
      // Without a header, unlike its siblings (sem-003).
      else call.reply(DefragmentResponse.encode({}));
    });
  }

  function moveLeader({ targetID }: MoveLeaderRequest, call: UnaryCall): void {
    member.cluster.moveLeader(targetID, call.deadlineMs, (error) => {
      if (error !== null) fail(call, error);
      else call.reply(MoveLeaderResponse.encode({}));
    });
  }

  /** sem-194, sem-195. */
  function downgrade({ action, version }: DowngradeRequest, call: UnaryCall): void {
    const what = DOWNGRADE_ACTIONS.get(action);
    if (what === undefined) {
      refuse(call, 'UNKNOWN_METHOD');
      return;
    }
    member.cluster.downgrade(what, version, call.deadlineMs, (error, clusterVersion) => {
      if (error !== null) fail(call, error);
      else {
        call.reply(
          DowngradeResponse.encode({ header: header.encode(store.revision), version: clusterVersion }),
        );
      }
    });
  }

  const Maintenance = services['etcdserverpb.Maintenance'];
  return [
    [
      Maintenance.Status.path,
      unaryMethod(
        member,
        (bytes) => StatusRequest.decode(bytes),
        (_request, call) => call.reply(encodeStatus(member, header)),
      ),
    ],
    [Maintenance.Hash.path, unaryMethod(member, (bytes) => HashRequest.decode(bytes), hash)],
    [Maintenance.HashKV.path, unaryMethod(member, (bytes) => HashKVRequest.decode(bytes), hashKv)],
    [Maintenance.Alarm.path, unaryMethod(member, (bytes) => AlarmRequest.decode(bytes), alarm)],
    [
      Maintenance.Defragment.path,
      unaryMethod(member, (bytes) => DefragmentRequest.decode(bytes), defragment),
    ],
    [
      Maintenance.MoveLeader.path,
      unaryMethod(member, (bytes) => MoveLeaderRequest.decode(bytes), moveLeader),
    ],
    [Maintenance.Downgrade.path, unaryMethod(member, (bytes) => DowngradeRequest.decode(bytes), downgrade)],
  ];
}

/** sem-189: what this member knows by itself, without asking anybody. */
function encodeStatus(member: Member, header: ResponseHeader): Uint8Array {
  const { totalBytes, inUseBytes } = member.store.sizes();
  const errors = member.alarms().map(alarmText);
  if (member.leader === 0n) errors.unshift(errorFacts.NO_LEADER.message);
  return StatusResponse.encode({
    header: header.encode(member.store.revision),
    version: etcdApi.version,
    dbSize: totalBytes,
    leader: member.leader,
    raftIndex: member.committedIndex,
    raftTerm: member.term,
    raftAppliedIndex: member.appliedIndex,
    errors,
    dbSizeInUse: inUseBytes,
    isLearner: member.isLearner,
    storageVersion: etcdApi.version,
    dbSizeQuota: member.limits.quotaBytes,
    downgradeInfo:
      member.downgradeTarget === null ? {} : { enabled: true, targetVersion: member.downgradeTarget },
  });
}

const DOWNGRADE_ACTIONS = new Map([
  [DowngradeAction.VALIDATE as number, 'validate'],
  [DowngradeAction.ENABLE, 'enable'],
  [DowngradeAction.CANCEL, 'cancel'],
] as const);

/** All alarms for NONE; the member named in the request does not matter (sem-181). */
function alarmsOfType(alarms: Alarms, type: number): Alarms {
  return type === AlarmType.NONE ? alarms : alarms.filter(({ alarm }) => alarm === type);
}

const ALARM_NAMES = new Map<number, string>(
  Object.entries(AlarmType).map(([name, number]) => [number, name]),
);

/** An alarm in protobuf's text form, trailing space included (sem-190). */
function alarmText({ memberId, alarm }: Alarms[number]): string {
  const member = memberId === 0n ? '' : `memberID:${memberId} `;
  const type = alarm === AlarmType.NONE ? '' : `alarm:${ALARM_NAMES.get(alarm) ?? alarm} `;
  return member + type;
}

/** A revision from a generated codec, saturated as `codec/int64.ts` explains. */
function narrow(revision: bigint): number {
  if (revision > Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER;
  if (revision < Number.MIN_SAFE_INTEGER) return Number.MIN_SAFE_INTEGER;
  return Number(revision);
}
