/** The replicated state of a member over a store in memory, driven entry by entry. */
import { type MemoryBackend, memoryBackend, openStore, type Store } from '@quorate/mvcc';
import { SimEnv } from '@quorate/testing';
import { Alarms } from '../../src/alarms.ts';
import { type Applied, Applier } from '../../src/apply/applier.ts';
import type { Env } from '../../src/env.ts';
import type { Failpoint } from '../../src/failpoints.ts';
import { createLessor } from '../../src/lease/create-lessor.ts';
import { Members } from '../../src/membership/members.ts';
import type { Operation } from '../../src/operations.ts';

export interface AppliedState {
  readonly env: SimEnv;
  readonly store: Store;
  readonly backend: MemoryBackend;
  readonly alarms: Alarms;
  /** Applies the next entry. */
  apply(operation: Operation): Applied;
  hashKv(revision?: number): { hash: number; hashRevision: number; compactRevision: number };
}

export function appliedState(
  options: { backend?: MemoryBackend; failpoint?: Failpoint; flushBytes?: number } = {},
): AppliedState {
  const env = new SimEnv(1);
  const backend = options.backend ?? memoryBackend();
  const store = openStore({
    storage: { backend },
    monotonicMs: () => env.monotonicMs(),
    afterPoll: (callback) => env.afterPoll(callback),
    inThread: true,
    ...(options.flushBytes === undefined
      ? {}
      : { limits: { flushBytes: options.flushBytes, headEntries: 16 } }),
  });
  const alarms = new Alarms(store);
  const members = new Members(store);
  const member = {
    term: 0,
    propose: () => {
      throw new Error('nobody leads here, so nothing expires');
    },
  };
  const leases = createLessor({ env: env as unknown as Env, store, member });
  const applier = new Applier({ store, leases, alarms, members }, options.failpoint ?? (() => {}));
  return {
    env,
    store,
    backend,
    alarms,
    apply: (operation) => applier.apply(store.appliedIndex + 1, 1, operation),
    hashKv(revision = 0) {
      let answer: ReturnType<AppliedState['hashKv']> | null = null;
      store.hashKv(revision, (error, result) => {
        if (error !== null) throw error;
        answer = result;
      });
      env.settle();
      if (answer === null) throw new Error('the hash did not end');
      return answer;
    },
  };
}
