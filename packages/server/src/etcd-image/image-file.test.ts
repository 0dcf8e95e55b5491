/** How reading an image shares the loop with those who write meanwhile. What is in the file is tested with the services that send it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, type Store, type StoreImage } from '@quorate/mvcc';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { nodeEnv } from '../node/env.ts';
import { ImageFile } from './image-file.ts';

const real = nodeEnv({ log() {} });
const VALUE = Buffer.alloc(64 * 1024, 1);
const KEYS = 32;

let folder: string;
let store: Store;
let image: StoreImage;
/** What happened in between: a slice was read, or a rest of so many milliseconds began. */
let events: (string | number)[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-image-file-'));
  store = openStore({ storage: { directory: folder }, ...real });
  const transaction = store.begin(1, 1);
  for (let i = 0; i < KEYS; i++) transaction.put(Buffer.from(`key-${i}`), VALUE, 0n);
  transaction.commit();
  events = [];
  image = await new Promise<StoreImage>((resolve, reject) =>
    store.openImage((error, opened) => (opened === null ? reject(error) : resolve(opened))),
  );
  const read = image.readRecords.bind(image);
  vi.spyOn(image, 'readRecords').mockImplementation((maxBytes) => {
    events.push('slice');
    return read(maxBytes);
  });
});
afterEach(async () => {
  image.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

function write(
  appliedIndex: () => number,
  onRest = (): void => {},
): { file: ImageFile; size: Promise<number> } {
  const env = {
    afterPoll: real.afterPoll,
    setTimer(delayMs: number, callback: () => void) {
      events.push(delayMs);
      onRest();
      return real.setTimer(delayMs, callback);
    },
  };
  let file!: ImageFile;
  const size = new Promise<number>((resolve, reject) => {
    const path = join(folder, 'image.db');
    file = new ImageFile({ image, path, appliedIndex, env }, (error, sizeBytes) =>
      error === null ? resolve(sizeBytes) : reject(error),
    );
  });
  return { file, size };
}

test('while others write, a rest follows each slice', async () => {
  let index = 1;
  const { size } = write(() => ++index);
  expect(await size).toBeGreaterThan(KEYS * VALUE.length);
  expect(events.length).toBeGreaterThan(8);
  // The last slice is empty and ends it.
  expect(events).toEqual(events.map((_, at) => (at % 2 === 0 ? 'slice' : 4)));
  expect(events.at(-1)).toBe('slice');
});

test('while nobody writes, none does', async () => {
  const { size } = write(() => 1);
  expect(await size).toBeGreaterThan(KEYS * VALUE.length);
  expect(events.length).toBeGreaterThan(4);
  expect(new Set(events)).toEqual(new Set(['slice']));
});

test('nothing is read after a rest in which it was cancelled', async () => {
  let index = 1;
  const { file } = write(
    () => ++index,
    () => void file.cancel(),
  );
  await expect.poll(() => events).toEqual(['slice', 4]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(events).toEqual(['slice', 4]);
});
