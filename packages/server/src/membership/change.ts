/**
 * Changes of the member list as they travel: raft's configuration change, with what raft does not know in its context.
 *
 * The context names the request it came from, so that the one who asked gets the answer, and carries the limit on learners as the
 * asker has it: what an entry does must follow from the entry and the state alone, never from a member's own flags.
 */
import type { ConfChange } from '@quorate/raft';
import type { RequestId } from '../consensus/entry-codec.ts';
import { decodeMember, encodeMember, type MemberAttributes } from './members.ts';

export type MembershipChange =
  | {
      readonly kind: 'add';
      readonly id: bigint;
      readonly peerUrls: readonly string[];
      readonly isLearner: boolean;
      readonly maxLearners: number;
    }
  | { readonly kind: 'promote'; readonly id: bigint }
  | { readonly kind: 'remove'; readonly id: bigint };

export interface DecodedChange {
  /** Null: nobody asked; it belongs to the beginning of the cluster. */
  readonly request: RequestId | null;
  /** Null: raft's own affair, the list of members stays as it is. */
  readonly change:
    | MembershipChange
    | {
        readonly kind: 'bootstrap';
        readonly id: bigint;
        readonly member: MemberAttributes & { isLearner: boolean };
      }
    | null;
}

const NO_MEMBER: MemberAttributes = { name: '', peerUrls: [], clientUrls: [] };

export function encodeChange(request: RequestId, change: MembershipChange): ConfChange {
  const { origin, sequence } = request;
  const isLearner = change.kind === 'add' && change.isLearner;
  const context = { origin, sequence, kind: change.kind };
  const kind = change.kind === 'remove' ? 'remove-node' : isLearner ? 'add-learner' : 'add-voter';
  const details = change.kind === 'add' ? { peerUrls: change.peerUrls, maxLearners: change.maxLearners } : {};
  return {
    transition: 'auto',
    steps: [{ kind, id: change.id }],
    context: Buffer.from(JSON.stringify({ ...context, ...details }), 'utf8'),
  };
}

/** The first entries of a cluster: one for each member it begins with. */
export function encodeBootstrap(id: bigint, peerUrls: readonly string[]): ConfChange {
  return {
    transition: 'auto',
    steps: [{ kind: 'add-voter', id }],
    context: encodeMember({ ...NO_MEMBER, peerUrls, isLearner: false }),
  };
}

export function decodeChange({ steps, context }: ConfChange): DecodedChange {
  const step = steps[0];
  if (step === undefined || steps.length > 1 || context.length === 0) return { request: null, change: null };
  const { id } = step;
  const { origin, sequence, kind, peerUrls, maxLearners } = JSON.parse(Buffer.from(context).toString('utf8'));
  if (kind === undefined) {
    return { request: null, change: { kind: 'bootstrap', id, member: decodeMember(context) } };
  }
  const request = { origin, sequence };
  if (kind === 'add') {
    return { request, change: { kind, id, peerUrls, isLearner: step.kind === 'add-learner', maxLearners } };
  }
  return { request, change: { kind, id } };
}
