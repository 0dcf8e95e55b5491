import {
  KeyValue,
  type RangeRequest,
  RangeStreamResponse,
  services as rpc,
  TxnResponse,
} from '@quorate/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, callBytes, callStream, type Headers } from './support/direct-calls.ts';
import { type RunningMember, runMember } from './support/running-member.ts';

const KV = rpc['etcdserverpb.KV'];

let running: RunningMember;
beforeAll(async () => {
  running = await runMember();
});
afterAll(() => running.stop());

const text = (value: string) => Uint8Array.from(Buffer.from(value, 'latin1'));
const show = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
const END = text('\0');
const range = (request: Parameters<typeof RangeRequest.encode>[0], headers: Headers = {}) =>
  call(running.services.handlers, KV.Range, request, headers);
const put = (key: string, value: string, more: object = {}) =>
  call(running.services.handlers, KV.Put, { key: text(key), value: text(value), ...more });
const remove = (key: string, end = '', more: object = {}) =>
  call(running.services.handlers, KV.DeleteRange, { key: text(key), rangeEnd: text(end), ...more });
const txn = (request: Parameters<(typeof KV.Txn.request)['encode']>[0]) =>
  call(running.services.handlers, KV.Txn, request);
const compact = (revision: bigint, physical = false) =>
  call(running.services.handlers, KV.Compact, { revision, physical });
const prefix = (key: string) => ({ key: text(key), rangeEnd: text(`${key}\xff`) });
const keys = (response: { kvs: KeyValue[] }) => response.kvs.map((kv) => show(kv.key));

test('sem-071 a new store is at revision 1, the first write gets 2', async () => {
  expect((await range({ key: text('first') })).header?.revision).toBe(1n);
  expect((await put('first', '1')).header?.revision).toBe(2n);
  expect((await put('first', '2')).header?.revision).toBe(3n);
});

test('sem-010 proposals and reads may take five seconds and two elections', () => {
  expect(running.member.limits.requestTimeoutMs).toBe(7_000);
});

describe('headers', () => {
  test('sem-001 every answer says who, at which revision and in which term', async () => {
    const { header } = await put('header', '1');
    expect(header).toEqual({
      clusterId: running.member.clusterId,
      memberId: running.member.memberId,
      revision: BigInt(running.member.store.revision),
      raftTerm: BigInt(running.member.term),
    });
    expect((await range({ key: text('header') })).header).toEqual(header);
    expect((await remove('none-of-these')).header).toEqual(header);
    expect((await txn({})).header).toEqual(header);
  });

  test('sem-002 answers inside a txn have the revision alone', async () => {
    const { header, responses } = await txn({
      success: [
        { requestPut: { key: text('h2'), value: text('1') } },
        { requestRange: { key: text('h2') } },
        { requestTxn: { success: [{ requestDeleteRange: { key: text('nobody') } }] } },
      ],
    });
    const inner = { clusterId: 0n, memberId: 0n, raftTerm: 0n, revision: header!.revision };
    expect(responses[0]?.responsePut?.header).toEqual(inner);
    expect(responses[1]?.responseRange?.header).toEqual(inner);
    expect(responses[2]?.responseTxn?.header).toEqual({ ...inner, revision: 0n });
    expect(responses[2]?.responseTxn?.responses[0]?.responseDeleteRange?.header).toEqual(inner);
  });

  test('sem-005 sem-006 err-ErrGRPCInvalidClientAPIVersion: any text will do, other bytes will not', async () => {
    const key = text('header');
    await expect(range({ key }, { 'client-api-version': '3.7' })).resolves.toBeDefined();
    await expect(range({ key }, { 'client-api-version': '\xc3\xa9' })).resolves.toBeDefined();
    await expect(range({ key }, { 'client-api-version': '\xff' })).rejects.toMatchObject({
      status: 3,
      message: 'etcdserver: invalid client api version',
    });
  });

  test('sem-007 a member with a leader serves those who insist on one', async () => {
    await expect(range({ key: text('header') }, { hasleader: 'true' })).resolves.toBeDefined();
  });

  test('bytes that are no request are INTERNAL, before anything else is looked at', async () => {
    const answer = await callBytes(running.services.handlers, KV.Range.path, Uint8Array.of(0x0a, 9), {
      'client-api-version': '\xff',
    });
    expect(answer).toMatchObject({
      status: 13,
      message: 'grpc: error unmarshalling request: unexpected EOF',
    });
  });
});

describe('Range', () => {
  beforeAll(async () => {
    for (const [key, value] of ['b3', 'a2', 'c1', 'd4'].map((pair) => [`r/${pair[0]}`, pair.slice(1)])) {
      await put(key!, value!);
    }
    await put('r/a', '2');
  });

  test('sem-020 sem-023 sem-028 one key, a range, everything from a key on', async () => {
    const one = await range({ key: text('r/b') });
    expect(one).toMatchObject({ count: 1n, more: false });
    expect(show(one.kvs[0]!.value)).toBe('3');
    expect(keys(await range({ key: text('r/a'), rangeEnd: text('r/c') }))).toEqual(['r/a', 'r/b']);
    expect(keys(await range({ key: text('r/c'), rangeEnd: END }))).toEqual(['r/c', 'r/d']);
    const everything = await range({ key: END, rangeEnd: END, limit: 1n });
    expect(everything.count).toBeGreaterThan(4n);
  });

  test('sem-021 a range that ends before it begins is empty', async () => {
    expect(await range({ key: text('r/c'), rangeEnd: text('r/a') })).toMatchObject({ count: 0n, kvs: [] });
    expect(await range({ key: text('r/c'), rangeEnd: text('r/c') })).toMatchObject({ count: 0n, kvs: [] });
  });

  test('sem-027 sem-028 limit, more and count', async () => {
    expect(await range({ ...prefix('r/'), limit: 2n })).toMatchObject({ count: 4n, more: true });
    expect(await range({ ...prefix('r/'), limit: 4n })).toMatchObject({ count: 4n, more: false });
    expect((await range({ ...prefix('r/'), limit: -7n })).kvs).toHaveLength(4);
    expect((await range({ ...prefix('r/'), limit: 2n ** 63n - 1n })).kvs).toHaveLength(4);
  });

  test('sem-024 sem-025 sorting and the limit', async () => {
    const byValue = { ...prefix('r/'), sortTarget: 4 };
    expect(keys(await range({ ...byValue, sortOrder: 2 }))).toEqual(['r/d', 'r/b', 'r/a', 'r/c']);
    expect(keys(await range({ ...byValue, sortOrder: 1, limit: 1n }))).toEqual(['r/c']);
    // Without an order the limit comes first: c is never looked at.
    expect(keys(await range({ ...byValue, limit: 1n }))).toEqual(['r/a']);
  });

  test('sem-029 count_only counts and nothing else', async () => {
    const counted = await range({ ...prefix('r/'), countOnly: true, limit: 1n, minModRevision: 2n ** 60n });
    expect(counted).toMatchObject({ count: 4n, more: false, kvs: [] });
  });

  test('sem-030 keys_only leaves out values, and the lease unless values decide the order', async () => {
    const lease = 77n;
    await new Promise<void>((resolve, reject) => {
      const grant = { kind: 'lease-grant', id: lease, ttlSec: 600 } as const;
      running.member.propose(grant, 0, Number.POSITIVE_INFINITY, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    await put('keys-only', 'v', { lease });
    const [kv] = (await range({ key: text('keys-only'), keysOnly: true })).kvs;
    expect(kv).toMatchObject({ version: 1n, lease: 0n, value: new Uint8Array(0) });
    const [sorted] = (await range({ key: text('keys-only'), keysOnly: true, sortTarget: 4, sortOrder: 1 }))
      .kvs;
    expect(sorted).toMatchObject({ version: 1n, lease, value: new Uint8Array(0) });
    expect((await range({ key: text('keys-only') })).kvs[0]).toMatchObject({ lease, value: text('v') });
  });

  test('sem-031 revision filters are inclusive', async () => {
    const all = (await range(prefix('r/'))).kvs;
    // r/a was put last.
    const at = all[0]!.modRevision;
    expect((await range({ ...prefix('r/'), minModRevision: at, maxModRevision: at })).kvs).toEqual([all[0]]);
    expect((await range({ ...prefix('r/'), maxModRevision: -1n })).kvs).toEqual([]);
    const filtered = await range({ ...prefix('r/'), minCreateRevision: at });
    expect(filtered.count).toBe(4n);
    expect(filtered.kvs.length).toBeLessThan(4);
  });

  test('sem-032 sem-033 err-ErrGRPCFutureRev: revisions', async () => {
    const { header } = await put('r/old', '1');
    const old = header!.revision;
    const now = (await put('r/old', '2')).header!.revision;
    const then = await range({ key: text('r/old'), revision: old });
    expect(show(then.kvs[0]!.value)).toBe('1');
    expect(then.header?.revision).toBe(now);
    expect(show((await range({ key: text('r/old'), revision: -5n })).kvs[0]!.value)).toBe('2');
    await expect(range({ key: text('r/old'), revision: now + 1n })).rejects.toMatchObject({
      status: 11,
      message: 'etcdserver: mvcc: required revision is a future revision',
    });
    await expect(range({ key: text('r/old'), revision: 2n ** 63n - 1n })).rejects.toMatchObject({
      status: 11,
    });
    await remove('r/old');
  });

  test('sem-034 serializable reads are answered too', async () => {
    expect(keys(await range({ ...prefix('r/'), serializable: true }))).toHaveLength(4);
  });

  test('a large answer equals the sum of small ones', async () => {
    for (let start = 0; start < 1500; start += 100) {
      await txn({
        success: Array.from({ length: 100 }, (_, index) => ({
          requestPut: {
            key: text(`large/${String(start + index).padStart(4, '0')}`),
            value: Buffer.alloc(300, start),
          },
        })),
      });
    }
    const whole = await range(prefix('large/'));
    expect(whole.kvs).toHaveLength(1500);
    const pages: KeyValue[] = [];
    let key = text('large/');
    for (;;) {
      const page = await range({ key, rangeEnd: text('large/\xff'), limit: 100n });
      pages.push(...page.kvs);
      if (!page.more) break;
      key = text(`${show(page.kvs.at(-1)!.key)}\0`);
    }
    expect(pages).toEqual(whole.kvs);
    const reversed = await range({ ...prefix('large/'), sortOrder: 2 });
    expect(reversed.kvs).toEqual(whole.kvs.toReversed());
  });
});

describe('RangeStream', () => {
  const stream = (request: Parameters<typeof RangeRequest.encode>[0], options = {}) =>
    callStream(running.services.handlers, KV.RangeStream.path, [KV.Range.request.encode(request)], options);

  test('sem-037 sem-038 chunks that merge into the answer of Range', async () => {
    const request = prefix('large/');
    const { status, messages } = await stream(request, { room: (count: number) => count % 3 !== 0 });
    expect(status).toBe(0);
    const chunks = messages.map((message) => RangeStreamResponse.decode(message).rangeResponse!);
    expect(chunks[0]?.kvs).toHaveLength(10);
    expect(chunks[1]?.kvs).toHaveLength(20);
    for (const chunk of chunks.slice(0, -1)) {
      expect(chunk).toMatchObject({ header: undefined, more: false, count: 0n });
    }
    const plain = await range(request);
    expect(chunks.flatMap((chunk) => chunk.kvs)).toEqual(plain.kvs);
    expect(chunks.at(-1)).toMatchObject({ header: plain.header, more: false, count: plain.count });
  });

  test('sem-038 a limit cuts the stream; the count goes on', async () => {
    for (const limit of [1n, 10n, 25n, 30n, 1499n]) {
      const { messages } = await stream({ ...prefix('large/'), limit });
      const chunks = messages.map((message) => RangeStreamResponse.decode(message).rangeResponse!);
      expect(chunks.flatMap((chunk) => chunk.kvs)).toHaveLength(Number(limit));
      expect(chunks.at(-1)).toMatchObject({ more: true, count: 1500n });
    }
  });

  test('sem-038 one message for a count, and for nothing', async () => {
    for (const request of [{ ...prefix('large/'), countOnly: true }, prefix('nothing/')]) {
      const { messages } = await stream(request);
      expect(messages).toHaveLength(1);
      const plain = await range(request);
      expect(RangeStreamResponse.decode(messages[0]!).rangeResponse).toEqual(plain);
    }
  });

  test('sem-036 what cannot be streamed is refused', async () => {
    expect(await stream({ ...prefix('large/'), sortOrder: 2 })).toMatchObject({
      status: 12,
      message: 'RangeStream does not support custom sort orders',
    });
    expect(await stream({ ...prefix('large/'), minModRevision: 1n })).toMatchObject({
      status: 12,
      message: 'RangeStream does not support revision filters',
    });
    expect(await stream({ key: text('a'), revision: 2n ** 40n })).toMatchObject({ status: 11 });
    expect(await stream({}, {})).toMatchObject({ status: 3 });
    expect(await callStream(running.services.handlers, KV.RangeStream.path, [])).toMatchObject({ status: 2 });
    expect(
      await callStream(running.services.handlers, KV.RangeStream.path, [Uint8Array.of(0x0a, 9)]),
    ).toMatchObject({ status: 13 });
  });
});

describe('Put and DeleteRange', () => {
  test('sem-039 sem-044 sem-045 sem-046 versions, revisions and the previous record', async () => {
    const first = await put('p', '1', { prevKv: true });
    expect(first.prevKv).toBeUndefined();
    const second = await put('p', '1', { prevKv: true });
    expect(second.header!.revision).toBe(first.header!.revision + 1n);
    expect(second.prevKv).toMatchObject({
      version: 1n,
      createRevision: first.header!.revision,
      value: text('1'),
    });
    await remove('p');
    await put('p', '');
    expect((await range({ key: text('p') })).kvs[0]).toMatchObject({ version: 1n, value: new Uint8Array(0) });
  });

  test('sem-040 sem-041 sem-043 err-ErrGRPCLeaseNotFound err-ErrGRPCKeyNotFound', async () => {
    await expect(put('l', '1', { lease: 12345n })).rejects.toMatchObject({
      status: 5,
      message: 'etcdserver: requested lease not found',
    });
    await expect(put('absent', '', { ignoreValue: true })).rejects.toMatchObject({
      status: 3,
      message: 'etcdserver: key not found',
    });
    await put('kept', 'v', { lease: 77n });
    await put('kept', 'w', { ignoreLease: true });
    expect((await range({ key: text('kept') })).kvs[0]).toMatchObject({ lease: 77n, value: text('w') });
    await put('kept', '', { ignoreValue: true });
    expect((await range({ key: text('kept') })).kvs[0]).toMatchObject({ lease: 0n, value: text('w') });
  });

  test('sem-047 sem-048 sem-049 deletions', async () => {
    await put('d/1', '1');
    await put('d/2', '2');
    const gone = await remove('d/', 'd0', { prevKv: true });
    expect(gone.deleted).toBe(2n);
    expect(gone.prevKvs.map((kv) => show(kv.key))).toEqual(['d/1', 'd/2']);
    const nothing = await remove('d/', 'd0', { prevKv: true });
    expect(nothing).toMatchObject({ deleted: 0n, prevKvs: [] });
    expect(nothing.header!.revision).toBe(gone.header!.revision);
  });

  test('sem-012 err-ErrGRPCRequestTooLarge: a request beyond the limit', async () => {
    const value = '\0'.repeat(running.member.limits.maxRequestBytes);
    await expect(put('big', value)).rejects.toMatchObject({
      status: 3,
      message: 'etcdserver: request is too large',
    });
    await expect(put('big', value.slice(1000))).resolves.toBeDefined();
    await remove('big');
  });
});

describe('Txn', () => {
  const compare = (key: string, version: bigint) => ({ key: text(key), target: 0, result: 0, version });

  test('sem-055 sem-069 one that only reads takes no log entry', async () => {
    await put('t', '1');
    const before = running.member.committedIndex;
    const { succeeded, responses, header } = await txn({
      compare: [compare('t', 1n), { key: text('t'), target: 3, result: 0, value: text('1') }],
      success: [{ requestRange: { key: text('t') } }, { requestRange: { ...prefix('large/'), limit: 1n } }],
      failure: [{ requestRange: { key: text('nobody') } }],
    });
    expect(running.member.committedIndex).toBe(before);
    expect(succeeded).toBe(true);
    expect(responses.map((one) => one.responseRange?.count)).toEqual([1n, 1500n]);
    expect(header!.revision).toBe(BigInt(running.member.store.revision));
  });

  test('sem-069 a nested txn makes it a write, whatever it holds', async () => {
    const before = running.member.committedIndex;
    const revision = running.member.store.revision;
    expect(await txn({ success: [{ requestTxn: {} }] })).toMatchObject({ succeeded: true });
    expect(running.member.committedIndex).toBe(before + 1);
    expect(running.member.store.revision).toBe(revision);
  });

  test('sem-062 sem-063 sem-064 sem-065 compares read as they do in a writing txn', async () => {
    const compares = [
      { key: text('nobody'), target: 0, result: 0, version: 0n },
      { key: text('nobody'), target: 3, result: 3, value: text('x') },
      { key: text('nobody'), target: 3, result: 0 },
      { key: text('t'), target: 3, result: 1, value: text('0') },
      { key: text('t'), target: 3, result: 2, value: text('\xff') },
      { key: text('t'), target: 0, result: 9, version: 44n },
      { key: text('t'), target: 9, result: 0, version: 44n },
      { key: text('t'), target: 2, result: 1, modRevision: -(2n ** 63n) },
      { key: text('t'), target: 4, result: 0, version: 44n },
      { key: text('large/'), rangeEnd: text('large/\xff'), target: 0, result: 0, version: 1n },
      { key: text('large/'), rangeEnd: text('large/\xff'), target: 0, result: 1, version: 1n },
      { key: text('nothing/'), rangeEnd: text('nothing0'), target: 1, result: 0 },
    ];
    for (const one of compares) {
      const read = await txn({ compare: [one] });
      const written = await txn({
        compare: [one],
        success: [{ requestTxn: {} }],
        failure: [{ requestTxn: {} }],
      });
      expect(
        read.succeeded,
        JSON.stringify({ ...one, key: show(one.key) }, (_, v) => String(v)),
      ).toBe(written.succeeded);
    }
  });

  test('sem-061 sem-067 err-ErrGRPCCompacted: revisions inside, in both kinds of txn', async () => {
    const { header } = await put('t2', '1');
    await compact(header!.revision - 1n);
    for (const more of [[], [{ requestTxn: {} }]]) {
      const at = (revision: bigint) =>
        txn({ success: [{ requestRange: { key: text('t2'), revision } }, ...more] });
      await expect(at(-1n)).rejects.toMatchObject({
        status: 11,
        message: 'etcdserver: mvcc: required revision has been compacted',
      });
      await expect(at(header!.revision + 9n)).rejects.toMatchObject({ status: 11 });
      expect((await at(header!.revision - 1n)).responses[0]?.responseRange?.count).toBe(0n);
      expect((await at(0n)).responses[0]?.responseRange?.count).toBe(1n);
    }
  });

  test('sem-070 all range options, in the order asked for', async () => {
    const { responses } = await txn({
      success: [
        { requestRange: { ...prefix('r/'), sortTarget: 4, sortOrder: 2, limit: 1n } },
        { requestRange: { ...prefix('r/'), countOnly: true } },
        { requestRange: { ...prefix('r/'), keysOnly: true, limit: 1n } },
      ],
    });
    const [sorted, counted, keyed] = responses.map((one) => one.responseRange!);
    expect(keys(sorted!)).toEqual(['r/d']);
    expect(counted).toMatchObject({ count: 4n, kvs: [] });
    expect(keyed).toMatchObject({ more: true, count: 4n });
    expect(keyed!.kvs[0]!.value).toHaveLength(0);
  });

  test('answers are canonical bytes', async () => {
    const request = KV.Txn.request.encode({ success: [{ requestRange: prefix('r/') }] });
    const { response } = await callBytes(running.services.handlers, KV.Txn.path, request);
    expect(Buffer.from(TxnResponse.encode(TxnResponse.decode(response))).equals(response)).toBe(true);
    expect(KeyValue.typeName).toBe('mvccpb.KeyValue');
  });
});

describe('Compact', () => {
  test('sem-076 physical removal goes on beside other requests', async () => {
    for (let round = 0; round < 20; round++) {
      await txn({
        success: Array.from({ length: 100 }, (_, index) => ({
          requestPut: { key: text(`removed/${index}`), value: text(String(round)) },
        })),
      });
    }
    let removed = false;
    const removal = compact(BigInt(running.member.store.revision), true).then(() => {
      removed = true;
    });
    let answered = 0;
    while (!removed) {
      expect((await range({ ...prefix('removed/'), countOnly: true })).count).toBe(100n);
      answered++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await removal;
    expect(answered).toBeGreaterThan(0);
  });

  test('sem-072 sem-074 sem-075 revisions below are gone at once; physical waits for the removal', async () => {
    const first = (await put('c', '1')).header!.revision;
    const second = (await put('c', '2')).header!.revision;
    await put('c', '3');
    expect((await compact(second, true)).header!.revision).toBe(second + 1n);
    await expect(range({ key: text('c'), revision: first })).rejects.toMatchObject({ status: 11 });
    expect(show((await range({ key: text('c'), revision: second })).kvs[0]!.value)).toBe('2');
    await expect(compact(second)).rejects.toMatchObject({
      status: 11,
      message: 'etcdserver: mvcc: required revision has been compacted',
    });
    await expect(compact(-(2n ** 63n))).rejects.toMatchObject({ status: 11 });
    await expect(compact(second + 2n)).rejects.toMatchObject({
      message: 'etcdserver: mvcc: required revision is a future revision',
    });
    expect((await compact(second + 1n)).header!.revision).toBe(second + 1n);
  });
});

test('sem-013 err-ErrGRPCRequestTooManyRequests: more than can wait is refused, the rest is done', async () => {
  const put = { kind: 'put', key: text('busy'), value: text('v'), lease: 0n } as const;
  const flags = { prevKv: false, ignoreValue: false, ignoreLease: false } as const;
  const results = new Map<string, number>();
  const ATTEMPTS = 50_100;
  await new Promise<void>((resolve) => {
    let waiting = ATTEMPTS;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      running.member.propose({ ...put, ...flags }, 10, Number.POSITIVE_INFINITY, (error) => {
        const result = error === null ? 'done' : (error as { code?: string }).code!;
        results.set(result, (results.get(result) ?? 0) + 1);
        if (--waiting === 0) resolve();
      });
    }
  });
  expect(results.get('TOO_MANY_REQUESTS')).toBe(100);
  expect(results.get('done')).toBe(ATTEMPTS - 100);
  expect((await range({ key: text('busy') })).kvs[0]?.version).toBe(BigInt(ATTEMPTS - 100));
});
