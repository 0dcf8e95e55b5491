/**
 * The same HTTP requests to us and to the real etcd (3.4.23 of Debian): hand-picked ones, then random ones.
 *
 * Status, the headers that matter and the body must be equal, after what 3.7 changed has been taken into account
 * (`http-differences.ts`). Each known difference must explain at least one hand-picked answer.
 */
import { findProgram, type ServerProcess, startEtcd, startQuorate } from '@quorate/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HTTP_DIFFERENCES, same, translate } from './http-differences.ts';
import { comparable, exchange, type HttpStep } from './http-exchange.ts';

const installed = findProgram('etcd') !== null;
if (!installed)
  console.warn('SKIPPED: etcd is not installed, so nothing was compared with it (Debian: etcd-server)');

const b64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');
const post = (path: string, body: HttpStep['body']): HttpStep => ({
  path: `/v3/${path}`,
  ...(body === undefined ? {} : { body }),
});
const get = (path: string, headers: Record<string, string> = {}): HttpStep => ({
  method: 'GET',
  path,
  headers,
});
const a = b64('a');

const CASES: Readonly<Record<string, readonly HttpStep[]>> = {
  'keys: put, range, delete, in every spelling': [
    post('kv/put', { key: a, value: b64('1') }),
    post('kv/put', { key: a, value: b64('2'), prev_kv: true }),
    post('kv/put', { key: a, value: b64('3'), prevKv: true }),
    post('kv/range', { key: a }),
    post('kv/range', { key: a, range_end: b64('b'), limit: '1', sort_order: 'DESCEND', sort_target: 'MOD' }),
    post('kv/range', { key: a, rangeEnd: b64('b'), limit: 1, sortOrder: 2, sortTarget: 3, keysOnly: true }),
    post('kv/range', { key: a, count_only: true, serializable: true }),
    post('kv/range', { key: a, revision: '99999' }),
    post('kv/range', {
      key: a,
      revision: -1,
      min_mod_revision: '-9223372036854775808',
      max_mod_revision: '9223372036854775807',
    }),
    post('kv/deleterange', { key: a, prev_kv: true }),
    post('kv/deleterange', { key: a }),
    { path: '/v3beta/kv/range', body: { key: a } },
    { path: '/v3alpha/kv/range', body: { key: a } },
    // Without a key, so that it changes nothing on the one that serves it.
    { method: 'PUT', path: '/v3/kv/put', body: {} },
    post('kv/deleterange', { key: a }),
  ],
  'keys and values of any bytes': [
    post('kv/put', {
      key: b64('\x00\xff\xfe<>&"\\'),
      value: b64(String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i))),
    }),
    post('kv/range', { key: b64('\x00'), range_end: b64('\x00') }),
    post('kv/deleterange', { key: b64('\x00'), range_end: b64('\x00'), prev_kv: true }),
  ],
  transactions: [
    post('kv/txn', {}),
    post('kv/txn', {
      compare: [{ key: a, target: 'VERSION', result: 'EQUAL', version: '0' }],
      success: [{ requestPut: { key: a, value: b64('1') } }, { request_range: { key: a } }],
    }),
    post('kv/txn', {
      compare: [{ key: a, target: 2, result: 1, mod_revision: 1 }],
      success: [{ request_delete_range: { key: a, prev_kv: true } }],
      failure: [{ request_txn: { success: [{ request_range: { key: a } }] } }],
    }),
    post('kv/txn', { compare: [{ key: a, target: 'VALUE', value: a, version: 1 }] }),
    post('kv/txn', { success: [{ request_put: { key: a } }, { request_put: { key: a } }] }),
    post('kv/txn', { success: [{}] }),
  ],
  'requests that are refused': [
    post('kv/range', {}),
    post('kv/range', ''),
    post('kv/range', undefined),
    post('kv/put', { key: '' }),
    post('kv/put', { key: a, lease: '77' }),
    post('kv/put', { key: a, ignore_value: true, value: a }),
    post('kv/compaction', { revision: '99999' }),
    post('lease/revoke', { ID: '123' }),
    post('lease/grant', { ID: '5', TTL: '9000000001' }),
    post('lease/grant', { ID: '5', TTL: '100' }),
    post('lease/grant', { ID: '5', TTL: '100' }),
    post('kv/lease/timetolive', { ID: '5', keys: true }),
    post('lease/timetolive', { ID: '6' }),
    post('lease/leases', {}),
    post('kv/lease/revoke', { ID: '5' }),
  ],
  'numbers of 64 bits': [
    post('lease/grant', { ID: '9223372036854775807', TTL: '100' }),
    post('lease/grant', { ID: '9007199254740993', TTL: '100' }),
    post('kv/put', { key: a, value: a, lease: '9223372036854775807' }),
    post('kv/range', { key: a }),
    post('kv/txn', {
      compare: [{ key: a, target: 'LEASE', result: 'EQUAL', lease: '9223372036854775807' }],
      success: [{ request_put: { key: a, lease: '9007199254740993' } }, { request_range: { key: a } }],
    }),
    post('lease/timetolive', { ID: '9223372036854775806', keys: true }),
    post('lease/timetolive', { ID: '9007199254740993', keys: true }),
    post('lease/timetolive', { ID: '-9223372036854775808' }),
    post('lease/leases', {}),
    post('lease/revoke', { ID: '9007199254740993' }),
    post('lease/revoke', { ID: '9223372036854775807' }),
    post('kv/range', { key: a, revision: '9223372036854775807' }),
    post('kv/compaction', { revision: '9223372036854775807' }),
    post('maintenance/alarm', { action: 'DEACTIVATE', memberID: '18446744073709551615', alarm: 'NOSPACE' }),
    post('cluster/member/remove', { ID: '18446744073709551615' }),
  ],
  'texts that are no JSON, or no such message': [
    ...[
      'abc',
      '{',
      '{"key"',
      '{"key":',
      '{"key":"YQ=="',
      '{key:1}',
      '{"key":1,}',
      "{'key':1}",
      '{"a":tru}',
      '{"a":01}',
      '{"a":1.}',
      '{"a":"\\q"}',
      '{"a":"\\u12"}',
      '{"a":"\t"}',
      '[',
      '{"a":[1 2]}',
    ].map((text) => post('kv/range', text)),
    ...['[]', 'null', '1', '"x"', 'true'].map((text) => post('kv/range', text)),
    post('kv/range', '{"key":"YQ=="} trailing'),
    post('kv/range', '{"key":"YQ==","key":"YQ=="}'),
    post('kv/range', '{"key":"%%%"}'),
    post('kv/range', '{"key":"YQ"}'),
    post('kv/range', '{"key":"-_8="}'),
    post('kv/range', '{"key":5}'),
    post('kv/range', `{"key":"${a}","limit":"x"}`),
    post('kv/range', `{"key":"${a}","limit":1.5}`),
    post('kv/range', `{"key":"${a}","limit":1e1}`),
    post('kv/range', `{"key":"${a}","limit":9223372036854775808}`),
    post('kv/range', `{"key":"${a}","limit":null,"range_end":null}`),
    post('kv/range', `{"key":"${a}","serializable":"true"}`),
    post('kv/range', `{"key":"${a}","sort_order":"NOPE"}`),
    post('kv/range', `{"key":"${a}","unknown":{"x":[1,{}]},"__proto__":1}`),
    post('kv/txn', '{"success":{}}'),
    post('kv/txn', '{"success":[[]]}'),
    post('kv/txn', '{"success":[1]}'),
    post('kv/range', Buffer.from(`{"key":"${a}","x":"\xff"}`, 'latin1')),
    post('kv/range', Buffer.from('{"key":\xff}', 'latin1')),
  ],
  'paths and methods': [
    get('/v3/kv/range'),
    { method: 'DELETE', path: '/v3/kv/range', body: '{}' },
    { method: 'PUT', path: '/v3/kv/range', body: '{}' },
    post('kv/nope', '{}'),
    post('', '{}'),
    ...['//health', '/./health?serializable=true', '/x/../version', '//metrics', '/health/'].map((path) =>
      get(path),
    ),
    { method: 'HEAD', path: '//health' },
    { path: '//v3/kv/range', body: '{}' },
    { path: '/v3//kv/../kv/range?x', body: '{}' },
    { path: '/v3/kv/range/', body: '{}' },
    get('/'),
    get('/nope'),
    { method: 'OPTIONS', path: '/v3/kv/range' },
    { method: 'OPTIONS', path: '/nope' },
    ...['/health', '/version'].flatMap((path) => [
      { method: 'HEAD', path },
      { method: 'POST', path, body: 'x' },
      { method: 'DELETE', path },
    ]),
    get('/health'),
    get('/health', { origin: 'http://some.where' }),
    get('/livez'),
    get('/readyz?verbose'),
    get('/debug/pprof/heap'),
    get('/v2/keys'),
  ],
  'headers: timeouts, metadata, kinds of content': [
    { ...post('kv/range', { key: a }), headers: { 'Grpc-Timeout': '1n' } },
    { ...post('kv/range', { key: a }), headers: { 'Grpc-Timeout': '10S' } },
    { ...post('kv/range', { key: a }), headers: { 'Grpc-Timeout': 'soon' } },
    { ...post('kv/range', { key: a }), headers: { 'Grpc-Metadata-hasleader': 'true' } },
    { ...post('kv/range', { key: a }), headers: { 'Content-Type': 'text/plain' } },
    { ...post('kv/range', { key: a }), headers: { 'Content-Type': 'application/json' } },
  ],
  'streams that end': [
    post('lease/grant', { ID: '9', TTL: '100' }),
    post('lease/keepalive', '{"ID":9}{"ID":"999"}\n {"ID":9}'),
    post('lease/keepalive', ''),
    post('lease/revoke', { ID: '9' }),
    post('watch', 'abc'),
  ],
  'the member itself': [
    post('maintenance/alarm', {}),
    post('maintenance/alarm', { action: 'GET', alarm: 'NOSPACE' }),
    post('maintenance/defragment', {}),
    post('maintenance/hash', 'x'),
    post('cluster/member/remove', { ID: '1' }),
  ],
};

describe.skipIf(!installed)('HTTP: same requests, same answers as etcd', () => {
  let processes: ServerProcess[] = [];
  const used = new Set<string>();

  beforeAll(async () => {
    processes = await Promise.all([startQuorate(), startEtcd()]);
  }, 60_000);
  afterAll(() => Promise.all(processes.map((server) => server.stop())));

  async function compare(step: HttpStep): Promise<void> {
    const [ours, theirs] = await Promise.all(
      processes.map(async ({ endpoint }) => comparable(await exchange(endpoint, step))),
    );
    const { outcome, names } = translate(step, theirs!, ours!);
    if (same(outcome, ours!)) for (const name of names) used.add(name);
    expect(ours, `${step.method ?? 'POST'} ${step.path} ${JSON.stringify(step.body)?.slice(0, 200)}`).toEqual(
      outcome,
    );
  }

  it.each(Object.entries(CASES))('%s', async (_, steps) => {
    for (const step of steps) await compare(step);
  });

  it('metrics of one name have one type, and the same labels', async () => {
    const step = get('/metrics');
    const [ours, theirs] = await Promise.all(
      processes.map(async ({ endpoint }) => metricsOf(String((await exchange(endpoint, step)).body))),
    );
    const shared = [...ours!.keys()].filter((name) => theirs!.has(name));
    expect(shared.length).toBeGreaterThan(35);
    for (const name of shared) expect([name, ours!.get(name)]).toEqual([name, theirs!.get(name)]);
    // What later releases added.
    expect([...ours!.keys()].filter((name) => !theirs!.has(name)).sort()).toEqual([
      'etcd_server_healthcheck',
      'etcd_server_healthchecks_total',
    ]);
  });

  it('every known difference explains something', () => {
    expect([...used].sort()).toEqual(HTTP_DIFFERENCES.map(({ name }) => name).sort());
  });

  it('random requests', async () => {
    // Only forms that both take: what one alone accepts would make the histories part.
    const key = fc.constantFrom(...['a', 'b', 'c'].map(b64));
    const number = fc.oneof(fc.integer({ min: -2, max: 20 }), fc.integer({ min: -2, max: 20 }).map(String));
    const fields = fc.record(
      {
        key: fc.oneof({ weight: 9, arbitrary: key }, fc.constantFrom('', '!', 7, null)),
        range_end: key,
        value: key,
        limit: number,
        revision: number,
        lease: number,
        version: number,
        count_only: fc.boolean(),
        keysOnly: fc.constant(false),
        prev_kv: fc.boolean(),
        sort_order: fc.constantFrom('NONE', 'ASCEND', 'DESCEND', 0, 1, 2),
        sortTarget: fc.constantFrom('KEY', 0),
        what: fc.jsonValue({ maxDepth: 2 }),
      },
      { requiredKeys: [] },
    );
    const path = fc.constantFrom('kv/range', 'kv/put', 'kv/deleterange');
    const damage = fc.option(fc.tuple(fc.nat(), fc.constantFrom('', '{', '}', '"', ',', ':', '1', '\\')), {
      freq: 4,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(path, fields, damage), { maxLength: 12 }), async (requests) => {
        for (const [where, what, cut] of requests) {
          let text = JSON.stringify(what);
          if (cut !== null)
            text =
              text.slice(0, cut[0] % (text.length + 1)) +
              cut[1] +
              text.slice((cut[0] % (text.length + 1)) + 1);
          await compare(post(where, text));
        }
      }),
      { numRuns: 40 * Number(process.env.QUORATE_TEST_SCALE ?? 1) },
    );
  }, 120_000);
});

/** Name to type and names of labels, of every metric that has a sample. */
function metricsOf(text: string): Map<string, string> {
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name!, type!]));
  const metrics = new Map<string, string>();
  for (const [, sample, labels = ''] of text.matchAll(/^([a-z0-9_]+)(?:\{(.*)\})? \S+$/gm)) {
    const name = types.has(sample!) ? sample! : sample!.replace(/_(bucket|sum|count)$/, '');
    const names = [...labels.matchAll(/([A-Za-z_]+)="/g)]
      .map((match) => match[1]!)
      .filter((label) => label !== 'le');
    metrics.set(name, `${types.get(name)} ${names.sort().join()}`);
  }
  return metrics;
}
