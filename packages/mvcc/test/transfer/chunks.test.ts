/**
 * Strategy: the chunks of one real image, damaged in every way a wire or a disk can.
 *
 * Invariant: a sink refuses whatever is not exactly what was sent, in order and whole, and leaves no file behind; a chunk at a time.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memoryBackend } from '../../src/backend/memory.ts';
import type { MvccStore } from '../../src/store.ts';
import { CHUNK_HEADER_BYTES, sealChunk } from '../../src/transfer/chunks.ts';
import { chunksOf, fill, open, put, settled } from './stores.ts';

const seed = Number(process.env.MVCC_SEED ?? 20261121);
const numRuns = Number(process.env.MVCC_RUNS ?? 300);
let chunks: Uint8Array[] = [];
let from: MvccStore;
let to: MvccStore;

beforeAll(async () => {
  from = open({ backend: memoryBackend() });
  for (let i = 0; i < 40; i++) put(from, { [`key ${i % 9}`]: `value ${i}` });
  const transaction = from.begin(from.appliedIndex + 1, 1);
  transaction.putMeta('t', Buffer.from('row'), Buffer.from('x'));
  transaction.commit();
  // Two chunks of records.
  put(from, { large: 'x'.repeat(250_000), larger: 'y'.repeat(300_000) });
  chunks = await chunksOf(from);
  to = open({ backend: memoryBackend() });
});
afterAll(() => Promise.all([from.close(), to.close()]));

async function refused(sent: readonly Uint8Array[]): Promise<string> {
  const error: Error & { code?: string } = await fill(to.receiveImage(), sent).then(
    () => new Error('it was accepted'),
    (failure) => failure,
  );
  expect(error.message).not.toBe('it was accepted');
  return `${error.code}: ${error.message}`;
}

describe('case-49 damaged images are refused', () => {
  test('the undamaged one is not', async () => {
    expect(chunks.length).toBeGreaterThan(4);
    expect((await fill(to.receiveImage(), chunks)).appliedIndex).toBe(from.appliedIndex);
  });

  test(`any flipped bit (seed ${seed}, ${numRuns} runs)`, async () => {
    const bit = fc
      .nat(chunks.length - 1)
      .chain((n) => fc.tuple(fc.constant(n), fc.nat(Math.min(chunks[n]!.length, 4_000) - 1), fc.nat(7)));
    await fc.assert(
      fc.asyncProperty(bit, async ([n, at, which]) => {
        const damaged = chunks.slice();
        damaged[n] = chunks[n]!.slice();
        damaged[n]![at]! ^= 1 << which;
        expect(await refused(damaged)).toMatch(/^DAMAGED_IMAGE: damaged image: chunk \d+/);
      }),
      { seed, numRuns },
    );
  });

  test('every cut of a chunk, and a chunk with more behind it', async () => {
    for (const length of [0, 1, CHUNK_HEADER_BYTES - 1, CHUNK_HEADER_BYTES, chunks[2]!.length - 1]) {
      const damaged = chunks.slice();
      damaged[2] = chunks[2]!.slice(0, length);
      expect(await refused(damaged)).toMatch(/^DAMAGED_IMAGE/);
    }
    const damaged = chunks.slice();
    damaged[1] = Buffer.concat([chunks[1]!, Buffer.from('x')]);
    expect(await refused(damaged)).toMatch(/its length is wrong/);
  });

  test('each chunk missing, repeated, or in another place', async () => {
    for (let i = 0; i < chunks.length; i++) {
      expect(await refused(chunks.toSpliced(i, 1))).toMatch(/^DAMAGED_IMAGE/);
      expect(await refused(chunks.toSpliced(i, 0, chunks[i]!))).toMatch(/^DAMAGED_IMAGE/);
      for (let j = i + 1; j < chunks.length; j++) {
        const swapped = chunks.slice();
        [swapped[i], swapped[j]] = [chunks[j]!, chunks[i]!];
        expect(await refused(swapped)).toMatch(/^DAMAGED_IMAGE/);
      }
    }
  });

  test('a stream that is cut off after any chunk', async () => {
    for (let length = 0; length < chunks.length; length++) {
      expect(await refused(chunks.slice(0, length))).toMatch(/without its end/);
    }
  });

  test('chunks of two images, each whole, are not one image', async () => {
    put(from, { 'key 1': 'another' });
    const others = await chunksOf(from);
    const mixed = chunks.slice();
    mixed[0] = others[0]!;
    expect(await refused(mixed)).toMatch(/do not agree/);
  });

  test(`payloads of anything under a good checksum are refused without harm (seed ${seed}, ${numRuns} runs)`, async () => {
    const anything = fc.tuple(fc.constantFrom(2, 3, 4, 5), fc.uint8Array({ maxLength: 200 }));
    await fc.assert(
      fc.asyncProperty(anything, async ([kind, payload]) => {
        const chunk = new Uint8Array(CHUNK_HEADER_BYTES + payload.length);
        chunk.set(payload, CHUNK_HEADER_BYTES);
        sealChunk(chunk, 1, kind);
        expect(await refused([chunks[0]!, chunk, chunks.at(-1)!])).toMatch(/^(DAMAGED_IMAGE|REFUSED_RECORD)/);
      }),
      { seed, numRuns },
    );
  });

  test('after a refusal the sink takes nothing more, and another one works', async () => {
    const sink = to.receiveImage();
    await settled((done) => sink.write(chunks[0]!, done));
    await expect(settled((done) => sink.write(chunks[2]!, done))).rejects.toThrow(
      'chunk 2 came in its place',
    );
    await expect(settled((done) => sink.write(chunks[1]!, done))).rejects.toThrow('the sink has ended');
    await fill(to.receiveImage(), chunks);
  });
});

describe('files of an image that does not come whole', () => {
  const directory = mkdtempSync(join(tmpdir(), 'mvcc-chunks-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const fresh = (): string[] => readdirSync(directory).filter((name) => name.startsWith('fresh'));
  const until = async (holds: () => boolean): Promise<void> => {
    const deadlineMs = performance.now() + 20_000;
    while (!holds() && performance.now() < deadlineMs) await new Promise((resolve) => setImmediate(resolve));
    expect(holds()).toBe(true);
  };

  test('case-49 are removed on abort, on damage, when another comes, and on close', async () => {
    const store = open({ directory });
    const begun = async (): Promise<ReturnType<MvccStore['receiveImage']>> => {
      const sink = store.receiveImage();
      await settled((done) => sink.write(chunks[0]!, done));
      expect(fresh().length).toBeGreaterThan(0);
      return sink;
    };
    (await begun()).abort();
    await until(() => fresh().length === 0);
    const damaged = await begun();
    await expect(settled((done) => damaged.write(chunks[2]!, done))).rejects.toThrow('damaged image');
    await until(() => fresh().length === 0);
    const first = await begun();
    const second = await begun();
    await until(() => fresh().every((name) => name.startsWith('fresh-receive4')));
    await expect(settled((done) => first.write(chunks[1]!, done))).rejects.toThrow('ended');
    await settled((done) => second.write(chunks[1]!, done));
    await store.close();
    await until(() => fresh().length === 0);
  });
});
