import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildRecorder } from './recorder.ts';
import { type Recording, readRecording } from './recording.ts';

const recorder = buildRecorder();
const title = recorder === null ? 'crash images (skipped: no gcc on this machine)' : 'crash images';
let folder: string;
let root: string;
let logFile: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-image-'));
  root = join(folder, 'root');
  logFile = join(folder, 'log');
  mkdirSync(root);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a script in a recorded process; `r` is the root, `fs` the module. */
function record(script: string): Recording {
  const environment = recorder!.environment({ root, logFile });
  const run = spawnSync(
    process.execPath,
    ['-e', `const fs = require('node:fs'); const r = ${JSON.stringify(root)}; ${script}`],
    {
      env: { ...process.env, ...environment },
      encoding: 'utf8',
    },
  );
  expect(run.stderr).toBe('');
  return readRecording(logFile, root);
}

/** Every outcome of 100 power losses after the last step, as text. */
function outcomes(recording: Recording, options = {}): string[] {
  const found = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const { files } = recording.image(recording.stepCount, seed, options);
    found.add(
      [...files]
        .map(([name, bytes]) => `${name}=${Buffer.from(bytes).toString('latin1').replaceAll('\0', '.')}`)
        .join(' '),
    );
  }
  return [...found].sort();
}

const SYNC_ROOT = `const d = fs.openSync(r, 'r'); fs.fsyncSync(d);`;

describe.skipIf(recorder === null)(title, () => {
  it('case-22 what was synced, with its name, is in every image', () => {
    const recording = record(
      `const f = fs.openSync(r + '/a', 'w'); fs.writeSync(f, 'hello'); fs.fdatasyncSync(f); ${SYNC_ROOT}`,
    );
    expect(outcomes(recording)).toEqual(['a=hello']);
    expect(recording.syncCount).toBe(2);
  });

  it('case-22 a write after the sync is there or not', () => {
    const recording = record(
      `const f = fs.openSync(r + '/a', 'w'); fs.writeSync(f, 'hello'); fs.fdatasyncSync(f); ${SYNC_ROOT} fs.writeSync(f, 'J', 0);`,
    );
    expect(outcomes(recording)).toEqual(['a=Jello', 'a=hello']);
  });

  it('case-22 a name without a sync of its folder may be lost, unless the file system is said to keep it', () => {
    const recording = record(
      `const f = fs.openSync(r + '/a', 'w'); fs.writeSync(f, 'x'); fs.fdatasyncSync(f);`,
    );
    expect(outcomes(recording)).toEqual(['', 'a=x']);
    expect(outcomes(recording, { fileSyncKeepsName: true })).toEqual(['a=x']);
  });

  it('case-22 a rename is there or not', () => {
    const recording = record(
      `const f = fs.openSync(r + '/a', 'w'); fs.writeSync(f, 'x'); fs.fsyncSync(f); ${SYNC_ROOT} fs.renameSync(r + '/a', r + '/b');`,
    );
    expect(outcomes(recording)).toEqual(['a=x', 'b=x']);
  });

  it('a write through a synchronous descriptor needs no sync', () => {
    const recording = record(
      `const f = fs.openSync(r + '/a', fs.constants.O_CREAT | fs.constants.O_WRONLY | fs.constants.O_DSYNC); ${SYNC_ROOT} fs.writeSync(f, 'x');`,
    );
    expect(outcomes(recording)).toEqual(['a=x']);
  });

  it('positioned writes, gathered writes and asynchronous writes are all seen', () => {
    const recording = record(
      `const f = fs.openSync(r + '/a', 'w'); fs.writeSync(f, Buffer.from('xy'), 0, 2, 4); fs.writevSync(f, [Buffer.from('ab'), Buffer.from('c')], 0);
       fs.write(f, Buffer.from('z'), 0, 1, 7, () => { fs.fdatasyncSync(f); ${SYNC_ROOT} });`,
    );
    expect(outcomes(recording)).toEqual(['a=abc.xy.z']);
  });

  it('the position in the log tells what must survive', () => {
    const recording = record(
      `const at = []; const f = fs.openSync(r + '/a', 'w'); ${SYNC_ROOT}
       for (let i = 0; i < 5; i++) { fs.writeSync(f, String(i)); fs.fdatasyncSync(f); at.push(fs.statSync(${JSON.stringify(logFile)}).size); }
       fs.writeFileSync(${JSON.stringify(join(folder, 'positions'))}, JSON.stringify(at));`,
    );
    const positions = JSON.parse(readFileSync(join(folder, 'positions'), 'utf8')) as number[];
    for (const [i, position] of positions.entries()) {
      for (let seed = 0; seed < 20; seed++) {
        const { files } = recording.image(recording.stepAt(position), seed);
        expect(Buffer.from(files.get('a')!).toString()).toBe('01234'.slice(0, i + 1));
      }
    }
  });

  it('case-16 a chosen call fails', () => {
    const fault = { call: 'fdatasync', code: 'EIO', nth: 2, pathEnd: '/a' } as const;
    const script = `const fs = require('node:fs'); const f = fs.openSync(${JSON.stringify(join(root, 'a'))}, 'w');
      fs.fdatasyncSync(f); try { fs.fdatasyncSync(f); } catch (e) { console.log(e.code); } fs.fdatasyncSync(f);`;
    const environment = recorder!.environment({ root, fault });
    const run = spawnSync(process.execPath, ['-e', script], {
      env: { ...process.env, ...environment },
      encoding: 'utf8',
    });
    expect(run.stdout).toBe('EIO\n');
  });
});
