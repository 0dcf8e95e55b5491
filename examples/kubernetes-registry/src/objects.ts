/**
 * Objects as an API server keeps them: `/registry/<resource>/<namespace>/<name>`, values of 300 B to 20 kB.
 *
 * Everything follows from a seed: the value of an object's n-th generation can be made again at any time, so a check
 * needs no copy of what was written.
 */

/** Share of the objects, and how large they are. */
const RESOURCES = [
  { name: 'pods', share: 0.4, minBytes: 2_000, maxBytes: 9_000 },
  { name: 'configmaps', share: 0.2, minBytes: 300, maxBytes: 20_000 },
  { name: 'secrets', share: 0.15, minBytes: 300, maxBytes: 4_000 },
  { name: 'events', share: 0.15, minBytes: 600, maxBytes: 1_200 },
  { name: 'deployments', share: 0.1, minBytes: 1_500, maxBytes: 6_000 },
] as const;

export type Resource = (typeof RESOURCES)[number]['name'];
export const resources: readonly Resource[] = RESOURCES.map(({ name }) => name);

/** A small generator of numbers in [0, 1) (mulberry32). */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface ObjectId {
  readonly key: string;
  readonly resource: Resource;
  readonly number: number;
}

/** Object `number` of `total`. */
export function objectId(number: number, total: number): ObjectId {
  let below = 0;
  const place = (number + 0.5) / total;
  const resource = RESOURCES.find(({ share }) => {
    below += share;
    return place < below;
  });
  const { name } = resource ?? RESOURCES[0];
  const namespace = `team-${String(number % 97).padStart(2, '0')}`;
  return {
    key: `/registry/${name}/${namespace}/${name}-${String(number).padStart(7, '0')}`,
    resource: name,
    number,
  };
}

const FILLER = Buffer.from(
  Array.from({ length: 32_768 }, (_, i) => `${(Math.imul(i, 2_654_435_761) >>> 8).toString(36)} `).join(''),
);

/** The object as of its `generation`-th write, counted from 1. */
export function objectValue(id: ObjectId, generation: number): Buffer {
  const kind = RESOURCES.find(({ name }) => name === id.resource) ?? RESOURCES[0];
  const random = numbers(id.number * 31 + generation);
  // Small objects are common and large ones rare: uniform in the logarithm.
  const bytes = Math.round(kind.minBytes * (kind.maxBytes / kind.minBytes) ** random());
  const head = Buffer.from(JSON.stringify({ kind: id.resource, name: id.key, generation }));
  const from = Math.floor(random() * (FILLER.length - 20_000));
  return Buffer.concat([head, FILLER.subarray(from, from + Math.max(0, bytes - head.length))]);
}

/** Reads back which generation a value is, and whether every byte is as it was written. */
export function generationOf(id: ObjectId, value: Uint8Array): number {
  const text = Buffer.from(value.buffer, value.byteOffset, Math.min(value.length, 300)).toString('latin1');
  const generation = Number(/"generation":(\d+)/.exec(text)?.[1] ?? Number.NaN);
  if (!objectValue(id, generation).equals(value)) throw new Error(`damaged value of ${id.key}`);
  return generation;
}
