/** The log of an etcd server, byte by byte: what is read, what ends it, what is refused. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LeaseGrantRequest, PutRequest } from '@quorate/proto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { meaningOf } from '../../src/offline/etcd-entries.ts';
import { readEtcdLog } from '../../src/offline/etcd-wal.ts';
import { block, entry, field, LogWriter, snapshot, state, union } from './etcd-files.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-etcd-log-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const read = (after: number) => readEtcdLog(folder, after);
const indexes = (after: number) => read(after).entries.map(({ index, term }) => `${index}/${term}`);

describe('log files', () => {
  test('entries after the wanted one, across files, with the last commit', () => {
    const log = new LogWriter(folder);
    for (const index of [1, 2, 3]) log.record(2, entry(index, 1));
    log.record(3, state(2)).cut(4);
    for (const index of [4, 5]) log.record(2, entry(index, 2));
    log.record(3, state(4)).cut();
    expect(indexes(0)).toEqual(['1/1', '2/1', '3/1', '4/2', '5/2']);
    expect(indexes(3)).toEqual(['4/2', '5/2']);
    expect(indexes(5)).toEqual([]);
    expect(read(3)).toMatchObject({ commit: 4, lastIndex: 5 });
  });

  test('entries written anew replace those they overtake', () => {
    const log = new LogWriter(folder);
    for (const index of [1, 2, 3, 4]) log.record(2, entry(index, 1));
    for (const index of [3]) log.record(2, entry(index, 2));
    log.cut();
    expect(indexes(0)).toEqual(['1/1', '2/1', '3/2']);
    expect(indexes(3)).toEqual([]);
    expect(read(3).lastIndex).toBe(3);
  });

  test('a write that was cut off ends the log, in the last file', () => {
    const log = new LogWriter(folder);
    log.record(2, entry(1, 1));
    const whole = log.bytes.length;
    log.record(2, entry(2, 1, Buffer.alloc(2_000, 7)));
    const path = log.cut();
    const file = Buffer.from(readFileSync(path));
    // Ends in the middle of the record, or has a sector of zeros in it.
    writeFileSync(path, file.subarray(0, whole + 600));
    expect(indexes(0)).toEqual(['1/1']);
    const torn = Buffer.from(file);
    torn.fill(0, 1024, 1536);
    writeFileSync(path, torn);
    expect(indexes(0)).toEqual(['1/1']);
  });

  test('a write may be cut off at any sector', () => {
    // Small entries before it put the last record at every place in a sector in turn.
    for (let before = 0; before < 70; before++) {
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
      const log = new LogWriter(folder);
      for (let index = 1; index <= before; index++) log.record(2, entry(index, 1));
      const start = log.bytes.length;
      log.record(2, entry(before + 1, 1, Buffer.alloc(700, 0xff)));
      const { length } = log.bytes;
      const path = log.cut();
      const file = Buffer.from(readFileSync(path));
      for (let at = Math.ceil((start + 1) / 512) * 512; at < length; at += 512) {
        for (const end of [length, Math.min(length, at + 512)]) {
          const torn = Buffer.from(file);
          torn.fill(0, at, end);
          writeFileSync(path, torn);
          expect(indexes(0)).toHaveLength(before);
        }
        writeFileSync(path, file.subarray(0, at));
        expect(indexes(0)).toHaveLength(before);
      }
    }
  });

  test.each([
    ['beyond the file', 0x0010_0000],
    ['into the zeros behind the log', 2_000],
    ['beyond the next record', 64],
    ['by one', 1],
  ])('case-25 a damaged length is no torn tail, also in the last file: %s', (_, more) => {
    const log = new LogWriter(folder);
    log.record(2, entry(1, 1));
    const at = log.bytes.length;
    log.record(2, entry(2, 1, Buffer.alloc(40, 1)));
    const next = log.bytes.length;
    log.record(2, entry(3, 1)).record(3, state(3));
    const path = log.cut();
    const whole = readFileSync(path);
    for (const last of [false, true]) {
      const file = Buffer.from(whole);
      // The same when it is the last record: its own first bytes tell.
      if (last) file.fill(0, next);
      file.writeUInt32LE(file.readUInt32LE(at) + more, at);
      writeFileSync(path, file);
      expect(() => read(0)).toThrow(`${path} at ${at}: `);
    }
  });

  test('case-25 zeros where a record begins are no end of the log while records follow', () => {
    const log = new LogWriter(folder);
    log.record(2, entry(1, 1));
    const at = log.bytes.length;
    for (let index = 2; index <= 30; index++) log.record(2, entry(index, 1, Buffer.alloc(44, 7)));
    const path = log.cut();
    const file = Buffer.from(readFileSync(path));
    file.fill(0, at, at + 512);
    writeFileSync(path, file);
    expect(() => read(0)).toThrow(`${path} at ${at}: records were lost here`);
  });

  test('a log that was just cut has its last entry in the file before', () => {
    const log = new LogWriter(folder);
    for (const index of [1, 2, 3]) log.record(2, entry(index, 1));
    log.record(3, state(3)).cut(4);
    log.record(3, state(3)).cut();
    expect(read(3)).toEqual({ entries: [], commit: 3, lastIndex: 3 });
  });

  test('a snapshot that was received counts as what it is the state after', () => {
    const log = new LogWriter(folder);
    log.record(2, entry(1, 1)).record(5, snapshot(10, 2));
    log.record(3, state(10)).cut();
    expect(read(10)).toEqual({ entries: [], commit: 10, lastIndex: 10 });
    log.record(2, entry(11, 2)).cut();
    expect(read(10)).toMatchObject({ entries: [{ index: 11, term: 2 }], lastIndex: 11 });
  });

  test.each([
    [
      'a flipped bit',
      (file: Buffer) => void file.writeUInt8(0x6c, file.indexOf('metadata')),
      /wrong checksum/,
    ],
    [
      'a length that lies',
      (file: Buffer) => void file.writeUInt32LE(0x7fff_ffff, 0),
      /ends outside the file|cannot be read/,
    ],
  ])('%s is refused with file and place', (_, change, message) => {
    const log = new LogWriter(folder);
    log.record(2, entry(1, 1));
    const path = log.cut(2);
    log.record(2, entry(2, 1)).cut();
    const file = Buffer.from(readFileSync(path));
    change(file);
    writeFileSync(path, file);
    expect(() => read(0)).toThrow(message);
    expect(() => read(0)).toThrow(path);
  });

  test('a file that does not continue the one before is refused', () => {
    const log = new LogWriter(folder);
    log.record(2, entry(1, 1)).cut(2);
    const path = log.record(2, entry(2, 1)).cut();
    const other = new LogWriter(folder);
    other.record(2, entry(9, 9));
    writeFileSync(path, other.bytes);
    expect(() => read(0)).toThrow('it does not continue the file before it');
  });

  test('case-25 a log that does not reach back far enough, or has a gap, is refused', () => {
    const log = new LogWriter(folder);
    log.record(2, entry(1, 1)).cut(5);
    log.record(2, entry(5, 1)).cut(6);
    log.record(2, entry(6, 1)).cut();
    expect(() => read(1)).toThrow('the log lacks entry 2');
    rmSync(join(folder, readdirSync(folder).sort()[1]!));
    expect(() => read(0)).toThrow('is missing in');
    rmSync(join(folder, readdirSync(folder).sort()[0]!));
    expect(() => read(0)).toThrow('does not reach back to entry 1');
    rmSync(folder, { recursive: true });
    expect(() => read(0)).toThrow('there is no log in');
  });
});

describe('what entries do', () => {
  test('requests become operations', () => {
    const put = PutRequest.encode({ key: Buffer.from('k'), value: Buffer.from('v'), lease: 5n });
    expect(meaningOf(union(4, put))).toMatchObject({
      kind: 'operation',
      operation: { kind: 'put', lease: 5n },
    });
    // A lease shorter than a server's minimum is raised when it is applied.
    expect(meaningOf(union(8, LeaseGrantRequest.encode({ ID: 9n, TTL: 1n })))).toEqual({
      kind: 'operation',
      operation: { kind: 'lease-grant', id: 9n, ttlSec: 2 },
    });
  });

  test('no-ops, reads, version 2 requests and what a new cluster decides anew do nothing', () => {
    const version2 = Buffer.from([
      ...field(0x08, 1),
      ...block(0x12, Buffer.from('PUT')),
      ...block(0x1a, Buffer.from('/0/version')),
    ]);
    for (const data of [Buffer.alloc(0), version2, union(3, Buffer.alloc(0)), union(1300, Buffer.alloc(0))])
      expect(meaningOf(data)).toEqual({ kind: 'nothing' });
  });

  test('changes of users and roles, and what nobody knows, cannot be replayed', () => {
    expect(meaningOf(union(1000, Buffer.alloc(0)))).toEqual({ kind: 'auth-enable' });
    for (const number of [1100, 1203, 4321])
      expect(meaningOf(union(number, Buffer.alloc(0)))).toMatchObject({ kind: 'unknown' });
    for (const number of [4, 5, 6, 7, 8, 9, 10, 11])
      expect(meaningOf(union(number, Buffer.of(0x0a, 0x80)))).toMatchObject({
        kind: 'unknown',
        what: expect.stringContaining('cannot be read'),
      });
  });
});
