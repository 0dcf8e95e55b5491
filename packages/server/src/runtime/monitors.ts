/**
 * What a member watches over besides serving: the versions of all, the hash of their states, the content of their stores.
 *
 * Each of them works on the leader or on every member; here they are made, ticked and closed together.
 *
 * Read next: `../membership/version-monitor.ts`, `../integrity/state-monitor.ts`, `../integrity/corruption-check.ts`.
 */
import type { ReadDone } from '../consensus/reads.ts';
import { CorruptionCheck, NO_CORRUPTION_CHECKS } from '../integrity/corruption-check.ts';
import { StateMonitor } from '../integrity/state-monitor.ts';
import { NOBODY_KNOWS } from '../integrity/verdict.ts';
import { VersionMonitor } from '../membership/version-monitor.ts';
import type { Operation } from '../operations.ts';
import type { MemberLog, MemberParts } from './parts.ts';

export interface MonitorsHost {
  readonly log: MemberLog;
  readonly submit: (operation: Operation, deadlineMs: number, done: (error: Error | null) => void) => void;
  readonly confirmRead: (deadlineMs: number, done: ReadDone) => void;
  readonly raiseCorrupt: (memberId: bigint) => void;
  readonly onFatal: (error: Error) => void;
}

export class Monitors {
  readonly #versions: VersionMonitor;
  readonly #states: StateMonitor;
  readonly #corruption: CorruptionCheck;

  constructor(parts: MemberParts, host: MonitorsHost) {
    const { env, network, members, memberId, confs } = parts;
    const ids = () => members.list().map(({ id }) => id);
    this.#versions = new VersionMonitor({
      env,
      network,
      members,
      memberId,
      serverVersion: parts.serverVersion,
      propose: (operation, done) => host.submit(operation, Number.POSITIVE_INFINITY, done),
    });
    this.#states = new StateMonitor({
      env,
      network,
      memberId,
      hash: parts.stateHash,
      // Null while two configurations are in force.
      voters: () => (confs.current?.votersOutgoing.length === 0 ? confs.current.voters : null),
      members: ids,
      onDiverged: host.onFatal,
      onUndecided: (index) => {
        host.log('error', 'members differ in their state and nobody can tell who is right', { index });
        host.raiseCorrupt(NOBODY_KNOWS);
      },
    });
    this.#corruption = new CorruptionCheck({
      env,
      network,
      store: parts.store,
      memberId,
      options: parts.config.corruptionChecks ?? NO_CORRUPTION_CHECKS,
      members: ids,
      confirmRead: host.confirmRead,
      raise: host.raiseCorrupt,
    });
  }

  /** Before the member takes part: an error says that its own content is not that of the others. */
  checkInitially(done: (error: Error | null) => void): void {
    this.#corruption.initial(done);
  }

  lead(isLeader: boolean): void {
    this.#versions.lead(isLeader);
    this.#states.lead(isLeader);
    this.#corruption.lead(isLeader);
  }

  applied(index: number): void {
    this.#states.applied(index);
  }

  tick(nowMs: number): void {
    this.#versions.tick(nowMs);
    this.#states.tick();
    this.#corruption.tick(nowMs);
  }

  close(): void {
    this.#versions.close();
    this.#states.close();
    this.#corruption.close();
  }
}
