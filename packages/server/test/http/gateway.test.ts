/** The JSON gateway of a whole server: calls, errors, streams, metadata, deadlines, both HTTP versions. */

import { execFile } from 'node:child_process';
import { connect } from 'node:http2';
import { promisify } from 'node:util';
import { methods } from '@quorate/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { GATEWAY_ROUTES } from '../../src/http/gateway/routes.ts';
import { ask, b64, call, type HttpServer, RawSocket, startHttpServer } from '../support/http-server.ts';

const run = promisify(execFile);
let http: HttpServer;
let port = 0;

beforeAll(async () => {
  http = await startHttpServer({ 'max-request-bytes': '100000' });
  port = http.port;
});
afterAll(() => http.stop());

test('every method of the protocol has its route', () => {
  const withoutRoute = methods
    .filter(({ path }) => !GATEWAY_ROUTES.some(({ method }) => method.path === path))
    .map(({ path }) => path);
  expect(withoutRoute.filter((path) => !path.startsWith('/grpc.'))).toEqual(['/etcdserverpb.KV/RangeStream']);
  const paths = GATEWAY_ROUTES.map(({ path }) => path);
  expect(new Set(paths).size).toBe(paths.length);
  expect(paths).toHaveLength(51);
});

describe('calls', () => {
  test('put, range and txn answer as etcd does: names of the proto file, text for 64 bits, zeros left out', async () => {
    const put = await call(port, 'kv/put', { key: b64('foo'), value: b64('bar') });
    expect(put).toMatchObject({
      status: 200,
      json: { header: { revision: expect.stringMatching(/^\d+$/) } },
    });
    const { json } = await call(port, 'kv/range', { key: b64('foo') });
    const { header, ...rest } = json as unknown as { header: { revision: string } };
    expect(rest).toEqual({
      kvs: [
        {
          key: b64('foo'),
          create_revision: header.revision,
          mod_revision: header.revision,
          version: '1',
          value: b64('bar'),
        },
      ],
      count: '1',
    });
    const txn = await call(port, 'kv/txn', {
      compare: [{ key: b64('foo'), target: 'VALUE', value: b64('bar') }],
      success: [
        { requestRange: { key: b64('foo'), keysOnly: true } },
        { request_delete_range: { key: b64('no') } },
      ],
    });
    expect(txn.json).toMatchObject({
      succeeded: true,
      responses: [{ response_range: { count: '1' } }, { response_delete_range: {} }],
    });
  });

  test('PUT /v3/kv/put, earlier prefixes, an empty body, what follows the first value', async () => {
    const body = `{"key":"${b64('p')}"} and more`;
    for (const path of ['/v3/kv/put', '/v3beta/kv/put', '/v3alpha/kv/put']) {
      expect((await ask(port, { method: 'PUT', path, body })).status).toBe(200);
      expect((await ask(port, { method: 'POST', path, body })).status).toBe(200);
    }
    expect((await ask(port, { path: '/v3/cluster/member/list', body: '' })).status).toBe(200);
    expect((await ask(port, { path: '/v3/maintenance/status', method: 'POST' })).status).toBe(200);
  });

  test.each([
    ['/v3/kv/range', '{}', 400, { code: 3, message: 'etcdserver: key is not provided' }],
    ['/v3/kv/range', '{"key":', 400, { code: 3, message: 'unexpected EOF' }],
    ['/v3/kv/range', '[]', 400, { code: 3, message: 'proto: syntax error (line 1:1): unexpected token [' }],
    [
      '/v3/kv/range',
      '{"key":"YQ==","revision":"99999"}',
      400,
      { code: 11, message: 'etcdserver: mvcc: required revision is a future revision' },
    ],
    ['/v3/lease/revoke', '{"ID":"77"}', 404, { code: 5, message: 'etcdserver: requested lease not found' }],
    ['/v3/kv/nope', '{}', 404, { code: 5, message: 'Not Found' }],
    ['/v3beta/nope', '{}', 404, { code: 5, message: 'Not Found' }],
  ])('%s %s is %i', async (path, body, status, error) => {
    const answer = await ask(port, { path, body });
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(JSON.parse(answer.body)).toEqual(error);
  });

  test.each(['json', '', 'a/b/c', 'text/plain'])('the content type %j is accepted', async (type) => {
    const body = `{"key":"${b64('a')}"}`;
    const answer = await ask(port, { path: '/v3/kv/range', body, headers: { 'content-type': type } });
    expect(answer.status).toBe(200);
  });

  test('methods and paths that are not there', async () => {
    expect(await ask(port, '/v3/kv/range')).toMatchObject({
      status: 501,
      body: '{"code":12,"message":"Method Not Allowed"}',
    });
    expect(await ask(port, { path: '/v3/kv/range', method: 'PUT', body: '{}' })).toMatchObject({
      status: 501,
    });
    expect(await ask(port, '/nope')).toMatchObject({ status: 404, body: '404 page not found\n' });
    expect(await ask(port, { path: '/%zz', method: 'POST', body: 'x' })).toMatchObject({ status: 400 });
  });

  test('a path that is not clean leads to the one that is', async () => {
    expect(await ask(port, '//health?a=<"&\'')).toMatchObject({
      status: 301,
      headers: { location: '/health?a=<"&\'', 'content-type': 'text/html; charset=utf-8' },
      body: '<a href="/health?a=&lt;&#34;&amp;&#39;">Moved Permanently</a>.\n\n',
    });
    expect(await ask(port, { path: '/v3/x/.././/kv/range', body: '{}' })).toMatchObject({
      status: 301,
      headers: { location: '/v3/kv/range' },
      body: '',
    });
    expect((await ask(port, '//metrics')).headers.location).toBe('/metrics');
    for (const path of ['//else.where', '/..//\\else.where', '//nope', '/health/']) {
      expect(await ask(port, path)).toMatchObject({ status: 404, body: '404 page not found\n' });
    }
  });

  test('a request that is too large for the log, and one that is too large for a message', async () => {
    const value = (bytes: number): string =>
      JSON.stringify({ key: b64('k'), value: Buffer.alloc(bytes).toString('base64') });
    const large = await ask(port, { path: '/v3/kv/put', body: value(100_001) });
    expect(large).toMatchObject({
      status: 400,
      body: '{"code":3,"message":"etcdserver: request is too large"}',
    });
    const limit = 100_000 + 512 * 1024;
    const larger = await ask(port, { path: '/v3/kv/put', body: value(limit) });
    expect(larger.status).toBe(429);
    expect(JSON.parse(larger.body).message).toMatch(
      /^grpc: received message larger than max \(\d+ vs\. 624288\)$/,
    );
  });

  test('metadata and deadlines come with headers', async () => {
    const range = { path: '/v3/kv/range', body: `{"key":"${b64('a')}"}` };
    expect(
      (await ask(port, { ...range, headers: { 'Grpc-Timeout': '10S', 'Grpc-Metadata-hasleader': 'true' } }))
        .status,
    ).toBe(200);
    expect(await ask(port, { ...range, headers: { 'Grpc-Timeout': '1n' } })).toMatchObject({
      status: 504,
      body: '{"code":4,"message":"context deadline exceeded"}',
    });
    expect(await ask(port, { ...range, headers: { 'Grpc-Timeout': '9' } })).toMatchObject({
      status: 400,
      body: '{"code":3,"message":"invalid grpc-timeout: 9"}',
    });
    expect((await ask(port, { ...range, headers: { 'Grpc-Metadata-x-bin': '%' } })).status).toBe(400);
  });

  test('HTTP/2 with prior knowledge', async () => {
    const session = connect(`http://127.0.0.1:${port}`);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/v3/kv/range',
      'content-type': 'application/json',
    });
    stream.end(`{"key":"${b64('foo')}"}`);
    let status: unknown;
    let text = '';
    stream.on('response', (headers) => {
      status = headers[':status'];
    });
    for await (const part of stream) text += part;
    expect(status).toBe(200);
    expect(JSON.parse(text)).toMatchObject({ count: '1' });
    session.close();
  });

  test('curl, as the documents use it: form type, an offered upgrade, HTTP/2', async () => {
    const url = `http://127.0.0.1:${port}/v3/kv/range`;
    for (const how of [[], ['--http2'], ['--http2-prior-knowledge']]) {
      const { stdout } = await run('curl', [
        '-s',
        '-L',
        ...how,
        url,
        '-X',
        'POST',
        '-d',
        `{"key": "${b64('foo')}"}`,
      ]);
      expect(JSON.parse(stdout)).toMatchObject({ count: '1' });
    }
  });
});

describe('streams', () => {
  test('watch: several requests in one body, one line for each answer', async () => {
    const socket = new RawSocket(port);
    const body = `{"create_request":{"key":"${b64('w')}"}} {"createRequest":{"key":"${b64('w')}","watch_id":"7"}}{"progress_request":{}}`;
    socket.send(`POST /v3/watch HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await socket.until(({ received }) => received.split('"result"').length >= 3);
    await call(port, 'kv/put', { key: b64('w'), value: b64('1') });
    await socket.until(({ received }) => received.split('"events"').length >= 3);
    await call(port, 'kv/deleterange', { key: b64('w') });
    await socket.until(({ received }) => received.split('"DELETE"').length >= 3);
    expect(socket.received).toContain('"created":true}}\n');
    expect(socket.received).toContain('"watch_id":"7","created":true}}\n');
    const { watches } = {
      watches: (await ask(port, '/metrics')).body.match(/^etcd_debugging_mvcc_watcher_total (\d+)$/m)?.[1],
    };
    expect(watches).toBe('2');
    socket.end();
  });

  test('watch: requests that come later on the same request; a bad one ends it with an error line', async () => {
    const socket = new RawSocket(port);
    const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
    socket.send('POST /v3/watch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    socket.send(chunk('{"create_request":{"key":"'));
    socket.send(chunk(`${b64('later')}"}}`));
    await socket.until(({ received }) => received.includes('"created":true'));
    socket.send(chunk('{"cancel_request":{"watch_id":"0"}}\n'));
    await socket.until(({ received }) => received.includes('"canceled":true'));
    socket.send(chunk('nonsense'));
    await socket.until(({ received }) =>
      received.includes('{"error":{"code":3,"message":"invalid character \'o\' in literal null'),
    );
    socket.end();
  });

  test('an error before the first answer has its HTTP status', async () => {
    expect(await ask(port, { path: '/v3/watch', body: 'abc' })).toMatchObject({
      status: 400,
      body: '{"error":{"code":3,"message":"invalid character \'a\' looking for beginning of value"}}\n',
    });
    expect(await ask(port, { path: '/v3/election/observe', body: '{' })).toMatchObject({ status: 400 });
  });

  test('lease keepalive: a line for each request, then the end', async () => {
    await call(port, 'lease/grant', { ID: '70', TTL: '60' });
    const answer = await ask(port, { path: '/v3/lease/keepalive', body: '{"ID":70}{"ID":"71"}' });
    expect(answer.status).toBe(200);
    const lines = answer.body
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([{ result: { ID: '70', TTL: '60' } }, { result: { ID: '71' } }]);
  });

  test('snapshot: lines of blobs, whose bytes end with their SHA-256', async () => {
    const answer = await ask(port, { path: '/v3/maintenance/snapshot', body: '{}' });
    expect(answer.status).toBe(200);
    const blobs = answer.body
      .trim()
      .split('\n')
      .map((line) => Buffer.from(JSON.parse(line).result.blob ?? '', 'base64'));
    expect(blobs.at(-1)).toHaveLength(32);
    expect(blobs.length).toBeGreaterThan(1);
  });

  test('a caller that goes away ends its watch', async () => {
    const before = await watchStreams();
    const socket = new RawSocket(port);
    const body = `{"create_request":{"key":"${b64('gone')}"}}`;
    socket.send(`POST /v3/watch HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await socket.until(({ received }) => received.includes('"created":true'));
    expect(await watchStreams()).toBe(before + 1);
    socket.end();
    await expect.poll(watchStreams, { timeout: 60_000 }).toBe(before);
  });

  test('Grpc-Timeout ends a stream', async () => {
    const body = `{"create_request":{"key":"${b64('t')}"}}`;
    const answer = await ask(port, { path: '/v3/watch', body, headers: { 'Grpc-Timeout': '100m' } });
    expect(answer.body.trim().split('\n').at(-1)).toBe(
      '{"error":{"code":4,"message":"context deadline exceeded"}}',
    );
  });
});

async function watchStreams(): Promise<number> {
  const { body } = await ask(port, '/metrics');
  return Number(/^etcd_debugging_mvcc_watch_stream_total (\d+)$/m.exec(body)?.[1]);
}

describe('WebSockets', () => {
  function open(path: string, options: { protocols?: string[]; origin?: string } = {}): Promise<WebSocket> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, options.protocols ?? [], {
      ...(options.origin === undefined ? {} : { origin: options.origin }),
    });
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(socket));
      socket.once('error', reject);
    });
  }

  test('watch: a text message for each request and each answer', async () => {
    const socket = await open('/v3/watch', { protocols: ['Bearer', 'abc.1'] });
    expect(socket.protocol).toBe('Bearer');
    const messages: string[] = [];
    socket.on('message', (data) => messages.push(String(data)));
    socket.send(`{"create_request":{"key":"${b64('ws')}"}}`);
    await expect.poll(() => messages.length, { timeout: 60_000 }).toBe(1);
    await call(port, 'kv/put', { key: b64('ws'), value: 'A'.repeat(60_000) });
    await expect.poll(() => messages.length, { timeout: 60_000 }).toBe(2);
    expect(JSON.parse(messages[0]!)).toMatchObject({ result: { created: true } });
    expect(JSON.parse(messages[1]!).result.events[0].kv.value).toHaveLength(60_000);
    const closed = new Promise<number>((resolve) => socket.once('close', resolve));
    socket.send('{"oops"');
    socket.send('}');
    expect(await closed).toBe(1000);
    expect(JSON.parse(messages[2]!)).toMatchObject({ error: { code: 3 } });
  });

  test('only for streams that exist', async () => {
    await expect(open('/v3/nope')).rejects.toThrow('404');
    await expect(open('/v3/kv/put')).rejects.toThrow('400');
    await expect(open('/nope')).rejects.toThrow('404');
    (await open('/v3beta/lease/keepalive', { origin: 'http://else.where' })).terminate();
  });
});
