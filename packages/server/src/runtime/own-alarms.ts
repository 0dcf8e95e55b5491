/**
 * The alarms that a member raises by itself: its database is full, or somebody's state is wrong.
 *
 * Requests that are refused for want of space wait until the alarm holds everywhere (sem-176): whoever was refused here is
 * refused by every other member from then on.
 */
import { AlarmKind, type Alarms } from '../alarms.ts';
import type { Operation } from '../operations.ts';
import type { MemberLog } from './parts.ts';
import { MAX_WAITING_REQUESTS } from './requests.ts';

export interface OwnAlarmsParts {
  readonly alarms: Alarms;
  readonly memberId: bigint;
  readonly quotaBytes: number;
  readonly log: MemberLog;
  readonly isServing: () => boolean;
  readonly submit: (operation: Operation, deadlineMs: number, done: () => void) => void;
}

export class OwnAlarms {
  readonly #parts: OwnAlarmsParts;
  #waiting: (() => void)[] = [];

  constructor(parts: OwnAlarmsParts) {
    this.#parts = parts;
  }

  /** @param then called when the alarm holds, or need not or cannot be raised */
  raiseNoSpace(then: () => void): void {
    const { alarms, memberId, quotaBytes, log, isServing } = this.#parts;
    const isCrowded = this.#waiting.length >= MAX_WAITING_REQUESTS;
    if (isCrowded || alarms.has(memberId, AlarmKind.noSpace) || !isServing()) {
      then();
      return;
    }
    this.#waiting.push(then);
    if (this.#waiting.length > 1) return;
    log('warn', 'the database exceeds its quota', { 'quota-bytes': quotaBytes });
    this.#raise(memberId, AlarmKind.noSpace, () => {
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const one of waiting) one();
    });
  }

  /** @param ofMember the one whose state is wrong, or 0n when nobody can tell */
  raiseCorrupt(ofMember: bigint): void {
    const { alarms, isServing } = this.#parts;
    if (alarms.has(ofMember, AlarmKind.corrupt) || !isServing()) return;
    // What fails is found and raised again.
    this.#raise(ofMember, AlarmKind.corrupt, () => {});
  }

  #raise(memberId: bigint, alarm: number, done: () => void): void {
    this.#parts.submit({ kind: 'alarm', action: 1, memberId, alarm }, Number.POSITIVE_INFINITY, done);
  }
}
