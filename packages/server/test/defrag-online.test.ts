/** Defragmentation of a running member: reads and writes are answered meanwhile, and nothing of either is lost. */
import type { HandlerTable } from '@quorate/grpc-server';
import { services as rpc } from '@quorate/proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { call } from './support/direct-calls.ts';
import { type RunningMember, runMember } from './support/running-member.ts';

const KV = rpc['etcdserverpb.KV'];
const { Defragment, HashKV, Status } = rpc['etcdserverpb.Maintenance'];
const bytes = (text: string) => Uint8Array.from(Buffer.from(text));

let running: RunningMember;
beforeAll(async () => {
  running = await runMember({ unsafeNoFsync: true });
});
afterAll(() => running?.stop());

test('sem-081 writes and reads go on while the file is rewritten; the file shrinks', async () => {
  const table: HandlerTable = running.services.handlers;
  const put = (key: string, value: Uint8Array) => call(table, KV.Put, { key: bytes(key), value });
  const value = new Uint8Array(32 * 1024).fill(7);
  for (let round = 0; round < 4; round++) {
    await Promise.all(Array.from({ length: 100 }, (_, index) => put(`big/${index}`, value)));
  }
  const { header } = await call(table, KV.DeleteRange, { key: bytes('big/2'), rangeEnd: bytes('big0') });
  await call(table, KV.Compact, { revision: header!.revision, physical: true });
  const before = await call(table, Status, {});

  let ended = false;
  const defragmented = call(table, Defragment, {}).then(() => {
    ended = true;
  });
  let during = 0;
  let written = 0;
  // Bounded by what is done, not by time: a defragmentation that never ends fails the test by its timeout.
  while (!ended) {
    const text = `${written}`;
    await put('during', bytes(text));
    const { kvs } = await call(table, KV.Range, { key: bytes('during') });
    expect(Buffer.from(kvs[0]!.value).toString()).toBe(text);
    expect((await call(table, KV.Range, { key: bytes('big/0') })).kvs[0]?.value.length).toBe(value.length);
    if (!ended) during += 1;
    written += 1;
  }
  await defragmented;
  expect(during).toBeGreaterThan(0);
  const after = await call(table, Status, {});
  expect(after.dbSize).toBeLessThan(before.dbSize);
  // Every write is there, once and in order.
  const [last] = (await call(table, KV.Range, { key: bytes('during') })).kvs;
  expect([Buffer.from(last!.value).toString(), Number(last!.version)]).toEqual([`${written - 1}`, written]);
  const hash = await call(table, HashKV, {});
  expect(await call(table, HashKV, { revision: hash.hashRevision })).toMatchObject({ hash: hash.hash });
});
