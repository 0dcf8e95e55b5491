/** The log's thread ends unasked while the process lives on. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openWal, type WalFailedError } from '../src/index.ts';
import { entry } from './images.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-wal-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const metadata = Buffer.from('thread');
const segmentBytes = 65_536;

describe.each(['exit', 'throw'])('a thread that ends by %s', (how) => {
  it.each(['walBeforeWrite', 'walBeforeSync', 'walAfterSync'])(
    'case-09 at %s fails what waits, tells the host once, and leaves everything acknowledged',
    async (at) => {
      const directory = join(folder, 'wal');
      const fatal: WalFailedError[] = [];
      const failpointModule = new URL(`./end-thread.ts?at=${at}&nth=5&how=${how}`, import.meta.url).href;
      const { wal } = await openWal({
        directory,
        metadata,
        failpointModule,
        onFatal: (error) => fatal.push(error),
      });
      let acknowledged = 0;
      for (let index = 1; wal.failure === null; index++) {
        const outcomes = [0, 1].map(
          (nth) =>
            new Promise<WalFailedError | null>((resolve) =>
              wal.append(
                {
                  entries: nth === 0 ? [entry(index, 1)] : [],
                  hardState: { term: 1, vote: 2n, commit: index - 1 },
                  mustSync: true,
                },
                resolve,
              ),
            ),
        );
        const [first, second] = await Promise.all(outcomes);
        if (first === null) acknowledged = index;
        else expect(second).toBe(first);
      }
      expect(fatal).toEqual([wal.failure]);
      expect(wal.failure.message).toContain(how === 'exit' ? 'ended with code 7' : 'a bug in the thread');
      expect(acknowledged).toBeGreaterThan(0);
      const late = await new Promise((resolve) =>
        wal.append({ entries: [entry(acknowledged + 2, 1)], hardState: null, mustSync: true }, resolve),
      );
      expect(late).toBe(wal.failure);
      await wal.close();
      const again = await openWal({ directory, metadata, segmentBytes });
      expect(again.wal.lastIndex()).toBeGreaterThanOrEqual(acknowledged);
      await again.wal.close();
    },
  );
});

describe('what the system refuses', () => {
  it('a path that is too long is named as such, and leaves no thread behind', async () => {
    const directory = join(folder, 'x'.repeat(300), 'wal');
    await expect(openWal({ directory, metadata, segmentBytes })).rejects.toMatchObject({
      code: 'ENAMETOOLONG',
    });
  });

  it('a file where the folder should be is named as such', async () => {
    const { wal } = await openWal({ directory: folder, metadata, segmentBytes });
    await wal.close();
    const directory = join(folder, 'lock', 'wal');
    await expect(openWal({ directory, metadata, segmentBytes })).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});
