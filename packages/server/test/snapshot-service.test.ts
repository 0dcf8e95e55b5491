/** Maintenance.Snapshot, called without a transport: what is sent, and that nothing is left behind. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BoltFile, bytesSource, checkFile } from '@quorate/bbolt';
import { services as rpc, SnapshotRequest, SnapshotResponse } from '@quorate/proto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createServices } from '../src/api/services.ts';
import { ImageFolder } from '../src/etcd-image/image-folder.ts';
import { hashFile } from '../src/offline/index.ts';
import { call, callStream, type StreamAnswer } from './support/direct-calls.ts';
import { type RunningMember, runMember } from './support/running-member.ts';

const KV = rpc['etcdserverpb.KV'];
const Lease = rpc['etcdserverpb.Lease'];
const { Snapshot, Alarm, HashKV } = rpc['etcdserverpb.Maintenance'];
const BLOB_BYTES = 32 * 1024;

let folder: string;
let running: RunningMember;
let services: ReturnType<typeof createServices>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-snapshot-'));
  running = await runMember();
});
beforeEach(() => {
  services = createServices(running.member, {
    images: new ImageFolder(join(folder, 'images'), running.member.env),
  });
});
afterEach(() => services.close());
afterAll(async () => {
  await running.stop();
  rmSync(folder, { recursive: true, force: true });
});

const text = (value: string) => Uint8Array.from(Buffer.from(value));
const put = (key: string, value: string | Uint8Array, lease = 0n) =>
  call(services.handlers, KV.Put, {
    key: text(key),
    value: typeof value === 'string' ? text(value) : value,
    lease,
  });
const snapshot = (room?: (messages: number) => boolean): Promise<StreamAnswer> =>
  callStream(
    services.handlers,
    Snapshot.path,
    [SnapshotRequest.encode({})],
    room === undefined ? {} : { room },
  );

function partsOf(answer: StreamAnswer) {
  const parts = answer.messages.map((message) => SnapshotResponse.decode(message));
  const file = Buffer.concat(parts.slice(0, -1).map(({ blob }) => blob));
  return { parts, file, trailer: Buffer.from(parts.at(-1)!.blob) };
}

describe('Snapshot', () => {
  // First of all: it looks at revisions from the beginning.
  test('sem-193 the file has every bucket of etcd, with the state in them', async () => {
    const lease = 0x77n;
    await call(services.handlers, Lease.LeaseGrant, { TTL: 1000n, ID: lease });
    await put('a', '1', lease);
    await put('b', '2');
    await call(services.handlers, KV.DeleteRange, { key: text('b') });
    await call(services.handlers, KV.Compact, { revision: 2n });
    await call(services.handlers, Alarm, { action: 1, memberID: 5n, alarm: 7 });
    const { file } = partsOf(await snapshot());
    const image = new BoltFile(bytesSource(file));
    checkFile(image);
    expect(
      image
        .bucketNames()
        .map((name) => Buffer.from(name).toString())
        .join(' '),
    ).toBe('alarm auth authRoles authUsers cluster key lease members members_removed meta');
    const rows = (bucket: string) =>
      [...image.bucket(bucket)!.entries()].map(({ key, value }) => [
        Buffer.from(key).toString('latin1'),
        Buffer.from(value).toString('latin1'),
      ]);
    const revision = (main: number) => `\0\0\0\0\0\0\0${String.fromCharCode(main)}_\0\0\0\0\0\0\0\0`;
    expect(rows('key').map(([key]) => key)).toEqual([revision(2), revision(3), `${revision(4)}t`]);
    // A tombstone is its key alone.
    expect(rows('key').at(-1)![1]).toBe('\x0a\x01b');
    expect(rows('lease')).toEqual([['\0\0\0\0\0\0\0\x77', '\x08\x77\x10\xe8\x07']]);
    expect(rows('alarm')).toEqual([['\x08\x05\x10\x07', '']]);
    const { memberId, store } = running.member;
    expect(rows('members')).toEqual([
      [
        memberId.toString(16),
        `{"id":${memberId},"peerURLs":["http://127.0.0.1:2380"],"name":"m1","clientURLs":["http://127.0.0.1:2379"]}`,
      ],
    ]);
    const meta = Object.fromEntries(rows('meta'));
    expect(meta.confState).toBe(`{"voters":[${memberId}],"auto_leave":false}`);
    expect(meta.storageVersion).toBe('3.6.0');
    expect(meta.finishedCompactRev).toBe(revision(2));
    expect(meta.scheduledCompactRev).toBe(revision(2));
    expect(Buffer.from(meta.consistent_index!, 'latin1').readBigUInt64BE()).toBe(BigInt(store.appliedIndex));
    expect(Buffer.from(meta.term!, 'latin1').readBigUInt64BE()).toBe(BigInt(store.appliedTerm));
  });

  test('sem-191 blobs of 32 KiB count down to 0; the SHA-256 of all of them comes last', async () => {
    for (let i = 0; i < 20; i++) await put(`key-${i}`, Buffer.alloc(20_000, i));
    let waits = 0;
    const answer = await snapshot((messages) => {
      if (messages % 3 === 0) waits++;
      return messages % 3 !== 0;
    });
    expect(answer.status).toBe(0);
    expect(waits).toBeGreaterThan(0);
    const { parts, file, trailer } = partsOf(answer);
    let remaining = file.length;
    for (const [index, part] of parts.slice(0, -1).entries()) {
      remaining -= part.blob.length;
      expect(part.remainingBytes).toBe(BigInt(remaining));
      if (index < parts.length - 2) expect(part.blob.length).toBe(BLOB_BYTES);
      expect(part.version).toBe('3.6.0');
      expect(part.header).toBeUndefined();
    }
    expect(remaining).toBe(0);
    expect(parts.at(-1)!.remainingBytes).toBe(0n);
    expect(trailer).toEqual(createHash('sha256').update(file).digest());
    // sem-192: blobs are whole pages, so that a saved file is known by its size.
    expect(file.length % 4096).toBe(0);
    expect((file.length + trailer.length) % 512).toBe(32);
    expect(readdirSync(join(folder, 'images'))).toEqual([]);
  });

  test('case-51 a snapshot taken while writes go on is the state at one revision', async () => {
    for (let i = 0; i < 300; i++) await put(`key-${i % 100}`, `v${i}`);
    let over = false;
    let writes = 0;
    const writer = (async () => {
      while (!over) await put(`key-${writes++ % 100}`, Buffer.alloc(500, writes));
    })();
    const answer = await snapshot();
    over = true;
    await writer;
    expect(writes).toBeGreaterThan(0);
    const { file } = partsOf(answer);
    const path = join(folder, 'saved.db');
    writeFileSync(path, file);
    const { hash, hashRevision } = await hashFile(path, 0);
    const online = await call(services.handlers, HashKV, { revision: BigInt(hashRevision) });
    expect(hashRevision).toBeGreaterThan(300);
    expect(online).toMatchObject({ hash, hashRevision: BigInt(hashRevision) });
  });

  test('a caller that goes away takes its file along, and removal goes on', async () => {
    for (let i = 0; i < 50; i++) await put(`key-${i}`, Buffer.alloc(10_000, i));
    const stages = ['before the file', 'while it is sent'] as const;
    for (const stage of stages) {
      let messages = 0;
      let cancel = (): void => {};
      const cancelled = new Promise<void>((resolve) => {
        const handler = services.handlers.get(Snapshot.path);
        if (handler?.kind !== 'stream') throw new Error('no stream');
        const listener = handler.open({
          path: Snapshot.path,
          metadata: { get: () => undefined, entries: () => [] },
          deadlineMs: Number.POSITIVE_INFINITY,
          peer: 'test',
          peerCommonName: '',
          cancelled: false,
          queuedBytes: 0,
          onCancel: (listen) => {
            cancel = () => listen('cancelled');
          },
          write() {
            if (++messages === 2) {
              cancel();
              resolve();
            }
            return true;
          },
          onDrain() {},
          setHeaders() {},
          setTrailers() {},
          end: () => resolve(),
          pause() {},
          resume() {},
        });
        listener.onMessage(SnapshotRequest.encode({}));
        listener.onHalfClose();
        if (stage === 'before the file') {
          cancel();
          resolve();
        }
      });
      await cancelled;
    }
    const images = join(folder, 'images');
    await expect.poll(() => (existsSync(images) ? readdirSync(images) : [])).toEqual([]);
    // Nothing holds back the removal of what a compaction left over.
    await call(services.handlers, KV.Compact, {
      revision: BigInt(running.member.store.revision),
      physical: true,
    });
  });

  test('what a crash left in the folder is removed at start', () => {
    const images = join(folder, 'left');
    mkdirSync(images);
    writeFileSync(join(images, '1.db'), 'half an image');
    new ImageFolder(images, running.member.env);
    expect(existsSync(images)).toBe(false);
  });

  test('after the end of service streams are refused, and those under way end', async () => {
    await put('a', '1');
    const answer = snapshot();
    services.close();
    expect((await answer).message).toContain('stopped');
    expect((await snapshot()).message).toContain('stopped');
  });

  test('a call that ends before its request', async () => {
    expect(await callStream(services.handlers, Snapshot.path, [])).toMatchObject({
      status: 2,
      message: 'EOF',
    });
  });
});
