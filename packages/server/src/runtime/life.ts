/**
 * The life of a member, from its start to its end.
 *
 *     starting ──▶ serving ──▶ stopping ──▶ ended
 *         └───────────┴────────────┴──────────▲      after a fatal error, or a removal
 *
 *   - `starting`: what the log holds is applied again. `stopping`: no new requests; those under way end, and a leader hands
 *     over. `ended`: nothing more is written or answered; log, store and folder are closed, and `stopped` says why.
 *   - The way is walked in one direction, and the end happens once.
 */
import type { Env } from '../env.ts';
import { DomainError } from '../errors.ts';
import { MemberRemovedError } from '../member.ts';
import type { MemberLog } from './parts.ts';

export type Phase = 'starting' | 'serving' | 'stopping' | 'ended';

export interface LifeHost {
  readonly env: Env;
  readonly log: MemberLog;
  readonly electionTimeoutMs: number;
  /** Requests that wait for their outcome. */
  readonly waitingRequests: () => number;
  /** Resolves when no proposal is under way, or after `patienceMs`. */
  readonly idle: (patienceMs: number) => Promise<void>;
  readonly isLeader: () => boolean;
  /** A leader leaves the others one, so that they need not wait for an election (sem-173). */
  readonly handOver: (done: () => void) => void;
  /** Nothing is answered or applied from here on; whoever waits is told so. */
  readonly cut: () => void;
  /** In this order, each after the one before it has ended; whatever the others say. */
  readonly closers: readonly (() => unknown)[];
  /** Gives up the data folder. */
  readonly release: () => void;
}

/** A removed member answers whoever asked for it before it stops. */
const REMOVED_DELAY_MS = 1_000;
/** A removed leader waits so many election timeouts for the others to take over. */
const REMOVED_LEADER_ROUNDS = 3;
/** What a stop waits for requests under way. */
const STOP_PATIENCE_MS = 3000;

export class Life {
  readonly stopped: Promise<Error | null>;
  readonly #host: LifeHost;
  #phase: Phase = 'starting';
  #leaving = false;
  #onServing: (() => void) | null = null;
  #stopping: Promise<void> | null = null;
  #resolveStopped: (error: Error | null) => void = () => {};

  constructor(host: LifeHost) {
    this.#host = host;
    this.stopped = new Promise((resolve) => {
      this.#resolveStopped = resolve;
    });
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** No request is taken any more. */
  get isClosing(): boolean {
    return this.#phase === 'stopping' || this.#phase === 'ended';
  }

  /** Resolves when the member serves; rejects when it ends before. @param begin sets it going */
  start(begin: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onServing = resolve;
      void this.stopped.then((error) => reject(error ?? new DomainError('SERVER_STOPPED')));
      begin();
    });
  }

  serve(): void {
    this.#phase = 'serving';
    this.#onServing?.();
  }

  /** The others go on without this member; it stops after whoever asked for it has his answer. A leader hands over first. */
  leave(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    const { env, isLeader, electionTimeoutMs } = this.#host;
    const leave = (roundsLeft: number): void => {
      if (isLeader() && roundsLeft > 0) {
        env.setTimer(electionTimeoutMs, () => leave(roundsLeft - 1));
        return;
      }
      const error = new MemberRemovedError();
      if (this.#phase !== 'ended') this.#host.log('error', error.message);
      void this.#end(error);
    };
    env.setTimer(REMOVED_DELAY_MS, () => leave(REMOVED_LEADER_ROUNDS));
  }

  /** Graceful. Calling it again changes nothing. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Ends at once, from anywhere. Whatever was acknowledged is durable in the log by then; the next start applies it again. */
  fatal(error: Error): void {
    if (this.#phase === 'ended') return;
    this.#host.log('fatal', 'the member cannot go on', { error, stack: error.stack });
    void this.#end(error);
  }

  async #stop(): Promise<void> {
    if (this.#phase === 'ended') return void (await this.stopped);
    const { log, waitingRequests, idle } = this.#host;
    this.#phase = 'stopping';
    log('info', 'stopping', { waiting: waitingRequests() });
    await idle(STOP_PATIENCE_MS);
    await this.#handOver();
    await this.#end(null);
  }

  #handOver(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#host.isLeader() || this.#phase === 'ended') resolve();
      else this.#host.handOver(resolve);
    });
  }

  async #end(error: Error | null): Promise<void> {
    if (this.#phase === 'ended') return void (await this.stopped);
    this.#phase = 'ended';
    const { log, cut, closers, release } = this.#host;
    cut();
    let failure = error;
    for (const close of closers) {
      try {
        await close();
      } catch (cause) {
        failure ??= cause as Error;
        log('error', 'closing failed', { error: cause });
      }
    }
    release();
    log('info', 'stopped');
    this.#resolveStopped(failure);
  }
}
