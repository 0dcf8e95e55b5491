/**
 * case-22: what a power cut leaves of log and store, built from a recording of everything a real member wrote.
 *
 * One member runs under load with the recorder loaded; then 200 images of its folder are built, each at a random step, with what was
 * not synced dropped, kept or torn, and each is opened. Everything that had been acknowledged by then must be there.
 */
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildRecorder, Random, readRecording } from '@quorate/testing';
import { afterAll, describe, expect, test } from 'vitest';
import { problemsOf, reopen, runHost, Spoken } from './support/crash-run.ts';

const base = mkdtempSync(join(tmpdir(), 'quorate-image-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const IMAGES = 200;
const recorder = buildRecorder();

describe('case-22 crash images', () => {
  // Without gcc the recorder cannot be built.
  test.skipIf(recorder === null)(
    `${IMAGES} images of log and store open with everything acknowledged`,
    { timeout: 1_200_000 },
    async () => {
      const root = join(base, 'data');
      mkdirSync(root, { mode: 0o700 });
      const logFile = join(base, 'recording');
      const said: { line: string; bytes: number }[] = [];
      const whole = new Spoken();
      const end = await runHost(
        {
          folder: root,
          run: 'r1',
          seconds: 60,
          env: recorder!.environment({ root, logFile }),
          onLine: (line, pid) => {
            // The recording may be ahead of the line already; that only makes the demand weaker.
            said.push({ line, bytes: statSync(logFile).size });
            if (said.length === 1500) process.kill(pid, 'SIGKILL');
          },
        },
        whole,
      );
      expect(end.signal).toBe('SIGKILL');

      const recording = readRecording(logFile, root);
      const steps = said.map(({ bytes }) => recording.stepAt(bytes));
      const random = new Random('case-22');
      const problems: string[] = [];
      let droppedWrites = 0;
      let tornWrites = 0;
      for (let seed = 0; seed < IMAGES; seed++) {
        const step = random.int(recording.stepCount + 1);
        const folder = join(base, `image-${seed}`);
        mkdirSync(folder, { mode: 0o700 });
        // LMDB counts on the file system to keep the name of a file that was synced.
        const image = recording.image(step, seed, { fileSyncKeepsName: true });
        image.writeTo(folder);
        droppedWrites += image.tally.droppedWrites;
        tornWrites += image.tally.tornWrites;
        const spoken = new Spoken();
        for (const [at, { line }] of said.entries()) if (steps[at]! <= step) spoken.hear(line);
        try {
          const member = await reopen(folder);
          problems.push(...problemsOf(member, spoken).map((text) => `image ${seed} at ${step}: ${text}`));
          await member.stop();
        } catch (error) {
          problems.push(`image ${seed} at ${step} does not open: ${(error as Error).message}`);
        }
        rmSync(folder, { recursive: true });
      }
      expect(problems).toEqual([]);
      // A crash that spares everything proves nothing.
      expect(recording.syncCount).toBeGreaterThan(100);
      expect(droppedWrites).toBeGreaterThan(100);
      expect(tornWrites).toBeGreaterThan(10);
    },
  );
});
