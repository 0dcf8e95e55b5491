/**
 * The open calls of one streaming method. They are refused at their start where a unary call would be, end one by one when the
 * leader that they insist on is lost (sem-008), and all together when the member stops.
 */
import type { StreamCall, StreamListener } from '@quorate/grpc-server';
import type { Member } from '../member.ts';
import { statusOfCode, type WireStatus } from './error-map.ts';
import { refuseByMetadata } from './guard.ts';
import type { LeaderLoss } from './leader-loss.ts';

export interface OpenCall {
  end(status: WireStatus): void;
}

/** For a call that is over: what its client still sends. */
export const IGNORE: StreamListener = { onMessage() {}, onHalfClose() {} };

export class OpenCalls<Call extends OpenCall> {
  readonly #member: Pick<Member, 'leader' | 'ended'>;
  readonly #leaderLoss: LeaderLoss;
  /** With what each has to be told to when it ends. */
  readonly #open = new Map<Call, () => void>();
  #closed = false;

  constructor(member: Pick<Member, 'leader' | 'ended'>, leaderLoss: LeaderLoss) {
    this.#member = member;
    this.#leaderLoss = leaderLoss;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Those that are open. */
  [Symbol.iterator](): Iterator<Call> {
    return this.#open.keys();
  }

  /** @returns whether the call may not begin; it has been ended then */
  refuse(call: StreamCall): boolean {
    const refusal =
      this.#closed || this.#member.ended ? 'SERVER_STOPPED' : refuseByMetadata(call, this.#member);
    if (refusal === null) return false;
    const { status, message } = statusOfCode(refusal);
    call.end(status, message);
    return true;
  }

  /** @param opened to be removed when it has ended, for whatever reason */
  add(call: StreamCall, opened: Call): void {
    this.#open.set(
      opened,
      this.#leaderLoss.watch(call, () => opened.end(statusOfCode('NO_LEADER'))),
    );
  }

  remove(opened: Call): void {
    this.#open.get(opened)?.();
    this.#open.delete(opened);
  }

  /** Ends them with "server stopped"; later ones are refused with it. */
  close(): void {
    this.#closed = true;
    for (const opened of [...this]) opened.end(statusOfCode('SERVER_STOPPED'));
  }
}
