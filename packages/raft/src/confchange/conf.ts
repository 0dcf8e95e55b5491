/**
 * Questions about a configuration, and the rules every configuration keeps.
 *
 * - a learner is not a voter in either half (thesis §4.2.1);
 * - `learnersNext` are voters of the outgoing half that become learners once it is left: until then they still vote;
 * - outside of a joint configuration `learnersNext` is empty and `autoLeave` is off.
 */
import { assert } from '../errors.ts';
import type { ConfState, NodeId } from '../types.ts';

/** No members at all: the configuration of a node that waits for a snapshot to tell it. Thesis §4.4. */
export const EMPTY_CONF: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** Whether two sets of voters decide together (thesis §4.3). */
export function isJoint(conf: ConfState): boolean {
  return conf.votersOutgoing.length > 0;
}

/** Every member once, in order of id. Thesis §4.1. */
export function members(conf: ConfState): NodeId[] {
  return sortedIds([...conf.voters, ...conf.votersOutgoing, ...conf.learners, ...conf.learnersNext]);
}

/** Whether a node is in a configuration at all, as a voter of either half or as a learner (thesis §4.1, §4.2.1). */
export function isMember(conf: ConfState, id: NodeId): boolean {
  return (
    conf.voters.includes(id) ||
    conf.votersOutgoing.includes(id) ||
    conf.learners.includes(id) ||
    conf.learnersNext.includes(id)
  );
}

/** Without repetition, ascending. */
export function sortedIds(ids: Iterable<NodeId>): NodeId[] {
  return [...new Set(ids)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** The same configuration in its one canonical form: each list ascending, without repetition. */
export function canonicalConf(conf: ConfState): ConfState {
  return {
    voters: sortedIds(conf.voters),
    votersOutgoing: sortedIds(conf.votersOutgoing),
    learners: sortedIds(conf.learners),
    learnersNext: sortedIds(conf.learnersNext),
    autoLeave: conf.autoLeave,
  };
}

/** @throws InvariantError when `conf` breaks one of the rules above */
export function checkConf(conf: ConfState): void {
  for (const id of conf.learners) {
    assert(
      !conf.voters.includes(id) && !conf.votersOutgoing.includes(id),
      'configuration: a learner is no voter',
      id,
    );
  }
  for (const id of conf.learnersNext) {
    assert(
      conf.votersOutgoing.includes(id),
      'configuration: a learner-to-be still votes in the outgoing half',
      id,
    );
    assert(!conf.voters.includes(id), 'configuration: a learner-to-be is not an incoming voter', id);
  }
  if (!isJoint(conf)) {
    assert(
      conf.learnersNext.length === 0,
      'configuration: learners-to-be exist only in a joint configuration',
    );
    assert(!conf.autoLeave, 'configuration: only a joint configuration can be left');
  }
}
