/** The log in a process of its own that is killed, starved and failed from outside. */
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildRecorder, Random, readRecording } from '@quorate/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openWal, openWalInline, WAL_FAILPOINTS } from '../src/index.ts';
import { DIRECTORY, diskWith } from './images.ts';
import { firstWrongEntry, lastAck, startWriter, TASK } from './writer-task.ts';

const SCALE = Number(process.env.QUORATE_TEST_SCALE ?? '1');
const IMAGES = Math.ceil(250 * SCALE);
const recorder = buildRecorder();
const needsGcc = recorder === null ? ' (skipped: no gcc on this machine)' : '';
const metadata = Buffer.from('writer');

let folder: string;
let directory: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-wal-'));
  directory = join(folder, 'data/wal');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Opens what a dead writer left and checks it against its acknowledgements. */
async function checkLog(acknowledged: number): Promise<number> {
  const { wal } = await openWal({ directory, metadata, segmentBytes: TASK.segmentBytes });
  try {
    expect(wal.lastIndex()).toBeGreaterThanOrEqual(acknowledged);
    expect(firstWrongEntry(wal)).toBeNull();
    return wal.lastIndex();
  } finally {
    await wal.close();
  }
}

describe('case-01 SIGKILL', () => {
  it('during group commit and direct writes: nothing acknowledged is lost, over 8 lives of one log', {
    timeout: 120_000,
  }, async () => {
    const random = new Random('kill', 'lives');
    let last = 0;
    for (let life = 0; life < 8; life++) {
      const killAfter = random.between(1, 400);
      let acks = 0;
      const run = startWriter(
        { ...TASK, directory, releaseBehind: life > 4 ? 500 : 0, underWay: life % 2 === 0 ? 8 : 1 },
        {
          onLine: (line, child) => {
            if (line.startsWith('ack ') && ++acks === killAfter) child.kill('SIGKILL');
          },
        },
      );
      expect(await run.ended).toEqual({ code: null, signal: 'SIGKILL' });
      const acknowledged = lastAck(run.lines);
      expect(acknowledged).toBeGreaterThan(last);
      last = await checkLog(acknowledged);
    }
  });
});

describe('case-02 crash at every failpoint of the writer thread', () => {
  const sometimes = WAL_FAILPOINTS.filter((name) => name !== 'walBeforeRepair');
  for (const name of sometimes) {
    it(`${name}: nothing acknowledged is lost`, { timeout: 60_000 }, async () => {
      const failpointModule = new URL('./kill-at.ts', import.meta.url).href;
      // The first visits create the log; a later one ends the process. Releases begin late.
      const env = { KILL_AT: name, KILL_NTH: name.includes('Release') ? '2' : '4' };
      const run = startWriter({ ...TASK, directory, releaseBehind: 100, failpointModule }, { env });
      expect(await run.ended).toEqual({ code: null, signal: 'SIGKILL' });
      await checkLog(lastAck(run.lines));
    });
  }
});

describe('case-26 the folder is locked', () => {
  it('a second process is refused at once, and the lock ends with the process that had it', {
    timeout: 30_000,
  }, async () => {
    let opened = (): void => {};
    const isOpen = new Promise<void>((resolve) => {
      opened = resolve;
    });
    const first = startWriter(
      { ...TASK, directory },
      { onLine: (line) => line.startsWith('open') && opened() },
    );
    await isOpen;
    const second = startWriter({ ...TASK, directory });
    expect(await second.ended).toEqual({ code: 4, signal: null });
    expect(second.lines).toEqual(['refused LOCKED']);
    await expect(openWal({ directory, metadata })).rejects.toMatchObject({ code: 'LOCKED' });
    first.process.kill('SIGKILL');
    await first.ended;
    await checkLog(lastAck(first.lines));
  });
});

describe.skipIf(recorder === null)(`failing calls${needsGcc}`, () => {
  const faults = [
    ['case-16 a failed fdatasync', { call: 'fdatasync', code: 'EIO', nth: 40, pathEnd: '.wal' }],
    ['case-17 a failed write', { call: 'write', code: 'EIO', nth: 40, pathEnd: '.wal' }],
    ['case-18 a full disk', { call: 'write', code: 'ENOSPC', nth: 40, pathEnd: '.wal' }],
    ['case-16 a failed sync of the folder', { call: 'fsync', code: 'EIO', nth: 3, pathEnd: '/wal' }],
    ['case-20 a disk that turned read-only', { call: 'rename', code: 'EROFS', nth: 3 }],
  ] as const;
  for (const [title, fault] of faults) {
    it(`${title} is final: no acknowledgement after it, none before it lost`, {
      timeout: 30_000,
    }, async () => {
      const root = join(folder, 'data');
      const run = startWriter({ ...TASK, directory }, { env: recorder!.environment({ root, fault }) });
      expect(await run.ended).toEqual({ code: 3, signal: null });
      const fatal = run.lines.indexOf(`fatal ${fault.code}`);
      expect(fatal).toBeGreaterThan(0);
      expect(run.lines.slice(fatal + 1)).toEqual([]);
      await checkLog(lastAck(run.lines));
    });
  }
});

describe.skipIf(recorder === null)(`crash images${needsGcc}`, () => {
  it(`case-22 ${IMAGES} images of a recorded writer open with everything acknowledged`, {
    timeout: 600_000,
  }, async () => {
    const root = join(folder, 'data');
    const logFile = join(folder, 'recording');
    mkdirSync(root);
    const acks: { index: number; bytes: number }[] = [];
    // Two lives: the second begins with what the first left. The first ends by itself: killed between a call and its recording, it
    // would leave the second a folder that the recording does not tell of.
    for (const killAfter of [Number.POSITIVE_INFINITY, 300]) {
      let count = 0;
      const run = startWriter(
        {
          ...TASK,
          directory,
          releaseBehind: 200,
          // The second life writes batch after batch, directly where syncs are quick enough.
          ...(killAfter === 300 ? { underWay: 1 } : { batches: 300 }),
        },
        {
          env: recorder!.environment({ root, logFile }),
          onLine: (line, child) => {
            if (!line.startsWith('ack ')) return;
            acks.push({ index: Number(line.slice(4)), bytes: statSync(logFile).size });
            if (++count === killAfter) child.kill('SIGKILL');
          },
        },
      );
      await run.ended;
    }
    const recording = readRecording(logFile, root);
    expect(recording.syncCount).toBeGreaterThan(100);
    const random = new Random('images', 'steps');
    const seen = { repaired: 0, torn: 0, dropped: 0, names: 0, full: 0 };
    for (let seed = 0; seed < IMAGES; seed++) {
      const step = random.int(recording.stepCount + 1);
      const image = recording.image(step, seed);
      const acknowledged = acks.findLast((ack) => recording.stepAt(ack.bytes) <= step)?.index ?? 0;
      const files = new Map<string, Buffer>();
      for (const [path, bytes] of image.files) files.set(path.replace(/^wal\//, ''), Buffer.from(bytes));
      const opened = openWalInline({
        directory: DIRECTORY,
        metadata,
        segmentBytes: TASK.segmentBytes,
        disk: diskWith(files),
      });
      expect(opened.wal.lastIndex(), `seed ${seed}, step ${step}`).toBeGreaterThanOrEqual(acknowledged);
      expect(firstWrongEntry(opened.wal), `seed ${seed}, step ${step}`).toBeNull();
      if (opened.recovered.repaired !== null) seen.repaired++;
      if (image.tally.tornWrites > 0) seen.torn++;
      if (image.tally.droppedWrites > 0) seen.dropped++;
      if (image.tally.droppedNames > 0) seen.names++;
      if (acknowledged > 0) seen.full++;
    }
    // The images were not all of a quiet moment.
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(IMAGES / 50);
  });
});
