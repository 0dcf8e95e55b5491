/** The leader's decision over the cluster's release, with members that say what they run. */
import { memoryBackend, openStore, type Store } from '@quorate/mvcc';
import { SimEnv } from '@quorate/testing';
import { expect, test } from 'vitest';
import type { Env } from '../env.ts';
import { NO_PEERS } from '../network.ts';
import type { Operation } from '../operations.ts';
import { Members } from './members.ts';
import { VersionMonitor } from './version-monitor.ts';

/** @param peers what each other member answers; null: nothing */
function monitor(peers: readonly (string | null)[], serverVersion = '3.7.0') {
  const env = new SimEnv(1);
  const store: Store = openStore({
    storage: { backend: memoryBackend() },
    monotonicMs: () => env.monotonicMs(),
    afterPoll: (callback) => env.afterPoll(callback),
    inThread: true,
    mapSizeBytes: 1024 * 1024,
  });
  const members = new Members(store);
  let index = 0;
  const apply = (change: (transaction: ReturnType<Store['begin']>) => void) => {
    const transaction = store.begin(++index, 1);
    change(transaction);
    transaction.commit();
  };
  apply((transaction) => {
    for (let id = 1; id <= peers.length + 1; id++) {
      const member = { name: `m${id}`, peerUrls: [`http://m${id}:1`], clientUrls: [], isLearner: false };
      members.apply(transaction, { kind: 'bootstrap', id: BigInt(id), member });
    }
  });
  const proposed: Operation[] = [];
  const answers = [...peers];
  const self = new VersionMonitor({
    env: env as unknown as Env,
    network: {
      ...NO_PEERS,
      call: (to, _method, _request, _timeoutMs, done) => {
        const answer = answers[Number(to) - 2];
        if (answer === null || answer === undefined) done(new Error('no answer'), null);
        else done(null, Buffer.from(answer));
      },
    },
    members,
    memberId: 1n,
    serverVersion,
    propose: (operation, done) => {
      proposed.push(operation);
      apply((transaction) => {
        if (operation.kind === 'cluster-version') members.applyVersion(transaction, operation.version);
        if (operation.kind === 'downgrade') members.applyDowngrade(transaction, operation.target);
      });
      done(null);
    },
  });
  self.lead(true);
  return { members, proposed, answers, apply, look: () => self.tick(Number.MAX_SAFE_INTEGER) };
}

test('sem-197 the cluster counts as 3.0 until all have answered, then as the lowest of them, and only rises', () => {
  const { members, answers, look } = monitor(['3.7.1', null]);
  look();
  expect(members.clusterVersion).toBe('3.0.0');
  answers[1] = '3.6.5';
  look();
  expect(members.clusterVersion).toBe('3.6.0');
  answers[1] = '3.7.0';
  look();
  expect(members.clusterVersion).toBe('3.7.0');
  answers[1] = '3.6.9';
  look();
  expect(members.clusterVersion).toBe('3.7.0');
});

test('sem-196 a downgrade ends by itself once every member runs the release', () => {
  // Led by a member that was exchanged already.
  const { members, answers, apply, look } = monitor(['3.7.0', '3.7.0'], '3.6.1');
  apply((transaction) => members.applyVersion(transaction, '3.7.0'));
  apply((transaction) => members.applyDowngrade(transaction, '3.6.0'));
  look();
  expect(members.clusterVersion).toBe('3.6.0');
  answers[0] = '3.6.0';
  look();
  expect(members.downgradeTarget).toBe('3.6.0');
  answers[1] = '3.6.2';
  look();
  expect(members.downgradeTarget).toBeNull();
  expect(members.clusterVersion).toBe('3.6.0');
});

test('nobody but the leader decides', () => {
  const { proposed, look } = monitor([]);
  look();
  expect(proposed).toEqual([{ kind: 'cluster-version', version: '3.7.0' }]);
});
