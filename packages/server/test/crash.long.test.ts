/**
 * Real processes that die by SIGKILL: at every named place, at random moments, again and again over one folder.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram, Random } from '@quorate/testing';
import { afterAll, describe, expect, test } from 'vitest';
import { listFailpoints } from '../src/failpoints.ts';
import { problemsOf, reopen, runHost, Spoken } from './support/crash-run.ts';

const base = mkdtempSync(join(tmpdir(), 'quorate-crash-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let folders = 0;
const newFolder = () => join(base, String(folders++));

async function expectIntact(folder: string, spoken: Spoken): Promise<void> {
  const member = await reopen(folder);
  try {
    expect(problemsOf(member, spoken)).toEqual([]);
  } finally {
    await member.stop();
  }
}

/** Places that a cluster of one never comes by, and the one that needs a torn log (see the tests of `@quorate/wal`). */
const OUT_OF_REACH = ['raftBeforeLeaderSend', 'raftBeforeFollowerSend', 'walBeforeRepair'];
/**
 * On the way of a leader's snapshot, which a cluster of one never gets: power cuts there are in `cluster/snapshots.test.ts`, SIGKILL
 * in the store's own `test/crash/kill.long.test.ts`.
 */
const IN_SNAPSHOTS = /^install|^mvcc(Before|After)Install|^mvccAfterReceive$/;
/** Visited once, before there is anything to acknowledge. */
const AT_START = /^start|^walBeforeSegment|^walAfterSegmentCut/;
/** Visited for every request or batch: die later, with something to lose. */
const OFTEN = /^(raft|before|after|walBeforeWrite|walBeforeSync|walAfterSync|mvccAfterCommit)/;

function nthOf(name: string): number {
  if (AT_START.test(name)) return name.startsWith('start') ? 1 : 2;
  if (name === 'beforeLogRelease') return 2;
  return OFTEN.test(name) ? 60 : 2;
}

describe('case-02 case-03 case-04 killed at a named place', () => {
  const names = listFailpoints().filter((name) => !OUT_OF_REACH.includes(name) && !IN_SNAPSHOTS.test(name));

  test.each(names)('%s', { timeout: 180_000 }, async (name) => {
    const folder = newFolder();
    const spoken = new Spoken();
    const end = await runHost(
      { folder, run: 'r1', seconds: 40, env: { FP: `${name}:kill:${nthOf(name)}` } },
      spoken,
    );
    // It was the failpoint that ended it, not its time.
    expect([end.signal, end.errors]).toEqual(['SIGKILL', '']);
    if (!AT_START.test(name)) expect(spoken.writes.length).toBeGreaterThan(5);
    await expectIntact(folder, spoken);
  });
});

describe('case-01 case-10 killed at random moments, over one folder', () => {
  test('every write acknowledged in any run is there', { timeout: 120_000 }, async () => {
    const random = new Random('case-01');
    const folder = newFolder();
    const spoken = new Spoken();
    let killed = 0;
    for (let round = 0; round < 12; round++) {
      // Now and then right after the start, while the log is being applied again.
      const lines = random.chance(0.3) ? 1 : random.between(5, 300);
      let heard = 0;
      const end = await runHost(
        {
          folder,
          run: `r${round}`,
          seconds: 30,
          onLine: (_, pid) => {
            if (++heard === lines) process.kill(pid, 'SIGKILL');
          },
        },
        spoken,
      );
      if (end.signal === 'SIGKILL') killed++;
    }
    expect(killed).toBe(12);
    expect(spoken.fatal).toBe(null);
    await expectIntact(folder, spoken);
  });

  test('a start that dies twenty times on its way still ends well', { timeout: 120_000 }, async () => {
    const folder = newFolder();
    const spoken = new Spoken();
    const first = { folder, run: 'r0', seconds: 30, env: { FP: 'beforeAnswer:kill:200' } };
    expect((await runHost(first, spoken)).signal).toBe('SIGKILL');
    const places = [
      'startAfterLock',
      'startBeforeBootstrap',
      'startBeforeReplay',
      'beforeStoreCommit',
      'raftBeforeSave',
    ];
    for (let round = 0; round < 20; round++) {
      const env = { FP: `${places[round % places.length]}:kill:1` };
      expect((await runHost({ folder, run: `r${round + 1}`, seconds: 30, env }, spoken)).signal).toBe(
        'SIGKILL',
      );
    }
    await expectIntact(folder, spoken);
  });
});

describe('ends that are no crash', () => {
  test('case-07 SIGTERM under load: what is under way ends, exit code 0, a second one does no harm', async () => {
    const folder = newFolder();
    const spoken = new Spoken();
    let heard = 0;
    const end = await runHost(
      {
        folder,
        run: 'r1',
        seconds: 40,
        onLine: (_, pid) => {
          heard++;
          if (heard === 100 || heard === 101) process.kill(pid, 'SIGTERM');
        },
      },
      spoken,
    );
    expect([end.code, end.signal]).toEqual([0, null]);
    expect(spoken.fatal).toBe(null);
    await expectIntact(folder, spoken);
  });

  test.each([
    ['case-09 an error in the middle of a txn', 'beforeApplyStep:throw:40'],
    ['case-09 an error before an entry is applied', 'beforeApplyEntry:throw:100'],
    ['case-16 the log cannot be made durable', 'walBeforeSync:throw:40'],
    ['case-16 the store cannot be made durable', 'mvccBeforeLogCommit:throw:2'],
  ])('%s: the member ends, says why, and loses nothing', { timeout: 180_000 }, async (_, FP) => {
    const folder = newFolder();
    const spoken = new Spoken();
    const end = await runHost({ folder, run: 'r1', seconds: 40, env: { FP } }, spoken);
    expect([end.code, end.signal]).toEqual([1, null]);
    expect(spoken.fatal).toMatch(/./);
    expect(spoken.writes.length).toBeGreaterThan(5);
    await expectIntact(folder, spoken);
  });

  test('case-26 a second process on the same folder ends at once and says so', {
    timeout: 180_000,
  }, async () => {
    const folder = newFolder();
    const member = await reopen(folder);
    const spoken = new Spoken();
    const end = await runHost({ folder, run: 'r1', seconds: 5 }, spoken);
    expect(end.code).toBe(1);
    expect(spoken.fatal).toMatch(/another process uses/);
    await member.stop();
  });

  test('failpoints outside tests are refused', { timeout: 180_000 }, async () => {
    const end = await runHost(
      {
        folder: newFolder(),
        run: 'r1',
        seconds: 5,
        env: { FP: 'raftBeforeSave:kill', NODE_ENV: 'production' },
      },
      new Spoken(),
    );
    expect(end.code).toBe(1);
    expect(end.errors).toMatch(/FP is set/);
  });
});

const strace = findProgram('strace');
const LMDB_COMPLAINT = /mdb_|Write error|malloc|free\(\)|corrupt/;

describe('a disk that fails (strace)', () => {
  /** The nth call of that name, in any thread, and all after it fail. */
  const failing = (call: string, error: string, from: number) => [
    strace!,
    '-f',
    '-qq',
    '-e',
    `trace=${call}`,
    '-e',
    `inject=${call}:error=${error}:when=${from}+`,
    '-o',
    '/dev/null',
  ];

  test.skipIf(strace === null).each([
    ['case-16 fdatasync fails', 'fdatasync', 'EIO', 60],
    ['case-17 pwrite64 fails', 'pwrite64', 'EIO', 120],
    ['case-18 pwrite64 finds the disk full', 'pwrite64', 'ENOSPC', 120],
    ['case-20 the file system turns read-only', 'pwrite64', 'EROFS', 90],
  ])('%s: the member ends, acknowledged writes stay', { timeout: 180_000 }, async (_, call, error, from) => {
    const folder = newFolder();
    const spoken = new Spoken();
    const end = await runHost({ folder, run: 'r1', seconds: 40, under: failing(call, error, from) }, spoken);
    // LMDB itself may abort the process when it cannot write a page. That ends the member as well.
    const byLmdb = call === 'pwrite64' && end.signal === 'SIGABRT' && LMDB_COMPLAINT.test(end.errors);
    if (!byLmdb) expect([end.code, end.signal]).toEqual([1, null]);
    expect(spoken.ups).toBe(1);
    await expectIntact(folder, spoken);
  });
});
