import { expect, test } from 'vitest';
import { RunImage } from './run-image.ts';
import { RunImages } from './run-images.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** An image of one record with so many bytes of value. */
function imageOf(key: string, valueBytes = 0): RunImage {
  const field = (tag: number, value: Uint8Array): Buffer => {
    const length: number[] = [];
    let rest = value.length;
    for (; rest >= 128; rest >>>= 7) length.push((rest & 127) | 128);
    return Buffer.concat([Buffer.from([tag, ...length, rest]), value]);
  };
  const keyValue = Buffer.concat([field(0x0a, bytes(key)), field(0x2a, Buffer.alloc(valueBytes))]);
  const record = field(0x12, keyValue);
  return new RunImage(record, Uint32Array.from([0, record.length]));
}

function read(images: RunImages, key: string, times: number): boolean {
  let due = false;
  for (let i = 0; i < times; i++) due = images.noteRead(images.run(images.find(bytes(key))));
  return due;
}

function cut(images: RunImages, low: string, high: string): void {
  images.cutOut(images.find(bytes(low)), bytes(low), bytes(high));
}

function boundaries(images: RunImages): string[] {
  return Array.from({ length: images.runCount }, (_, i) => Buffer.from(images.from(i)).toString('latin1'));
}

test('a run is cut out of what lies around it, within its bounds', () => {
  const images = new RunImages(1 << 20, 256, 5);
  cut(images, 'm', 'p');
  expect(boundaries(images)).toEqual(['', 'm', 'p']);
  // Bounds beyond the neighbours end at them.
  images.cutOut(images.find(bytes('c')), bytes(''), bytes('z'));
  images.cutOut(images.find(bytes('x')), bytes('p'), null);
  expect(boundaries(images)).toEqual(['', 'm', 'p']);
  expect([0, 1, 2].map((i) => images.run(i).cut)).toEqual([true, true, true]);
  expect(['', 'lz', 'm', 'oz', 'p', 'zz'].map((key) => images.find(bytes(key)))).toEqual([0, 0, 1, 1, 2, 2]);
});

test('the third read since the last change makes an image due, and only of what was cut out', () => {
  const images = new RunImages(1 << 20, 256, 5);
  expect(read(images, 'n', 5)).toBe(false);
  cut(images, 'm', 'p');
  images.changed(bytes('n'), 6);
  expect(read(images, 'n', 2)).toBe(false);
  images.changed(bytes('o'), 7);
  expect(read(images, 'n', 2)).toBe(false);
  expect(read(images, 'n', 1)).toBe(true);
});

test('a change drops the image of its run and of no other', () => {
  const images = new RunImages(1 << 20, 256, 5);
  cut(images, 'a', 'm');
  cut(images, 'm', 'p');
  images.keep(images.find(bytes('a')), imageOf('a'), null);
  images.keep(images.find(bytes('n')), imageOf('n'), null);
  images.changed(bytes('b'), 6);
  expect(images.run(images.find(bytes('a')))).toMatchObject({ image: null, changedAt: 6, reads: 0 });
  expect(images.run(images.find(bytes('n')))).toMatchObject({ changedAt: 5 });
  expect(images.run(images.find(bytes('n'))).image).not.toBeNull();
  expect([images.imageCount, images.bytes]).toEqual([1, imageOf('n').size]);
});

test('an unchanged range is known to be so from the last change on', () => {
  const images = new RunImages(1 << 20, 256, 5);
  cut(images, 'm', 'p');
  images.changed(bytes('n'), 9);
  expect(images.sameSince(5, bytes('a'), bytes('m'))).toBe(true);
  expect(images.sameSince(4, bytes('a'), bytes('m'))).toBe(false);
  expect(images.sameSince(8, bytes('a'), bytes('m\0'))).toBe(false);
  expect(images.sameSince(9, bytes('a'), null)).toBe(true);
  expect(images.sameSince(8, bytes('p'), null)).toBe(true);
});

test('the image used longest ago goes first, unless it is read more often', () => {
  const size = imageOf('a', 1000).size;
  const images = new RunImages(2 * size, 256, 5);
  for (const key of ['a', 'b', 'c']) cut(images, key, `${key}z`);
  for (const key of ['a', 'b']) {
    expect(read(images, key, 3)).toBe(true);
    images.keep(images.find(bytes(key)), imageOf(key, 1000), null);
  }
  // "a" was used longest ago, and as often as "c" is read now.
  expect(read(images, 'c', 3)).toBe(false);
  expect(read(images, 'c', 1)).toBe(true);
  images.keep(images.find(bytes('c')), imageOf('c', 1000), null);
  expect(['a', 'b', 'c'].map((key) => images.run(images.find(bytes(key))).image !== null)).toEqual([
    false,
    true,
    true,
  ]);
  expect(images.bytes).toBe(2 * size);
});

test('what nobody reads any more loses its place after a while', () => {
  const size = imageOf('a', 1000).size;
  const images = new RunImages(size, 256, 5);
  for (const key of ['a', 'b']) cut(images, key, `${key}z`);
  read(images, 'a', 500);
  images.keep(images.find(bytes('a')), imageOf('a', 1000), null);
  let reads = 1;
  while (!read(images, 'b', 1)) expect(++reads).toBeLessThan(200);
  expect(reads).toBeGreaterThan(10);
});

test('an image that is larger than all may be is not kept', () => {
  const images = new RunImages(1000, 256, 5);
  cut(images, 'a', 'b');
  images.keep(images.find(bytes('a')), imageOf('a', 2000), null);
  expect([images.imageCount, images.bytes]).toEqual([0, 0]);
});

test('without room for images nothing is ever due', () => {
  const images = new RunImages(0, 256, 5);
  cut(images, 'a', 'b');
  expect(read(images, 'a', 10)).toBe(false);
});

test('the number of runs is bounded, and images outlive that runs without one are joined', () => {
  const images = new RunImages(1 << 20, 256, 5);
  const key = (i: number): string => `k${String(i).padStart(6, '0')}`;
  cut(images, 'a', 'b');
  images.keep(images.find(bytes('a')), imageOf('a'), null);
  let most = 0;
  for (let i = 0; i < 20_000; i++) {
    cut(images, key(i), `${key(i)}~`);
    images.changed(bytes(key(i)), 6 + i);
    most = Math.max(most, images.runCount);
  }
  expect(most).toBeLessThanOrEqual(1 << 14);
  expect(most).toBeGreaterThan((1 << 14) - 3);
  expect(images.run(images.find(bytes('a'))).image).not.toBeNull();
  // What was joined counts as changed when the last of it was.
  expect(images.sameSince(6, bytes(key(0)), bytes(key(1)))).toBe(false);
  const found = boundaries(images);
  expect(found).toEqual(found.toSorted());
});
