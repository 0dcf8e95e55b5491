/**
 * Real processes under faults: ten minutes at scale 1, with the starts and verdicts, cut into runs, each a cluster and a plan
 * of its own.
 *
 * NEMESIS_SEED=... repeats the plans. The summary says what was seen; too little is a failure, and "too little" is set for a
 * machine that is busy with other things. NEMESIS_CALIBRATE=1 adds runs on the real etcd, which show that the harness itself
 * breaks nothing and that the checkers bite.
 */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findProgram } from '../process/server-process.ts';
import { describeReport, summary } from './report.ts';
import { type NemesisReport, runNemesis } from './run.ts';

const scale = Number(process.env.QUORATE_TEST_SCALE ?? 1);
const seed = process.env.NEMESIS_SEED ?? String(Math.floor(Math.random() * 2 ** 31));
const calibrates = process.env.NEMESIS_CALIBRATE === '1';
const hasEtcd = calibrates && findProgram('etcd') !== null;
/** The release whose bug is the calibration; Debian's. */
const hasBug = hasEtcd && /etcd Version: 3\.4\.23/.test(spawnSync('etcd', ['--version']).stdout.toString());
if (calibrates && !hasEtcd)
  console.warn('SKIPPED: etcd is not installed, so the harness was not calibrated on it');

/** Length of a run; more scale means more runs, not longer ones. */
const RUN_SEC = 40;
const RUNS = { three: Math.max(1, Math.round(6 * scale)), five: Math.max(1, Math.round(3 * scale)) };
/** Named sets, so that every kind of fault has its turn whatever the seeds draw. */
const THEMES: Readonly<Record<string, readonly string[]>> = {
  kills: ['kill-leader', 'kill-follower', 'kill-all'],
  pauses: ['pause-leader-1x', 'pause-leader-3x', 'pause-leader-10x', 'pause-follower-3x'],
  partitions: [
    'partition-leader',
    'partition-minority-with-leader',
    'leader-deaf',
    'leader-mute',
    'majority-ring',
  ],
  changes: ['replace-member', 'move-leader', 'kill-leader', 'compact'],
};

const reports: NemesisReport[] = [];

async function green(options: Parameters<typeof runNemesis>[0]): Promise<void> {
  const report = await runNemesis(options);
  reports.push(report);
  console.log(describeReport(report));
  expect(report.violations).toEqual([]);
  expect(report.shortfalls).toEqual([]);
}

describe(`nemesis, seed ${seed}`, () => {
  afterAll(() => console.log(summary(reports)));

  const themes = Object.keys(THEMES);
  for (let run = 0; run < RUNS.three; run++) {
    const theme = themes[run];
    it(`case-72 three members, run ${run}: ${theme ?? 'drawn by the seed'}`, () =>
      green({
        kind: 'quorate',
        size: 3,
        seconds: RUN_SEC,
        seed: `${seed}/3/${run}`,
        ...(theme === undefined ? {} : { faults: THEMES[theme]! }),
      }));
  }
  for (let run = 0; run < RUNS.five; run++) {
    it(`case-72 five members, run ${run}`, () =>
      green({ kind: 'quorate', size: 5, seconds: RUN_SEC, seed: `${seed}/5/${run}` }));
  }

  it('saw enough in all', () => {
    const sum = (of: (report: NemesisReport) => number) =>
      reports.reduce((total, report) => total + of(report), 0);
    const minutes = sum((report) => report.options.seconds) / 60;
    expect(sum((report) => report.kills)).toBeGreaterThanOrEqual(minutes);
    expect(sum((report) => report.leaderChanges)).toBeGreaterThanOrEqual(minutes);
    expect(sum((report) => report.ok)).toBeGreaterThanOrEqual(300 * minutes);
  });

  it.skipIf(!hasEtcd)('calibration: the real etcd passes by the same rules', () =>
    green({ kind: 'etcd', size: 3, seconds: 30, seed: `${seed}/etcd`, faults: THEMES.kills! }),
  );

  // etcd 3.4.23 sends progress to watches that have not caught up (its issue 15220, mended in 3.4.25). Who believes it
  // and resumes from there misses events: the checkers have to notice.
  it.skipIf(!hasBug)(
    'calibration: progress before its events is noticed on an etcd that has this bug',
    async () => {
      for (let attempt = 0; attempt < 5; attempt++) {
        const report = await runNemesis({
          kind: 'etcd',
          size: 3,
          seconds: 20,
          seed: `${seed}/progress/${attempt}`,
          faults: ['kill-follower', 'kill-all', 'partition-follower'],
          askProgress: true,
        });
        if (report.kept !== null) rmSync(dirname(report.kept), { recursive: true, force: true });
        if (report.violations.some(({ rule }) => rule === 'bookmarkable')) return;
      }
      expect.fail('five runs did not notice it');
    },
  );
});
