/**
 * Named places where a test may make the member crash, throw or pause.
 *
 * `FP=name:action[:nth][,...]`, read only when NODE_ENV is `test`; otherwise every place is an empty function and a
 * set `FP` is refused at start. Actions: `kill` (SIGKILL to itself), `throw`, `sleep=<ms>` (busy, holds the loop).
 * `nth` counts visits from 1; without it the first visit acts. `quorate --list-failpoints` prints the names.
 *
 *     FP=walAfterSync:kill:100             dies after the 100th sync, before anybody hears of it
 *     FP=beforeApplyStep:throw:3           the third operation within txns breaks
 *
 * What the actions do to the process is in `node/failpoint-actions.ts`; the log's writer thread has its own copy of all this,
 * made from the same variables by `node/failpoint-module.ts`.
 */
import { MVCC_FAILPOINTS } from '@quorate/mvcc';
import { WAL_FAILPOINTS } from '@quorate/wal';

/** Marks a place. Called on hot paths: an inactive one must cost nothing but the call. */
export type Failpoint = (name: string) => void;

export const NO_FAILPOINTS: Failpoint = () => {};

/** Places in this package. */
export const SERVER_FAILPOINTS = [
  /** A batch is about to be given to the log. */
  'raftBeforeSave',
  /** A batch is durable; raft has not heard of it. */
  'raftAfterSave',
  /** Everything one `Ready` asked for has been started. */
  'raftBeforeAdvance',
  /** Messages that need not wait for the own disk are about to leave. */
  'raftBeforeLeaderSend',
  /** Messages that promise durability are about to leave. */
  'raftBeforeFollowerSend',
  /** An operation is about to be applied. */
  'beforeApplyEntry',
  /** Within a txn: one of its operations is about to run. */
  'beforeApplyStep',
  /** An operation ran; nothing of it is visible. */
  'beforeStoreCommit',
  /** It is visible in memory; nobody has been told. */
  'afterStoreCommit',
  /** The answer to a proposal is about to be given. */
  'beforeAnswer',
  /** Start-up: the folder is locked, nothing is open. */
  'startAfterLock',
  /** Start-up: the log was created, its first entries were not written. */
  'startBeforeBootstrap',
  /** Start-up: log and store are open and agree; nothing is replayed. */
  'startBeforeReplay',
  /** A snapshot was received whole; nothing says so on disk yet. */
  'installBeforeIntent',
  /** It is noted that the snapshot takes the store's place; the store is the old one. */
  'installBeforeStore',
  /** The store is the snapshot's; the log is the old one. */
  'installBeforeLog',
  /** Log and store are the snapshot's; the note is still there. */
  'installAfterLog',
  /** Log files may go, since the store holds what they held. */
  'beforeLogRelease',
] as const;

/** Every name there is, sorted. */
export function listFailpoints(): readonly string[] {
  return [...SERVER_FAILPOINTS, ...WAL_FAILPOINTS, ...MVCC_FAILPOINTS].sort();
}

/** A name, an action or a count that means nothing, or a failpoint outside tests. */
export class FailpointError extends Error {
  override readonly name = 'FailpointError';
  readonly code = 'FAILPOINT';
}

export type FailpointAction =
  | { readonly kind: 'kill' }
  | { readonly kind: 'throw' }
  | { readonly kind: 'sleep'; readonly ms: number };

export interface FailpointPlan {
  readonly name: string;
  readonly action: FailpointAction;
  /** The visit that acts, from 1. */
  readonly nth: number;
}

/** How actions are done to this process. */
export interface FailpointActions {
  kill(): void;
  /** Holds the thread. */
  sleep(ms: number): void;
}

/** @throws FailpointError naming what cannot be understood */
export function parseFailpoints(text: string): readonly FailpointPlan[] {
  const known = new Set(listFailpoints());
  return text
    .split(',')
    .filter((item) => item !== '')
    .map((item) => {
      const [name = '', action = '', nth = '1', ...rest] = item.split(':');
      if (!known.has(name)) throw new FailpointError(`no failpoint is named "${name}"`);
      if (rest.length > 0 || !/^[1-9]\d{0,8}$/.test(nth))
        throw new FailpointError(`"${item}" is not name:action[:nth]`);
      return { name, action: parseAction(action), nth: Number(nth) };
    });
}

function parseAction(text: string): FailpointAction {
  if (text === 'kill' || text === 'throw') return { kind: text };
  const sleep = /^sleep=(\d{1,6})$/.exec(text);
  if (sleep !== null) return { kind: 'sleep', ms: Number(sleep[1]) };
  throw new FailpointError(`"${text}" is not kill, throw or sleep=<ms>`);
}

/**
 * The failpoints that the environment asks for.
 * @param variables `FP` and `NODE_ENV` of the process
 * @throws FailpointError when failpoints are set outside tests
 */
export function failpointsFrom(
  variables: { readonly FP?: string | undefined; readonly NODE_ENV?: string | undefined },
  actions: FailpointActions,
): Failpoint {
  if (variables.FP === undefined || variables.FP === '') return NO_FAILPOINTS;
  if (variables.NODE_ENV !== 'test')
    throw new FailpointError('FP is set, but failpoints are for tests: NODE_ENV is not "test"');
  return activate(parseFailpoints(variables.FP), actions);
}

export function activate(plans: readonly FailpointPlan[], actions: FailpointActions): Failpoint {
  const visits = new Map<string, number>();
  return (name) => {
    const visit = (visits.get(name) ?? 0) + 1;
    visits.set(name, visit);
    for (const plan of plans) {
      if (plan.name !== name || plan.nth !== visit) continue;
      if (plan.action.kind === 'kill') actions.kill();
      else if (plan.action.kind === 'sleep') actions.sleep(plan.action.ms);
      else throw new Error(`failpoint ${name}`);
    }
  };
}
