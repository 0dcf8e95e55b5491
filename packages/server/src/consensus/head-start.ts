/**
 * The first election after a start, sooner (`--initial-election-tick-advance`).
 *
 * A member that starts waits a whole election timeout before it campaigns, although nobody may lead: after all were started at
 * once, that is time without service. So its clock is moved on as soon as it is connected to a majority. Two ticks
 * remain, in which a leader that there is makes itself heard; where it does not, pre-vote keeps the harm small. etcd does
 * the same, with the same two ticks and the same patience.
 *
 * Only the follower's election clock may be moved: nothing here relies on it for the safety of reads (they ask a quorum).
 */
import { NONE, type RawNode } from '@quorate/raft';
import type { Env } from '../env.ts';
import type { Network } from '../network.ts';

/** Members that are not connected by then may take long: nobody should be in a hurry. */
const PATIENCE_MS = 5_000;
const REMAINING_TICKS = 2;

export class HeadStart {
  readonly #node: Pick<RawNode, 'status' | 'tick'>;
  readonly #network: Pick<Network, 'connectedSince'>;
  readonly #electionTicks: number;
  readonly #untilMs: number;
  #over = false;

  /** @param parts `electionTicks` as the node has it */
  constructor(parts: {
    readonly env: Pick<Env, 'monotonicMs'>;
    readonly node: Pick<RawNode, 'status' | 'tick'>;
    readonly network: Pick<Network, 'connectedSince'>;
    readonly electionTicks: number;
  }) {
    this.#node = parts.node;
    this.#network = parts.network;
    this.#electionTicks = parts.electionTicks;
    this.#untilMs = parts.env.monotonicMs() + PATIENCE_MS;
  }

  /** With each tick. */
  tick(nowMs: number): void {
    if (this.#over) return;
    const { id, role, leader, conf } = this.#node.status();
    if (role !== 'follower' || leader !== NONE || nowMs > this.#untilMs) {
      this.#over = true;
      return;
    }
    const connected = conf.voters.filter(
      (voter) => voter === id || this.#network.connectedSince(voter) !== null,
    );
    if (connected.length < 2 || 2 * connected.length <= conf.voters.length) return;
    this.#over = true;
    for (let tick = REMAINING_TICKS; tick < this.#electionTicks; tick++) this.#node.tick();
  }
}
