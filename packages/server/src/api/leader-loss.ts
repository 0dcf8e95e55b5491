/**
 * Ends streams that insist on a leader when there has been none for three election timeouts (sem-008).
 *
 * A stream insists by the metadata `hasleader: true`; `guard.ts` refuses it at its start when no leader is known then.
 * Streams without it stay open through the loss (sem-009). One instance serves all streams of a member.
 */
import type { CallContext } from '@quorate/grpc-server';
import { metadataKeys } from '@quorate/proto';
import type { Timer } from '../env.ts';
import type { Member } from '../member.ts';

const ELECTION_TIMEOUTS_WITHOUT_LEADER = 3;

export class LeaderLoss {
  readonly #streams = new Set<() => void>();
  readonly #member: Pick<Member, 'env' | 'limits' | 'leader' | 'onLeaderChange'>;
  #timer: Timer | null = null;

  constructor(member: Pick<Member, 'env' | 'limits' | 'leader' | 'onLeaderChange'>) {
    this.#member = member;
    member.onLeaderChange((leader) => this.#onLeader(leader));
  }

  /**
   * @param onLoss called at most once, when the leader was gone for too long
   * @returns to be called when the stream has ended; does nothing for streams that do not insist
   */
  watch(call: CallContext, onLoss: () => void): () => void {
    if (call.metadata.get(metadataKeys.hasLeader) !== 'true') return () => {};
    this.#streams.add(onLoss);
    return () => {
      this.#streams.delete(onLoss);
    };
  }

  close(): void {
    this.#timer?.cancel();
    this.#streams.clear();
  }

  #onLeader(leader: bigint): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (leader !== 0n) return;
    const { env, limits } = this.#member;
    this.#timer = env.setTimer(ELECTION_TIMEOUTS_WITHOUT_LEADER * limits.electionTimeoutMs, () => {
      const streams = [...this.#streams];
      this.#streams.clear();
      for (const onLoss of streams) onLoss();
    });
  }
}
