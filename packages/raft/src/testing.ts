/**
 * `@quorate/raft/testing`: for those who test a host, a storage, or the tests themselves. No promise of stability.
 *
 * Mutants: `createMutant(config, { mayVote: () => true })` is a node with one rule of `rules.ts` broken. A test suite
 * that is worth its name notices each of them; `MUTANTS` lists the classic mistakes by name. The hook is the second
 * argument of the `RawNode` constructor, a table of small pure functions; production code passes none.
 */
import type { RaftConfig } from './config.ts';
import { majorityReached } from './quorum/majority.ts';
import { RawNode } from './raw-node.ts';
import { type Rules, SOUND_RULES } from './rules.ts';
import { NONE } from './types.ts';

export { checkConf, EMPTY_CONF } from './confchange/conf.ts';
export { type Rules, SOUND_RULES } from './rules.ts';
export { STORAGE_CONTRACT, type StorageContractCase, type StorageUnderTest } from './storage-contract.ts';

/** A node with some rules replaced. */
export function createMutant(config: RaftConfig, broken: Partial<Rules>): RawNode {
  return new RawNode(config, { ...SOUND_RULES, ...broken });
}

/** A classic mistake, and what it may lead to. */
export interface Mutant {
  readonly name: string;
  /** The invariant that breaks. */
  readonly breaks: string;
  readonly rules: Partial<Rules>;
}

/** Deliberately broken cores: a harness that lets one of them pass is not testing what it says. */
export const MUTANTS: readonly Mutant[] = [
  {
    name: 'commits an old term by counting',
    breaks: 'a committed entry is overwritten (thesis figure 3.7)',
    rules: { commitsByCounting: () => true },
  },
  {
    name: 'votes twice in a term',
    breaks: 'two leaders in one term',
    rules: { mayVote: () => true },
  },
  {
    name: 'forgets to persist the vote',
    breaks: 'two leaders in one term, after a restart',
    rules: { voteToPersist: () => NONE },
  },
  {
    name: 'skips the log check in votes',
    breaks: 'leader completeness',
    rules: { isUpToDate: () => true },
  },
  {
    name: 'leader ignores a higher term',
    breaks: 'a deposed leader goes on leading: no progress after a partition heals',
    rules: { yieldsTo: (messageTerm, currentTerm, leading) => !leading && messageTerm > currentTerm },
  },
  {
    name: 'accepts appends without the matching check',
    breaks: 'log matching',
    rules: { logMatches: (ownTerm) => ownTerm >= 0 },
  },
  {
    name: 'a late append undoes newer entries',
    breaks: 'acknowledged and committed entries vanish',
    rules: { replacesMatchingEntries: () => true, mayTruncate: () => true },
  },
  {
    name: 'an old snapshot takes the log back',
    breaks: 'the commit index falls',
    rules: { mayRestore: () => true },
  },
  {
    name: 'follower commits beyond what it shares with the leader',
    breaks: 'state-machine safety',
    rules: { followerCommit: (leaderCommit) => leaderCommit },
  },
  {
    name: 'ignores the outgoing majority when committing',
    breaks: 'leader completeness during a joint change',
    rules: { reached: (conf, reached) => majorityReached(conf.voters, reached) },
  },
  {
    name: 'ignores the outgoing majority when electing',
    breaks: 'two leaders during a joint change',
    rules: { elected: (conf, vote) => SOUND_RULES.elected({ ...conf, votersOutgoing: [] }, vote) },
  },
  {
    name: 'acknowledges before persisting',
    breaks: 'committed entries are not durable on a quorum',
    rules: { answersBeforePersisting: () => true },
  },
  {
    name: 'leader counts its own log before it is durable',
    breaks: 'committed entries are not durable on a quorum',
    rules: { ownMatch: (_persisted, lastIndex) => lastIndex },
  },
  {
    name: 'serves reads without a quorum round',
    breaks: 'stale reads from a deposed leader',
    rules: { readNeedsQuorum: () => false },
  },
  {
    name: 'reuses a read round',
    breaks: 'stale reads: an old answer confirms a new read',
    rules: { nextReadRound: () => 1 },
  },
  {
    name: 'serves reads before committing in its term',
    breaks: 'stale reads from a new leader',
    rules: { readNeedsTermCommit: () => false },
  },
  {
    name: 'forgets the silence it owes to a leader',
    breaks: 'stale reads by lease',
    rules: { owesSilence: () => false },
  },
  {
    name: 'holds a lease through a transfer',
    breaks: 'stale reads by lease',
    rules: { transferEndsLease: () => false },
  },
  {
    name: 'applies a configuration at append',
    breaks: 'configurations differ where logs agree',
    rules: { configuresAtAppend: () => true },
  },
  {
    name: 'a change from before a snapshot changes its configuration',
    breaks: 'configurations differ where logs agree',
    rules: { reconfigures: () => true },
  },
  {
    name: 'several configuration changes at once',
    breaks: 'quorums that do not overlap',
    rules: { mayProposeConfChange: () => true },
  },
];
