/**
 * What a node is told when it is made, and the defaults with their reasons.
 *
 * Time is counted in ticks: the host calls `tick()` at a steady rate of its choice (100 ms is usual). Sizes are
 * bytes of entry data. Read next: `raw-node.ts`.
 */
import type { Storage } from './storage.ts';
import type { ConfState, NodeId } from './types.ts';

/** What a node is told when it is made. The thesis section stands with each field; sizes and windows belong to §10.2. */
export interface RaftConfig {
  /** This node; never `NONE`. */
  readonly id: NodeId;
  readonly storage: Storage;
  /**
   * Last index the host's state machine has applied; entries up to it are not handed out again.
   * At least the index of the snapshot the log starts from. Default: that index.
   */
  readonly applied?: number;
  /** Configuration as of `applied`. Default: what `storage.initialState()` returns. */
  readonly conf?: ConfState;
  /** Uniform integer in `[0, bound)`, `bound <= 2^32`: election jitter and the wire ids of reads. */
  readonly random: (bound: number) => number;
  /**
   * Ticks without a word from a leader after which a follower may campaign; the timeout actually used is drawn from
   * `[electionTicks, 2 * electionTicks)` (thesis §3.4). Must exceed `heartbeatTicks`. Default 10.
   */
  readonly electionTicks?: number;
  /** Ticks between heartbeats. Default 1. */
  readonly heartbeatTicks?: number;
  /** Ask whether an election could be won before disturbing anyone's term (thesis §9.6). Default true. */
  readonly preVote?: boolean;
  /**
   * A leader that has not heard from a quorum for `electionTicks` steps down (thesis §6.2), and nobody votes while it
   * hears from a leader (§4.2.3). Default true.
   */
  readonly checkQuorum?: boolean;
  /**
   * How linearizable reads are confirmed. `safe`: one quorum round of heartbeats (thesis §6.4), no clock involved.
   * `lease`: within `electionTicks - leaseMarginTicks` of a confirmed round no further round is needed (§6.4.1). This
   * trusts that the ticks of all nodes run at nearly the same rate and needs `checkQuorum`. Default `safe`.
   */
  readonly readOnly?: 'safe' | 'lease';
  /** Ticks taken off a lease for clocks that drift. Default: a quarter of `electionTicks`, at least 1. */
  readonly leaseMarginTicks?: number;
  /** Appends on their way to one follower before it has to answer (thesis §10.2.1, pipelining). Default 256. */
  readonly maxInflightMessages?: number;
  /** Entry bytes on their way to one follower. Default 16 MiB. */
  readonly maxInflightBytes?: number;
  /** Entry bytes in one append; one larger entry still travels alone. Default 1 MiB. */
  readonly maxMessageBytes?: number;
  /** Entry bytes a leader accepts beyond what is committed; more is dropped with `too-many-uncommitted`. Default 64 MiB. */
  readonly maxUncommittedBytes?: number;
  /**
   * Entry bytes kept in memory after they are durable and committed, for followers that are nearly up to date. Older
   * entries are read back through `Storage`. Default 32 MiB.
   */
  readonly maxTailBytes?: number;
  /** Entry bytes handed out for application and not yet acknowledged by `applied()`. Default 16 MiB. */
  readonly maxApplyingBytes?: number;
  /** Reads waiting for confirmation on this node; more are dropped with `too-many-reads`. Default 65,536. */
  readonly maxPendingReads?: number;
  /** Whether a follower passes proposals on to the leader. Default true. */
  readonly forwardProposals?: boolean;
}

/** `RaftConfig` with every default filled in. */
export type ResolvedConfig = Required<Omit<RaftConfig, 'applied' | 'conf'>>;

const MIB = 1024 * 1024;

/** Defaults; the reasons are with the fields of `RaftConfig`. Thesis §3.9 on timing. */
export const DEFAULTS = {
  electionTicks: 10,
  heartbeatTicks: 1,
  preVote: true,
  checkQuorum: true,
  readOnly: 'safe',
  maxInflightMessages: 256,
  maxInflightBytes: 16 * MIB,
  maxMessageBytes: MIB,
  maxUncommittedBytes: 64 * MIB,
  maxTailBytes: 32 * MIB,
  maxApplyingBytes: 16 * MIB,
  maxPendingReads: 65_536,
  forwardProposals: true,
} as const;

/** Fills in defaults. @throws RangeError for a configuration that cannot work, naming the field. */
export function resolveConfig(config: RaftConfig): ResolvedConfig {
  const electionTicks = config.electionTicks ?? DEFAULTS.electionTicks;
  const resolved: ResolvedConfig = {
    ...DEFAULTS,
    ...definedOnly(config),
    id: config.id,
    storage: config.storage,
    random: config.random,
    electionTicks,
    leaseMarginTicks: config.leaseMarginTicks ?? Math.max(1, Math.floor(electionTicks / 4)),
  };
  if (resolved.id <= 0n || resolved.id >= 1n << 64n) throw new RangeError('id must be in [1, 2^64)');
  for (const field of POSITIVE) {
    if (!Number.isSafeInteger(resolved[field]) || resolved[field] < 1) {
      throw new RangeError(`${field} must be a positive integer`);
    }
  }
  if (resolved.electionTicks <= resolved.heartbeatTicks) {
    throw new RangeError(
      'electionTicks must exceed heartbeatTicks, or followers campaign between heartbeats',
    );
  }
  if (resolved.readOnly === 'lease') {
    if (!resolved.checkQuorum)
      throw new RangeError('readOnly lease needs checkQuorum: the lease rests on it');
    if (resolved.leaseMarginTicks >= resolved.electionTicks) {
      throw new RangeError('leaseMarginTicks must be below electionTicks');
    }
  }
  return resolved;
}

const POSITIVE = [
  'electionTicks',
  'heartbeatTicks',
  'leaseMarginTicks',
  'maxInflightMessages',
  'maxInflightBytes',
  'maxMessageBytes',
  'maxUncommittedBytes',
  'maxTailBytes',
  'maxApplyingBytes',
  'maxPendingReads',
] as const satisfies readonly (keyof ResolvedConfig)[];

/** A field given as `undefined` means "default", not "undefined". */
function definedOnly(config: RaftConfig): Partial<ResolvedConfig> {
  const { applied: _applied, conf: _conf, ...rest } = config;
  return Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
}
