/**
 * The store as plainly as it can be written: every version of every key in arrays, every answer by looking at all of them.
 *
 * It is what the real store is compared with. It never forgets physically; what compaction means is only the one comparison in `check`.
 */

import { crc32c } from '@node-rs/crc32';
import { compareBytes } from '../../src/bytes.ts';

export interface Version {
  readonly main: number;
  readonly sub: number;
  readonly create: number;
  readonly version: number;
  readonly value: string;
  readonly lease: bigint;
  readonly tombstone: boolean;
}

export interface ModelRecord extends Version {
  readonly key: string;
}

/** Keys and values are latin1 strings: one character, one byte. */
export const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

export class ModelStore {
  readonly keys = new Map<string, Version[]>();
  readonly meta = new Map<string, string>();
  revision = 1;
  compactRevision = -1;
  index = 0;

  clone(): ModelStore {
    const copy = new ModelStore();
    for (const [key, versions] of this.keys) copy.keys.set(key, versions.slice());
    for (const [key, value] of this.meta) copy.meta.set(key, value);
    copy.revision = this.revision;
    copy.compactRevision = this.compactRevision;
    copy.index = this.index;
    return copy;
  }

  at(key: string, revision: number): ModelRecord | null {
    const versions = this.keys.get(key) ?? [];
    for (let i = versions.length - 1; i >= 0; i--) {
      const version = versions[i]!;
      if (version.main <= revision) return version.tombstone ? null : { key, ...version };
    }
    return null;
  }

  put(main: number, sub: number, key: string, value: string, lease: bigint): void {
    const old = this.at(key, main);
    const version: Version = {
      main,
      sub,
      create: old?.create ?? main,
      version: (old?.version ?? 0) + 1,
      value,
      lease,
      tombstone: false,
    };
    this.keys.set(key, [...(this.keys.get(key) ?? []), version]);
  }

  remove(main: number, sub: number, key: string): void {
    const version = { main, sub, create: 0, version: 0, value: '', lease: 0n, tombstone: true };
    this.keys.set(key, [...this.keys.get(key)!, version]);
  }

  /** Live keys of `[low, high)` (null: one key, '\0': to the end) at `revision`, in order. */
  range(low: string, end: string | null, revision: number): ModelRecord[] {
    const found: ModelRecord[] = [];
    for (const key of this.keys.keys()) {
      if (!inRange(key, low, end)) continue;
      const record = this.at(key, revision);
      if (record !== null) found.push(record);
    }
    return found.sort((a, b) => compareBytes(bytesOf(a.key), bytesOf(b.key)));
  }

  /** Everything that happened from `from` on, in order of revision. */
  events(from: number): ModelRecord[] {
    const found: ModelRecord[] = [];
    for (const [key, versions] of this.keys) {
      for (const version of versions) if (version.main >= from) found.push({ key, ...version });
    }
    return found.sort((a, b) => a.main - b.main || a.sub - b.sub);
  }

  leaseKeys(lease: bigint): string[] {
    return this.range('\0', '\0', this.revision)
      .filter((record) => record.lease === lease)
      .map((record) => record.key);
  }

  /** HashKV by its definition: see `read/hash.ts`. */
  hash(revision: number): number {
    const C = this.compactRevision;
    const anyAlive = this.range('\0', '\0', revision).length > 0;
    const kept = (record: ModelRecord): boolean => {
      if (record.main > C) return true;
      if (record.tombstone) return false;
      const later = this.keys
        .get(record.key)!
        .filter((v) => v.main > record.main || (v.main === record.main && v.sub > record.sub));
      const newestAtC = !later.some((v) => v.main <= C);
      const newestAtRevision = !later.some((v) => v.main <= revision);
      return newestAtC && (newestAtRevision || !anyAlive);
    };
    const all = this.events(0).filter((record) => record.main <= revision && kept(record));
    const parts = all.flatMap((record) => {
      const revisionBytes = Buffer.alloc(record.tombstone ? 18 : 17);
      revisionBytes.writeBigUInt64BE(BigInt(record.main), 0);
      revisionBytes.write('_', 8);
      revisionBytes.writeBigUInt64BE(BigInt(record.sub), 9);
      if (record.tombstone) revisionBytes.write('t', 17);
      return [revisionBytes, encodeKeyValue(record)];
    });
    return crc32c(Buffer.concat([Buffer.from('key'), ...parts]));
  }
}

export function inRange(key: string, low: string, end: string | null): boolean {
  if (end === null) return key === low;
  const bytes = bytesOf(key);
  if (compareBytes(bytes, bytesOf(low)) < 0) return false;
  return end === '\0' || compareBytes(bytes, bytesOf(end)) < 0;
}

/** A second writer of `mvccpb.KeyValue`, with `BigInt` throughout. A tombstone is just its key. */
export function encodeKeyValue(record: ModelRecord): Buffer {
  const parts: Buffer[] = [];
  const field = (tag: number, value: bigint): void => {
    if (value !== 0n) parts.push(Buffer.from([tag]), varint(value));
  };
  const bytes = (tag: number, text: string): void => {
    if (text.length > 0)
      parts.push(Buffer.from([tag]), varint(BigInt(text.length)), Buffer.from(text, 'latin1'));
  };
  bytes(0x0a, record.key);
  if (!record.tombstone) {
    field(0x10, BigInt(record.create));
    field(0x18, BigInt(record.main));
    field(0x20, BigInt(record.version));
    bytes(0x2a, record.value);
    field(0x30, record.lease);
  }
  return Buffer.concat(parts);
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
