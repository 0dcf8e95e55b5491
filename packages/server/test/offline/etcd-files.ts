/** Files as an etcd server makes them: its log, record by record, and requests as its entries hold them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { BoltWriter, createFile } from '@quorate/bbolt';

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}
export const field = (tag: number, value: number) => [tag, ...varint(value)];
export const block = (tag: number, bytes: Uint8Array | number[]) => [tag, ...varint(bytes.length), ...bytes];

export const entry = (index: number, term: number, data: Uint8Array | number[] = [], type = 0) =>
  Buffer.from([...field(0x08, type), ...field(0x10, term), ...field(0x18, index), ...block(0x22, data)]);
export const state = (commit: number) =>
  Buffer.from([...field(0x08, 1), ...field(0x10, 0), ...field(0x18, commit)]);

export const snapshot = (index: number, term: number) =>
  Buffer.from([...field(0x08, index), ...field(0x10, term)]);

/** Makes files as etcd does. */
export class LogWriter {
  readonly #folder: string;
  #crc = 0;
  #sequence = 0;
  #parts: Buffer[] = [];
  #firstIndex = 0;

  constructor(folder: string) {
    this.#folder = folder;
    this.#checksum();
    this.record(1, Buffer.from('metadata'));
  }

  #checksum(): void {
    this.#frame(4, this.#crc, Buffer.alloc(0));
  }

  record(type: number, data: Buffer): this {
    this.#crc = crc32c(data, this.#crc) >>> 0;
    this.#frame(type, this.#crc, data);
    return this;
  }

  #frame(type: number, crc: number, data: Buffer): void {
    const bytes = Buffer.from([...field(0x08, type), ...field(0x10, crc), ...block(0x1a, data)]);
    const padding = (8 - (bytes.length % 8)) % 8;
    const header = Buffer.alloc(8);
    header.writeUInt32LE(bytes.length);
    if (padding > 0) header.writeUInt32LE((0x80 | padding) * 2 ** 24, 4);
    this.#parts.push(header, bytes, Buffer.alloc(padding));
  }

  /** Ends this file; the next one begins at `firstIndex`. @returns its path */
  cut(firstIndex = 0, tail: Uint8Array = Buffer.alloc(4096)): string {
    const hex = (value: number) => value.toString(16).padStart(16, '0');
    const path = join(this.#folder, `${hex(this.#sequence)}-${hex(this.#firstIndex)}.wal`);
    writeFileSync(path, Buffer.concat([...this.#parts, tail]));
    this.#sequence++;
    this.#firstIndex = firstIndex;
    this.#parts = [];
    this.#checksum();
    return path;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** An `InternalRaftRequest` with one request in it. */
export const union = (number: number, bytes: Uint8Array) =>
  Buffer.from([...field(0x08, 77), ...varint(number * 8 + 2), ...varint(bytes.length), ...bytes]);

export type Rows = readonly (readonly [key: Uint8Array, value: Uint8Array])[];

/** A bbolt file with these buckets, in the order given, and their rows in order of keys. */
export function writeBolt(path: string, buckets: Readonly<Record<string, Rows>>): void {
  const sink = createFile(path);
  const writer = new BoltWriter(sink);
  for (const [name, rows] of Object.entries(buckets)) {
    writer.beginBucket(Buffer.from(name));
    for (const [key, value] of rows) writer.put(key, value);
    writer.endBucket();
  }
  writer.finish();
  sink.close();
}
