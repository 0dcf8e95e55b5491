/**
 * Real processes that die by SIGKILL: at every named place, at random moments, again and again over one folder.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
/** Visited once, before there is anything to acknowledge. */
const AT_START = /^start|^walBeforeSegment|^walAfterSegmentCut/;
/** Visited for every request or batch: die later, with something to lose. */
const OFTEN = /^(raft|before|after|walBeforeWrite|walBeforeSync|walAfterSync|mvccAfterCommit)/;

function nthOf(name: string): number {
  if (AT_START.test(name)) return name.startsWith('start') ? 1 : 3;
  if (name === 'beforeLogRelease') return 3;
  return OFTEN.test(name) ? 150 : 4;
}

describe('case-02 case-03 case-04 killed at a named place', () => {
  const names = listFailpoints().filter((name) => !OUT_OF_REACH.includes(name));

  test.each(names)('%s', { timeout: 60_000 }, async (name) => {
    const folder = newFolder();
    const spoken = new Spoken();
    const end = await runHost(
      { folder, run: 'r1', seconds: 20, env: { FP: `${name}:kill:${nthOf(name)}` } },
      spoken,
    );
    // It was the failpoint that ended it, not its time.
    expect([end.signal, end.errors]).toEqual(['SIGKILL', '']);
    if (!AT_START.test(name)) expect(spoken.writes.length).toBeGreaterThan(10);
    await expectIntact(folder, spoken);
  });
});
