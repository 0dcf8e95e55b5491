/** `FORMAT.md` is true: its annotated dump is what the log writes, and what it reads. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random, SimDisk } from '@quorate/testing';
import { describe, expect, it } from 'vitest';
import { openWal, openWalInline } from '../src/index.ts';
import { appendNow, DIRECTORY, diskWith, entry, takeFiles } from './images.ts';

const NAME = '0000000000000001.wal';
const options = { directory: DIRECTORY, metadata: Buffer.from('demo'), segmentBytes: 4096 };

function documented(): Buffer {
  const text = readFileSync(new URL('../FORMAT.md', import.meta.url), 'utf8');
  const bytes = Buffer.alloc(4096);
  for (const [, offset, hex] of text.matchAll(/^([0-9a-f]{8}) {2}((?:[0-9a-f]{2} ){16})/gm)) {
    Buffer.from(hex!.replaceAll(' ', ''), 'hex').copy(bytes, Number.parseInt(offset!, 16));
  }
  return bytes;
}

describe('FORMAT.md', () => {
  it('its dump is what the log writes', () => {
    const disk = new SimDisk(new Random('format', 'disk'));
    const { wal } = openWalInline({ ...options, disk });
    appendNow(wal, {
      entries: [entry(1, 1, Buffer.alloc(0)), entry(2, 1, Buffer.from('hello'))],
      hardState: { term: 1, vote: 2n, commit: 1 },
    });
    expect(takeFiles(disk).get(NAME)!.toString('hex')).toBe(documented().toString('hex'));
  });

  it('its dump is what stands in a real file, written by the thread', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'quorate-format-'));
    try {
      const { wal } = await openWal({ ...options, directory });
      await new Promise<void>((resolve, reject) => {
        wal.append(
          {
            entries: [entry(1, 1, Buffer.alloc(0)), entry(2, 1, Buffer.from('hello'))],
            hardState: { term: 1, vote: 2n, commit: 1 },
            mustSync: true,
          },
          (error) => (error === null ? resolve() : reject(error)),
        );
      });
      await wal.close();
      // The names are those the document shows, and nothing else is there.
      const names = readdirSync(directory).filter((name) => !/^[0-9a-f]{16}\.spare$/.test(name));
      expect(names.sort()).toEqual([NAME, 'lock']);
      expect(readFileSync(join(directory, NAME)).toString('hex')).toBe(documented().toString('hex'));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('its dump opens: a log of this version stays readable', () => {
    const { wal, recovered } = openWalInline({ ...options, disk: diskWith(new Map([[NAME, documented()]])) });
    expect(recovered).toMatchObject({
      created: false,
      repaired: null,
      hardState: { term: 1, vote: 2n, commit: 1 },
    });
    expect(wal.entries(1, 3, 100).map((one) => Buffer.from(one.data).toString())).toEqual(['', 'hello']);
  });
});
