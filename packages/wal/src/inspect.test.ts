import { describe, expect, it } from 'vitest';
import { buildLog, cut, DIRECTORY, diskWith, flipped, sampleLog, segmentFiles } from '../test/images.ts';
import { describeVerification, dumpWal, verifyWal } from './index.ts';

const { files } = buildLog(sampleLog);
const [firstName] = segmentFiles(files);

function dump(image: ReadonlyMap<string, Buffer>, entryBytes?: number): { lines: string[]; result: unknown } {
  const lines: string[] = [];
  const take = (line: string): undefined => void lines.push(line);
  const options = { disk: diskWith(image), ...(entryBytes === undefined ? {} : { entryBytes }) };
  return { result: dumpWal(DIRECTORY, take, options), lines };
}

describe('verify', () => {
  it('says what is in a sound log', () => {
    const found = verifyWal(DIRECTORY, { disk: diskWith(files) })!;
    expect(found).toMatchObject({ ok: true, corruption: null, torn: null, firstIndex: 1, lastIndex: 16 });
    expect(found.hardState).toEqual({ term: 3, vote: 2n, commit: 15 });
    expect(found.snapshot?.index).toBe(10);
    const text = describeVerification(found);
    expect(text).toContain('log [1, 16]');
    expect(text).toContain('hard state term 3 vote 2 commit 15');
    expect(text.at(-1)).toBe('ok');
  });

  it('reports damage as the error that opening would throw, and what is intact before it', () => {
    const found = verifyWal(DIRECTORY, { disk: diskWith(flipped(files, firstName!, 1024 + 100, 3)) })!;
    expect(found).toMatchObject({ ok: false, frameCount: 2, lastIndex: undefined });
    expect(found.corruption).toMatchObject({ kind: 'damaged-body', offset: 1024, code: 'WAL_CORRUPT' });
    expect(describeVerification(found).at(-1)).toContain('at byte 1024');
  });

  it('reports an unfinished last write, and changes nothing', () => {
    const name = segmentFiles(files).at(-1)!;
    const used = verifyWal(DIRECTORY, { disk: diskWith(files) })!.segments.at(-1)!.usedBytes;
    const disk = diskWith(cut(files, name, used - 512));
    for (const _time of [1, 2]) {
      const found = verifyWal(DIRECTORY, { disk })!;
      expect(found.ok).toBe(true);
      expect(found.torn?.file).toBe(`${DIRECTORY}/${name}`);
      expect(describeVerification(found).join('\n')).toContain('opening clears it');
    }
  });

  it('finds nothing where there is no log', () => {
    expect(verifyWal(DIRECTORY, { disk: diskWith(new Map()) })).toBeNull();
    expect(dump(new Map()).result).toBeUndefined();
  });
});

describe('dump', () => {
  it('prints one line per segment and frame', () => {
    const { lines, result } = dump(files);
    expect(result).toBeNull();
    expect(lines.slice(0, 4)).toEqual([
      'segment 0000000000000001.wal  number 1, frame 1, 1 block, follows entry 0 of term 0, metadata 18 bytes',
      '  0x000200 frame 2  1 block  hard state term 1 vote 2 commit 0',
      '  0x000400 frame 3  2 blocks  entries 1..2 (707 bytes) term 1; hard state term 1 vote 2 commit 0',
      '  0x000800 frame 4  2 blocks  entries 2..3 (707 bytes) term 1; hard state term 1 vote 2 commit 1',
    ]);
    expect(lines.join('\n')).toContain('snapshot at 10 term 1 voters 1,ffffffffffffffff learners 4');
    expect(lines.at(-2)).toBe('log [1, 16], last term 3');
  });

  it('prints entries with as much of their data as wanted', () => {
    const { lines } = dump(files, 4);
    expect(lines).toContainEqual(
      expect.stringMatching(/^ {4}entry 1 term 1 normal [0-9a-f]{8}\.\.\. 700 bytes$/),
    );
  });

  it('ends at the damage and returns it', () => {
    const { lines, result } = dump(flipped(files, firstName!, 2048 + 100, 3));
    expect(result).toMatchObject({ code: 'WAL_CORRUPT', offset: 2048 });
    expect(lines.at(-1)).toMatch(/^corrupt: /);
    expect(lines.length).toBe(4);
  });

  it('stops when told to', () => {
    const lines: string[] = [];
    dumpWal(DIRECTORY, (line) => lines.push(line) < 2, { disk: diskWith(files) });
    expect(lines.length).toBe(2);
  });
});
