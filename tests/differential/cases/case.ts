import type { Step } from '../exchange.ts';
import type { Plain } from '../normalise.ts';

/**
 * One history on a fresh keyspace: every step runs on both servers in order, every answer is compared.
 *
 * Cases share the two servers, so each works under a revision of its own: steps that need a revision take it from
 * the answers so far.
 */
export interface Case {
  /** Begins with the rows of the reference it shows. */
  readonly name: string;
  readonly steps: readonly (Step | OursOnly | ((revision: bigint) => Step))[];
}

/** A request that the real etcd 3.4.23 cannot be asked; what 3.7 answers stands beside it. */
export interface OursOnly extends Step {
  readonly why: string;
  readonly expected: Plain;
}

export const isOursOnly = (step: Step): step is OursOnly => 'why' in step;
