/**
 * What a member is put together from (`start-member.ts`), and how its parts speak to the log.
 */
import type { Store } from '@quorate/mvcc';
import type { RawNode } from '@quorate/raft';
import type { Disk, Wal } from '@quorate/wal';
import type { Alarms } from '../alarms.ts';
import type { Applier } from '../apply/applier.ts';
import type { SnapshotImages } from '../consensus/snapshot-images.ts';
import type { WalStorage } from '../consensus/wal-storage.ts';
import type { Env } from '../env.ts';
import type { Failpoint } from '../failpoints.ts';
import type { Histogram } from '../histogram.ts';
import type { StateHash } from '../integrity/state-hash.ts';
import type { MemberInfo, MemberLimits } from '../member.ts';
import type { MemberConfig } from '../member-config.ts';
import type { ConfHistory } from '../membership/conf-history.ts';
import { formatId } from '../membership/ids.ts';
import type { Members } from '../membership/members.ts';
import type { Network } from '../network.ts';
import type { TurnEnd } from '../turn-end.ts';

export interface MemberParts {
  readonly config: MemberConfig;
  readonly limits: MemberLimits;
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly env: Env;
  readonly turnEnd: TurnEnd;
  readonly network: Network;
  readonly failpoint: Failpoint;
  readonly disk: Disk;
  readonly node: RawNode;
  readonly wal: Wal;
  readonly storage: WalStorage;
  readonly images: SnapshotImages;
  readonly store: Store;
  /** How long the store's transactions took. */
  readonly commitSeconds: Histogram;
  readonly alarms: Alarms;
  readonly members: Members;
  readonly confs: ConfHistory;
  /** Those to talk to before anything is applied that says so. */
  readonly initialPeers: readonly MemberInfo[];
  readonly applier: Applier;
  readonly stateHash: StateHash;
  /** What this server runs: `MAJOR.MINOR.PATCH`. */
  readonly serverVersion: string;
  /** As recovered from the log. */
  readonly committedIndex: number;
  /** End of the log as recovered. */
  readonly lastIndex: number;
  /** Gives up the data folder, after log and store are closed. */
  readonly releaseFolder: () => void;
}

/** Writes to the server's log, with the member's id on every line. */
export type MemberLog = (
  level: 'info' | 'warn' | 'error' | 'fatal',
  message: string,
  fields?: Record<string, unknown>,
) => void;

export function memberLog({ env, memberId }: Pick<MemberParts, 'env' | 'memberId'>): MemberLog {
  return (level, message, fields) =>
    env.log.log(level, message, { 'member-id': formatId(memberId), ...fields });
}
