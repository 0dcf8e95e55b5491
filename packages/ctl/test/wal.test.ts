/** wal verify and wal dump on a log that the real one wrote, whole, damaged and torn. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeDisk, openWalInline } from '@quorate/wal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ours } from './harness.ts';

let data: string;
beforeEach(async () => {
  data = mkdtempSync(join(tmpdir(), 'ctl-wal-'));
  await writeLog(join(data, 'wal'));
});
afterEach(() => rmSync(data, { recursive: true, force: true }));

/** Three entries in three frames. */
async function writeLog(directory: string): Promise<void> {
  const { wal } = openWalInline({ directory, disk: nodeDisk, metadata: Buffer.from('member') });
  for (const index of [1, 2, 3])
    await new Promise<void>((resolve, reject) => {
      const entries = [{ index, term: 1, type: 0 as const, data: Buffer.from(`entry ${index}`) }];
      wal.append({ entries, hardState: { term: 1, vote: 1n, commit: index - 1 }, mustSync: true }, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  await wal.close();
}

function segment(): string {
  const name = readdirSync(join(data, 'wal')).find((file) => file.endsWith('.wal'));
  return join(data, 'wal', name ?? '');
}

describe('quoratectl wal', () => {
  test('verify tells what is in a sound log, named by data folder or by its own', async () => {
    for (const directory of [data, join(data, 'wal')]) {
      const outcome = await ours({ args: ['wal', 'verify', directory] });
      expect(outcome).toMatchObject({ code: 0, stderr: '' });
      expect(outcome.stdout).toContain('log [1, 3]\n');
      expect(outcome.stdout.endsWith('ok\n')).toBe(true);
    }
  });

  test('verify in every format, also of a log that is corrupt', async () => {
    const args = ['wal', 'verify', data, '-w'];
    const json = async () => JSON.parse((await ours({ args: [...args, 'json'] })).stdout);
    expect(await json()).toMatchObject({
      ok: true,
      entries: 3,
      firstIndex: 1,
      lastIndex: 3,
      vote: 1,
      commit: 2,
    });
    expect((await json()).segments[0].file).toMatch(/\.wal$/);
    expect((await ours({ args: [...args, 'fields'] })).stdout).toContain('"Last index" : 3\n');
    expect((await ours({ args: [...args, 'table'] })).stdout).toContain('LAST INDEX');
    for (const format of ['protobuf', 'nonsense'])
      expect(await ours({ args: [...args, format] })).toMatchObject({ code: 4, stdout: '' });
    expect(await ours({ args: ['wal', 'dump', data, '-w', 'json'] })).toMatchObject({ code: 4, stdout: '' });
    const file = segment();
    const bytes = readFileSync(file);
    bytes[bytes.indexOf('entry 2')]! ^= 1;
    writeFileSync(file, bytes);
    expect(await json()).toMatchObject({ ok: false, corruption: expect.stringContaining('at byte') });
    expect((await ours({ args: [...args, 'fields'] })).stdout).toContain('"Corruption" : "');
  });

  test('dump prints frames, and entries when asked', async () => {
    const frames = await ours({ args: ['wal', 'dump', data] });
    expect(frames.stdout).toContain('entries 2..2 (7 bytes) term 1');
    expect(frames.stdout).not.toContain('normal');
    const entries = await ours({ args: ['wal', 'dump', data, '--entry-bytes', '3'] });
    expect(entries.stdout).toContain('entry 2 term 1 normal 656e74... 7 bytes\n');
  });

  test('damage in the middle is told with its file and offset', async () => {
    const file = segment();
    const bytes = readFileSync(file);
    const at = bytes.indexOf('entry 2');
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    for (const command of ['verify', 'dump']) {
      const outcome = await ours({ args: ['wal', command, data] });
      expect(outcome.code).toBe(1);
      expect(outcome.stdout).toContain(`in ${file} at byte `);
      expect(outcome.stderr).toBe(`Error: the log in ${join(data, 'wal')} is corrupt\n`);
    }
  });

  test('no log, wrong arguments', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'ctl-wal-empty-'));
    for (const command of ['verify', 'dump']) {
      const none = await ours({ args: ['wal', command, empty] });
      expect(none).toEqual({ code: 6, stdout: '', stderr: `Error: there is no log in ${empty}\n` });
      const missing = await ours({ args: ['wal', command, join(empty, 'nowhere')] });
      expect(missing.code).toBe(6);
      const bare = await ours({ args: ['wal', command] });
      expect(bare).toMatchObject({ code: 128, stderr: `Error: wal ${command} command needs 1 argument\n` });
    }
    rmSync(empty, { recursive: true });
  });
});
