/**
 * Care of single members: status, hashes, alarms, defragmentation, snapshots. All but alarms concern the member that answers,
 * so connect to one endpoint to know which.
 */
import { AlarmRequest_AlarmAction as Action, AlarmType, services } from '@quorate/proto';
import { toCount } from './bytes.ts';
import type { CallOptions } from './options.ts';
import { type Header, toHeader } from './response.ts';
import { readStream } from './server-stream.ts';
import type { Session } from './session.ts';

const Maintenance_ = services['etcdserverpb.Maintenance'];

export interface Status {
  readonly header: Header;
  /** The etcd release whose API the member serves. */
  readonly version: string;
  readonly dbSizeBytes: number;
  readonly dbSizeInUseBytes: number;
  readonly dbSizeQuotaBytes: number;
  /** Id of the leader it knows; 0 for none. */
  readonly leader: bigint;
  readonly isLearner: boolean;
  readonly raftIndex: number;
  readonly raftAppliedIndex: number;
  readonly raftTerm: number;
  readonly errors: readonly string[];
  readonly storageVersion: string;
  readonly downgrade: { readonly enabled: boolean; readonly targetVersion: string };
}

export type AlarmKind = 'NONE' | 'NOSPACE' | 'CORRUPT';

export interface Alarm {
  readonly memberId: bigint;
  /** A kind that this version does not know is given as its number. */
  readonly kind: AlarmKind | number;
}

export interface HashKv {
  readonly header: Header;
  readonly hash: number;
  readonly compactRevision: number;
  readonly hashRevision: number;
}

/** A piece of a snapshot. */
export interface SnapshotPart {
  /** Bytes of the file that follow this piece; the checksum is not counted. */
  readonly remainingBytes: number;
  /** Of the last piece: the SHA-256 of all others. A saved snapshot has it as its last 32 bytes. */
  readonly bytes: Uint8Array;
  /** Storage version of the file; empty from servers before 3.6. */
  readonly version: string;
}

function alarmKind(value: number): AlarmKind | number {
  const names = Object.keys(AlarmType) as AlarmKind[];
  return names.find((name) => AlarmType[name] === value) ?? value;
}

export class Maintenance {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  async status(options: CallOptions = {}): Promise<Status> {
    const s = await this.session.unary(Maintenance_.Status, {}, 'read', options);
    return {
      header: toHeader(s.header),
      version: s.version,
      dbSizeBytes: toCount(s.dbSize),
      dbSizeInUseBytes: toCount(s.dbSizeInUse),
      dbSizeQuotaBytes: toCount(s.dbSizeQuota),
      leader: s.leader,
      isLearner: s.isLearner,
      raftIndex: toCount(s.raftIndex),
      raftAppliedIndex: toCount(s.raftAppliedIndex),
      raftTerm: toCount(s.raftTerm),
      errors: s.errors,
      storageVersion: s.storageVersion,
      downgrade: {
        enabled: s.downgradeInfo?.enabled ?? false,
        targetVersion: s.downgradeInfo?.targetVersion ?? '',
      },
    };
  }

  /** Hash of the whole database file: for tests; not comparable between members. */
  async hash(options: CallOptions = {}): Promise<{ header: Header; hash: number }> {
    const { header, hash } = await this.session.unary(Maintenance_.Hash, {}, 'read', options);
    return { header: toHeader(header), hash };
  }

  /** Hash of every record up to `revision` (0 for now): equal on members with equal data and compaction. */
  async hashKv(revision: number | bigint = 0, options: CallOptions = {}): Promise<HashKv> {
    const response = await this.session.unary(Maintenance_.HashKV, { revision }, 'read', options);
    return {
      header: toHeader(response.header),
      hash: response.hash,
      compactRevision: toCount(response.compactRevision),
      hashRevision: toCount(response.hashRevision),
    };
  }

  async alarms(options: CallOptions = {}): Promise<readonly Alarm[]> {
    const request = { action: Action.GET, memberID: 0, alarm: AlarmType.NONE };
    const { alarms } = await this.session.unary(Maintenance_.Alarm, request, 'read', options);
    return alarms.map((one) => ({ memberId: one.memberID, kind: alarmKind(one.alarm) }));
  }

  /** Switches alarms off: the one given, or every alarm there is. @returns what was switched off */
  async disarm(alarm?: Alarm, options: CallOptions = {}): Promise<readonly Alarm[]> {
    const targets = alarm ? [alarm] : await this.alarms(options);
    const disarmed: Alarm[] = [];
    for (const { memberId, kind } of targets) {
      const request = {
        action: Action.DEACTIVATE,
        memberID: memberId,
        alarm: typeof kind === 'number' ? kind : AlarmType[kind],
      };
      const { alarms } = await this.session.unary(Maintenance_.Alarm, request, 'write', options);
      disarmed.push(...alarms.map((one) => ({ memberId: one.memberID, kind: alarmKind(one.alarm) })));
    }
    return disarmed;
  }

  /** Gives unused space of the member's database file back. The member may be slow or deaf meanwhile. */
  async defragment(options: CallOptions = {}): Promise<void> {
    await this.session.unary(Maintenance_.Defragment, {}, 'write', options);
  }

  /** The member's database as a file that etcd's tools restore from. Ends the call when it is not read to its end. */
  async *snapshot(options: CallOptions = {}): AsyncGenerator<SnapshotPart, void, void> {
    for await (const part of readStream(this.session, Maintenance_.Snapshot, {}, options)) {
      yield { remainingBytes: toCount(part.remainingBytes), bytes: part.blob, version: part.version };
    }
  }
}
