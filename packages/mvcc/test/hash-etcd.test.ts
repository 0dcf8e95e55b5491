/**
 * HashKV against the real etcd: the same history gives the same hash, at every revision, before and after compactions.
 *
 * Needs `etcd` and `etcdctl` (3.4) on the path; without them the suite says so and is skipped. etcd 3.4.23 drops a tombstone that lies exactly at the compact
 * revision where 3.5.16 and later keep the record and leave it out of the hash: the hashes are the same.
 */
import { type ChildProcess, execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnBound } from '@quorate/testing/child';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Harness, TINY } from './model/harness.ts';
import { bytesOf } from './model/model-store.ts';

const found = spawnSync('etcd', ['--version']).status === 0 && spawnSync('etcdctl', ['version']).status === 0;
const seed = Number(process.env.MVCC_SEED ?? 20261121);

type Op = { op: 'put'; key: string; value: string } | { op: 'del'; key: string; end: string | null };
type Step = { ops: Op[] } | { compact: number };

describe.skipIf(!found)(`hash against etcd (seed ${seed})${found ? '' : ': no etcd on the path'}`, () => {
  let directory = '';
  let etcd: ChildProcess;
  const endpoint = `http://127.0.0.1:${20_000 + Math.floor((process.pid % 5000) * 2)}`;

  const ctl = (args: string[], input?: string): string =>
    execFileSync('etcdctl', ['--endpoints', endpoint, ...args], {
      env: { ...process.env, ETCDCTL_API: '3' },
      input: input ?? '',
      stdio: ['pipe', 'pipe', 'ignore'],
    }).toString();

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'mvcc-hash-'));
    const peer = endpoint.replace(/\d+$/, (port) => String(Number(port) + 1));
    etcd = spawnBound(
      'etcd',
      [
        ['--data-dir', directory, '--listen-client-urls', endpoint, '--advertise-client-urls', endpoint],
        ['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
        ['--initial-cluster', `default=${peer}`, '--log-level', 'error'],
      ].flat(),
      { stdio: 'ignore' },
    );
    for (let tries = 0; tries < 100; tries++) {
      if (
        spawnSync('etcdctl', ['--endpoints', endpoint, 'get', 'x'], {
          env: { ...process.env, ETCDCTL_API: '3' },
        }).status === 0
      )
        return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('etcd did not start');
  }, 30_000);

  afterAll(() => {
    etcd?.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  function theirHash(revision: number): number {
    const args = ['endpoint', 'hashkv', '--rev', String(revision), '-w', 'json'];
    return JSON.parse(ctl(args))[0].HashKV.hash as number;
  }

  function ourHash(harness: Harness, revision: number): number {
    let hash = -1;
    harness.store.hashKv(revision, (error, result) => {
      expect(error).toBeNull();
      hash = result!.hash;
    });
    harness.settle(() => hash !== -1);
    return hash;
  }

  function apply(harness: Harness, step: Step): void {
    const { store, model } = harness;
    const transaction = harness.begin(++model.index);
    if ('compact' in step) transaction.compact(step.compact);
    else {
      for (const operation of step.ops) {
        const key = bytesOf(operation.key);
        if (operation.op === 'put') transaction.put(key, bytesOf(operation.value), 0n);
        else transaction.deleteRange({ key, end: operation.end === null ? null : bytesOf(operation.end) });
      }
    }
    transaction.commit();
    if ('compact' in step) ctl(['compact', String(step.compact), '--physical']);
    else {
      const lines = step.ops.map((o) =>
        o.op === 'put' ? `put ${o.key} "${o.value}"` : `del ${o.key}${o.end === null ? '' : ` ${o.end}`}`,
      );
      ctl(['txn'], `\n${lines.join('\n')}\n\n\n`);
    }
    expect(store.revision).toBe(JSON.parse(ctl(['get', 'none', '-w', 'json'])).header.revision);
  }

  /** Brings etcd and a new store of ours to the same state: etcd's keyspace cannot be emptied, so one long history serves. */
  test('sem-183, sem-184, sem-185, sem-186: every revision of one random history', {
    timeout: 120_000,
  }, () => {
    const harness = new Harness(TINY);
    const key = fc.constantFrom('a', 'b', 'c', 'd');
    const put = fc.record({
      op: fc.constant('put' as const),
      key,
      value: fc.constantFrom('', 'x', 'long value'),
    });
    const del = fc.record({
      op: fc.constant('del' as const),
      key,
      end: fc.constantFrom(null, null, 'c', 'z'),
    });
    const ops = fc.oneof(
      { arbitrary: put.map((operation) => [operation]), weight: 5 },
      { arbitrary: del.map((operation) => [operation]), weight: 3 },
      { arbitrary: fc.uniqueArray(put, { selector: (o) => o.key, minLength: 1, maxLength: 3 }), weight: 2 },
    );
    const steps = fc.sample(fc.record({ ops, compact: fc.nat(11), back: fc.nat(4) }), { seed, numRuns: 90 });
    // Nothing alive while something kept lies below the compact revision: etcd's set of kept records is empty then.
    const special: Step[] = [
      { ops: [{ op: 'put', key: 'a', value: '1' }] },
      { ops: [{ op: 'put', key: 'b', value: '1' }] },
    ];
    let lowest = 1;
    const check = (): void => {
      // 3.4 refuses the compact revision itself; 3.5 and later, and we, answer it.
      for (let revision = lowest + 1; revision <= harness.store.revision; revision++) {
        expect([revision, ourHash(harness, revision)]).toEqual([revision, theirHash(revision)]);
      }
    };
    for (const step of special) apply(harness, step);
    apply(harness, { compact: harness.store.revision });
    lowest = harness.store.revision;
    apply(harness, { ops: [{ op: 'del', key: 'a', end: 'z' }] });
    check();
    for (const { ops: operations, compact, back } of steps) {
      apply(harness, { ops: operations });
      const revision = harness.store.revision - back;
      if (compact === 0 && revision > lowest) {
        apply(harness, { compact: revision });
        lowest = revision;
        check();
      }
    }
    check();
  });
});
