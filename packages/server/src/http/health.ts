/**
 * Whether this member is well: `/health` (older, one verdict) and `/livez`, `/readyz` (checks by name).
 *
 * Live: local data can be read, so a restart would not help. Ready: requests can be served here, for which a leader and
 * a quorum are needed. Both run inside the member, as root: they work whatever the authentication is set to.
 */
import { Status } from '@quorate/grpc-server';
import { statusOfError } from '../api/error-map.ts';
import type { Member } from '../member.ts';

type HealthMember = Pick<
  Member,
  'alarms' | 'leader' | 'isLearner' | 'confirmRead' | 'store' | 'limits' | 'env' | 'ended'
>;

/** What `AlarmType` calls them. */
const ALARM_NAMES: Readonly<Record<number, string>> = { 1: 'NOSPACE', 2: 'CORRUPT' };
const CORRUPT = 2;
const FIRST_KEY = Uint8Array.of(0);

/** Null: healthy; else why not. */
type Verdict = (done: (reason: string | null) => void) => void;

export interface HealthQuery {
  /** Names of alarms or checks that do not count. */
  readonly exclude: readonly string[];
  /** `/health` alone: local data is enough. */
  readonly serializable: boolean;
}

export class Health {
  readonly checks: {
    readonly livez: ReadonlyMap<string, Verdict>;
    readonly readyz: ReadonlyMap<string, Verdict>;
  };
  readonly #member: HealthMember;

  constructor(member: HealthMember) {
    this.#member = member;
    const local: [string, Verdict] = ['serializable_read', (done) => this.#readLocal(done)];
    this.checks = {
      livez: new Map([local]),
      readyz: new Map<string, Verdict>([
        [
          'data_corruption',
          (done) =>
            done(member.alarms().some(({ alarm }) => alarm === CORRUPT) ? 'alarm activated: CORRUPT' : null),
        ],
        local,
        ['linearizable_read', (done) => this.#readConfirmed(done)],
        ['non_learner', (done) => done(member.isLearner ? 'not supported for learner' : null)],
      ]),
    };
  }

  /** The verdict of `/health`: alarms, then a leader, then a read. @param done the reason, or null */
  judge(query: HealthQuery, done: (reason: string | null) => void): void {
    const alarm = this.#member
      .alarms()
      .find((each) => !query.exclude.includes(ALARM_NAMES[each.alarm] ?? ''));
    if (alarm !== undefined) {
      done(`ALARM ${ALARM_NAMES[alarm.alarm] ?? 'UNKNOWN'}`);
      return;
    }
    if (!query.serializable && this.#member.leader === 0n) {
      done('RAFT NO LEADER');
      return;
    }
    const read = query.serializable ? this.#readLocal : this.#readConfirmed;
    read.call(this, (error) => done(error === null ? null : `RANGE ERROR:${error}`));
  }

  /** Runs checks side by side. @param done their verdicts by name, in the order given */
  run(
    checks: ReadonlyMap<string, Verdict>,
    done: (verdicts: ReadonlyMap<string, string | null>) => void,
  ): void {
    const verdicts = new Map<string, string | null>([...checks.keys()].map((name) => [name, null]));
    let waiting = checks.size;
    if (waiting === 0) done(verdicts);
    for (const [name, check] of checks) {
      check((reason) => {
        verdicts.set(name, reason);
        waiting--;
        if (waiting === 0) done(verdicts);
      });
    }
  }

  #readLocal(done: (reason: string | null) => void): void {
    if (this.#member.ended) {
      done('etcdserver: server stopped');
      return;
    }
    try {
      this.#member.store.get(FIRST_KEY);
      done(null);
    } catch (error) {
      done(textOf(error as Error));
    }
  }

  #readConfirmed(done: (reason: string | null) => void): void {
    const { env, limits } = this.#member;
    this.#member.confirmRead(env.monotonicMs() + limits.requestTimeoutMs, (error) => {
      if (error === null) this.#readLocal(done);
      else done(textOf(error));
    });
  }
}

function textOf(error: Error): string {
  const { status, message } = statusOfError(error);
  return status === Status.OK ? '' : message;
}
