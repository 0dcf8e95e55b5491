import type { Step } from '../exchange.ts';

/**
 * One history on a fresh keyspace: every step runs on both servers in order, every answer is compared.
 *
 * Cases share the two servers, so each works under a revision of its own: steps that need a revision take it from
 * the answers so far.
 */
export interface Case {
  /** Begins with the rows of the reference it shows. */
  readonly name: string;
  readonly steps: readonly (Step | ((revision: bigint) => Step))[];
}
