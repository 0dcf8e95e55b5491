/**
 * What a host brings so that `RaftDriver` can run a node: a log, a way to send, and a state machine.
 */
import type { Message } from '../message.ts';
import type { Ready } from '../ready.ts';
import type { Storage } from '../storage.ts';
import type { Snapshot } from '../types.ts';

/** What has to become durable together, from one `Ready`. Thesis §3.8. */
export type SaveStep = Pick<Ready, 'snapshot' | 'entries' | 'hardState' | 'mustSync'>;

/** A log that can be written. Thesis §3.8. */
export interface DriverStorage extends Storage {
  /**
   * Persists a step: snapshot first (it replaces the whole log), then entries, then the hard state, as one.
   * Calls come one after the other, each after the one before has been settled.
   * @returns once the step is durable when `mustSync` is set. A rejection is final for the driver
   */
  save(step: SaveStep): void | Promise<void>;
  /**
   * Keeps a snapshot of the own state machine, and drops the entries up to and including `compactTo`. May be called while a
   * `save` is under way.
   */
  keepSnapshot(snapshot: Snapshot, compactTo: number): void;
}

/**
 * The network. Messages may be lost, delayed, repeated and reordered.
 * Thesis §3.3: any message may be lost.
 */
export interface Transport {
  /** Best effort, never throws. */
  send(message: Message): void;
  /** Like `send`, for the one kind of message that is large. @returns once handed over; rejects when that failed */
  sendSnapshot(message: Message): Promise<void>;
}

/**
 * What is replicated. Deterministic: every node applies the same data in the same order and must end up the same.
 * Thesis §2.1.
 */
export interface StateMachine<Result> {
  /** @param data what was proposed; a view that is valid during the call only */
  apply(data: Uint8Array): Result;
  /** The whole state as bytes. */
  snapshot(): Uint8Array;
  /** Replaces the whole state by what `snapshot` of some node returned. */
  restore(data: Uint8Array): void;
}

/** Why a driver did not do what it was asked (thesis §6.2, §6.3: what a client may conclude). */
export type DriverErrorCode =
  /** Nobody leads just now, or the leader takes no proposals: try again. Nothing was proposed. */
  | 'UNAVAILABLE'
  /** Too much is waiting: back off. Nothing was proposed. */
  | 'OVERLOADED'
  /** The change does not fit the present configuration. */
  | 'INVALID'
  /** No outcome in time. A proposal may still be applied later, or never. */
  | 'TIMEOUT'
  /** The driver was stopped, or failed (see `cause`). */
  | 'STOPPED';

/** A request of the driver that failed; `code` says whether trying again is safe (thesis §6.3). */
export class DriverError extends Error {
  override readonly name = 'DriverError';
  readonly code: DriverErrorCode;

  constructor(code: DriverErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
