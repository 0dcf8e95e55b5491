/**
 * From one configuration to the next (thesis chapter 4). Pure: every node computes the same.
 *
 *     voters (1 2 3)                              the start
 *     joint  (2 3 4) & (1 2 3)                    enter: remove 1, add 4; both halves decide
 *     voters (2 3 4)                              leave: the incoming half alone decides
 *
 * A change that moves at most one voter needs no joint step: any two majorities of sets that differ by one member
 * overlap (§4.1).
 */
import { ConfChangeError } from '../errors.ts';
import type { ConfState, NodeId } from '../types.ts';
import { canonicalConf, checkConf, isJoint, members } from './conf.ts';
import type { ConfChange, ConfChangeStep } from './types.ts';

/**
 * The configuration after `change`.
 * @throws ConfChangeError when the change does not fit `conf`
 */
export function changeConf(conf: ConfState, change: ConfChange): ConfState {
  if (change.steps.length === 0 && change.transition === 'auto') return leaveJoint(conf);
  // A node that knows no configuration yet takes the first as it is: there is nobody to agree with.
  if (members(conf).length === 0) return applySteps(conf, change.steps);
  if (change.transition === 'auto' && votersMoved(conf, change.steps) <= 1) return simple(conf, change.steps);
  return enterJoint(conf, change.steps, change.transition !== 'joint-explicit');
}

/** A single-server change: at most one voter comes or goes; learners move freely. */
export function simple(conf: ConfState, steps: readonly ConfChangeStep[]): ConfState {
  if (isJoint(conf)) throw new ConfChangeError('a joint configuration has to be left first');
  if (votersMoved(conf, steps) > 1) {
    throw new ConfChangeError('more than one voter changes without joint consensus');
  }
  return applySteps(conf, steps);
}

/** Enters a joint configuration: the voters so far become the outgoing half. */
export function enterJoint(conf: ConfState, steps: readonly ConfChangeStep[], autoLeave: boolean): ConfState {
  if (isJoint(conf)) throw new ConfChangeError('a joint configuration has to be left first');
  if (conf.voters.length === 0)
    throw new ConfChangeError('a configuration without voters cannot become joint');
  return applySteps({ ...conf, votersOutgoing: conf.voters, autoLeave }, steps);
}

/** Leaves a joint configuration: outgoing voters lose their say, and those that asked for it become learners. */
export function leaveJoint(conf: ConfState): ConfState {
  if (!isJoint(conf)) throw new ConfChangeError('there is no joint configuration to leave');
  return finish({
    voters: conf.voters,
    votersOutgoing: [],
    learners: [...conf.learners, ...conf.learnersNext],
    learnersNext: [],
    autoLeave: false,
  });
}

function applySteps(conf: ConfState, steps: readonly ConfChangeStep[]): ConfState {
  const voters = new Set(conf.voters);
  const learners = new Set(conf.learners);
  const learnersNext = new Set(conf.learnersNext);
  for (const { kind, id } of steps) {
    voters.delete(id);
    learners.delete(id);
    learnersNext.delete(id);
    if (kind === 'add-voter') voters.add(id);
    // One that still votes in the outgoing half must not be a learner at the same time; it waits its turn.
    else if (kind === 'add-learner') (conf.votersOutgoing.includes(id) ? learnersNext : learners).add(id);
  }
  return finish({
    voters: [...voters],
    votersOutgoing: conf.votersOutgoing,
    learners: [...learners],
    learnersNext: [...learnersNext],
    autoLeave: conf.autoLeave,
  });
}

function finish(conf: ConfState): ConfState {
  if (conf.voters.length === 0) throw new ConfChangeError('no voter would remain');
  const next = canonicalConf(conf);
  checkConf(next);
  return next;
}

/** How many nodes become or cease to be voters. */
function votersMoved(conf: ConfState, steps: readonly ConfChangeStep[]): number {
  const before = new Set<NodeId>(conf.voters);
  const after = new Set<NodeId>(conf.voters);
  for (const { kind, id } of steps) {
    if (kind === 'add-voter') after.add(id);
    else after.delete(id);
  }
  let moved = 0;
  for (const id of before) if (!after.has(id)) moved += 1;
  for (const id of after) if (!before.has(id)) moved += 1;
  return moved;
}
