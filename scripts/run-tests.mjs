// Runs vitest and closes with one line that machines and people can read: `N passed, N failed, N skipped`.
//
// With QUORATE_LONG=1 the long runs (*.long.test.ts: simulation, faults, crash images at full size) are run instead of
// the quick tests. QUORATE_TEST_SCALE multiplies the work of every randomised or long test; 1 is what CI runs.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = join(root, 'node_modules', '.bin');
const scratch = mkdtempSync(join(tmpdir(), 'quorate-tests-'));
const report = join(scratch, 'report.json');

const { status } = spawnSync(
  join(bin, 'vitest'),
  ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...process.argv.slice(2)],
  {
    cwd: root,
    stdio: ['ignore', 1, 2],
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}`, NODE_ENV: 'test' },
  },
);

let line = '0 passed, 1 failed';
try {
  const { numPassedTests, numFailedTests, numPendingTests, numTotalTestSuites, testResults } = JSON.parse(
    readFileSync(report, 'utf8'),
  );
  // A file that fails to load has no tests of its own to count.
  const brokenFiles = testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  );
  const failed = numFailedTests + brokenFiles.length;
  line = `${numPassedTests} passed, ${failed || (status === 0 ? 0 : 1)} failed, ${numPendingTests} skipped`;
  if (numTotalTestSuites === 0) line = '0 passed, 1 failed';
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(line);
process.exit(status ?? 1);
