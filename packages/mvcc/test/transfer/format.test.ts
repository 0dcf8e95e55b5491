/** SNAPSHOT-FORMAT.md is true: its worked example, byte for byte. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { memoryBackend } from '../../src/backend/memory.ts';
import { chunksOf, dump, fill, open, settled } from './stores.ts';

const TEXT = readFileSync(new URL('../../SNAPSHOT-FORMAT.md', import.meta.url), 'utf8');

/** The chunks of the example: hex at the start of each line, up to the first double space after it. */
function example(): Buffer[] {
  const block = /```example\n([\s\S]*?)```/.exec(TEXT)![1]!;
  return block
    .split(/^chunk .*\n/m)
    .slice(1)
    .map((lines) =>
      Buffer.concat(
        lines
          .split('\n')
          .map((line) =>
            Buffer.from(
              /^ *((?:[0-9a-f]{2} {1,2})*(?:[0-9a-f]{2}$)?)/.exec(line)![1]!.replaceAll(' ', ''),
              'hex',
            ),
          ),
      ),
    );
}

test('the worked example is what a store sends', async () => {
  const store = open({ backend: memoryBackend() });
  const transaction = store.begin(5, 2);
  transaction.put(Buffer.from('a'), Buffer.from('x'), 0n);
  transaction.putMeta('m', Buffer.from('k'), Buffer.from('v'));
  transaction.commit();
  const chunks = await chunksOf(store);
  expect(chunks.map((chunk) => Buffer.from(chunk).toString('hex'))).toEqual(
    example().map((chunk) => chunk.toString('hex')),
  );
  const other = open({ backend: memoryBackend() });
  const sink = other.receiveImage();
  await fill(sink, example());
  await settled((done) => other.install(sink, done));
  expect(await dump(other)).toEqual(await dump(store));
  await Promise.all([store.close(), other.close()]);
});
