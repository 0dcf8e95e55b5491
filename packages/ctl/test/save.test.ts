/** The file that `snapshot save` writes, on a disk that takes a part of what it is given. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { download } from '../src/commands/snapshot.ts';

test('a write that took only a part of its bytes is gone on with', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-save-'));
  const path = join(folder, 'saved.db');
  const real = await open(path, 'w');
  const file = new Proxy(real, {
    get(target, name) {
      if (name === 'write')
        return (bytes: Uint8Array) => target.write(bytes, 0, Math.min(bytes.length, 1_000));
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  }) as FileHandle;
  const pieces = [Buffer.alloc(5_000, 1), Buffer.alloc(3_000, 2)];
  const sum = createHash('sha256').update(Buffer.concat(pieces)).digest();
  async function* parts() {
    for (const bytes of [...pieces, sum]) yield { remainingBytes: 0, bytes, version: '3.6.0' };
  }
  expect(await download(parts(), file)).toBe('3.6.0');
  await real.close();
  expect(readFileSync(path).equals(Buffer.concat([...pieces, sum]))).toBe(true);
  rmSync(folder, { recursive: true });
});
