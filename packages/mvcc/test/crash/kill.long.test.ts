/**
 * SIGKILL of a process that writes, at every failpoint and at random moments: the store opens again, holds exactly the entries up to its applied index, and
 * that is at least what it had called durable.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { boundCommand } from '@quorate/testing/child';
import { describe, expect, test } from 'vitest';
import { MVCC_FAILPOINTS } from '../../src/failpoints.ts';
import { durableOf, expectWhole } from './whole.ts';

const child = fileURLToPath(new URL('./child.ts', import.meta.url));

async function killAt(failpoint: string, nth: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'mvcc-kill-'));
  try {
    // Twice on the same data: the second start begins with what the first crash left.
    for (let round = 0; round < 2; round++) {
      const args = ['--conditions=@quorate/source', child, directory, failpoint, String(nth)];
      const command = boundCommand(process.execPath, args);
      const result = spawnSync(command.program, command.args, { encoding: 'utf8', timeout: 30_000 });
      expect([result.signal, result.stderr]).toEqual(['SIGKILL', '']);
      await expectWhole(directory, durableOf(result.stdout));
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe('case-02 case-03 case-04 SIGKILL at every failpoint', () => {
  for (const failpoint of MVCC_FAILPOINTS) {
    test(failpoint, { timeout: 60_000 }, () => killAt(failpoint, failpoint === 'mvccAfterCommit' ? 777 : 1));
  }
  for (const failpoint of [
    'mvccBeforeHeadCommit',
    'mvccAfterHeadCommit',
    'mvccAfterLogCommit',
    'mvccAfterRemoveCommit',
  ] as const) {
    test(`${failpoint}, the ninth time`, { timeout: 60_000 }, () => killAt(failpoint, 9));
  }
});
