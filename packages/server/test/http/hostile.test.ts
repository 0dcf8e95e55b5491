/** What nobody should send: the server answers 4xx or cuts the line, and goes on serving everybody else. */
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ask, b64, call, type HttpServer, RawSocket, startHttpServer } from '../support/http-server.ts';

let http: HttpServer;
let port = 0;
const sockets: RawSocket[] = [];

beforeAll(async () => {
  http = await startHttpServer();
  port = http.port;
});
afterAll(() => http.stop());

/** After whatever happened, an honest caller is served. */
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.end();
  expect((await call(port, 'kv/put', { key: b64('honest') })).status).toBe(200);
  expect((await ask(port, '/health')).body).toBe('{"health":"true","reason":""}');
});

function raw(text: string | Buffer = ''): RawSocket {
  const socket = new RawSocket(port);
  sockets.push(socket);
  return socket.send(text);
}

const statusOf = (text: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0);

describe('case-66 bodies', () => {
  const post = (body: string | Buffer, path = '/v3/kv/txn') => ask(port, { path, body });

  test.each([
    ['objects 100,000 deep', '{"success":[{"request_txn":'.repeat(100_000)],
    ['lists 100,000 deep', '['.repeat(100_000)],
    ['unknown fields 100,000 deep', `{"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`],
    ['a huge number', `{"compare":[{"version":${'9'.repeat(1_000_000)}}]}`],
    ['a huge exponent', '{"compare":[{"version":1e999999999}]}'],
    ['bad base64', '{"compare":[{"key":"%%%%"}]}'],
    ['a field twice', '{"compare":[],"compare":[]}'],
    ['no object', '"text"'],
    ['control characters', '{"success":"\u0000"}'],
    ['half a string', '{"success":"'],
    ['bytes that are no text', Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
    ['bytes that are no UTF-8 in a string', Buffer.from('{"x":"\xff"}', 'latin1')],
    ['a lone surrogate', '{"peerURLs":["\\ud800"]}', '/v3/cluster/member/add'],
  ])('%s: 400', async (_, body, path = '/v3/kv/txn') => {
    const answer = await post(body, path);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 3, message: expect.any(String) });
    expect(answer.body.length).toBeLessThan(1_000);
  });

  test('names of prototypes are names like any other', async () => {
    const answer = await post(
      '{"__proto__":{"success":[1]},"constructor":{"prototype":{"x":1}},"toString":1}',
    );
    expect(answer).toMatchObject({ status: 200 });
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  test('no body at all is the empty message', async () => {
    expect(await ask(port, { path: '/v3/kv/range', method: 'POST' })).toMatchObject({
      status: 400,
      body: '{"code":3,"message":"etcdserver: key is not provided"}',
    });
  });

  test('100 MB: refused before it is sent, and cut when it comes anyway', async () => {
    const bytes = 100 * 1024 * 1024;
    const announced = raw(`POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes}\r\n\r\n`);
    await announced.until(({ received }) => received.includes('\r\n\r\n'));
    expect(statusOf(announced.received)).toBe(413);
    expect(announced.received.toLowerCase()).toContain('connection: close');
    const expected = raw(
      `POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${bytes}\r\n\r\n`,
    );
    await expected.until(({ received }) => received.includes('\r\n\r\n'));
    expect(statusOf(expected.received)).toBe(413);
    const chunked = raw('POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000, 0x20), Buffer.from('\r\n')]);
    for (let sent = 0; sent < bytes && !chunked.closed; sent += 0x10000) {
      if (!chunked.socket.write(chunk)) {
        await new Promise<void>((resolve) => {
          chunked.socket.once('drain', resolve);
          chunked.socket.once('close', () => resolve());
        });
      }
    }
    await chunked.until(({ closed }) => closed);
    expect([0, 413]).toContain(statusOf(chunked.received));
    const stream = raw('POST /v3/watch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n');
    const filler = Buffer.concat([
      Buffer.from('10000\r\n'),
      Buffer.alloc(0x10000, '"a":1,'),
      Buffer.from('\r\n'),
    ]);
    for (let sent = 0; sent < bytes && !stream.closed; sent += 0x10000) {
      if (!stream.socket.write(filler)) {
        await new Promise<void>((resolve) => {
          stream.socket.once('drain', resolve);
          stream.socket.once('close', () => resolve());
        });
      }
    }
    await stream.until(({ closed }) => closed);
  });

  test('a body that trickles holds up nobody', async () => {
    const slow = Array.from({ length: 50 }, () =>
      raw('POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n'),
    );
    for (const character of `"key":"${b64('slow')}"`) {
      for (const socket of slow) socket.send(`1\r\n${character}\r\n`);
      expect((await ask(port, '/version')).status).toBe(200);
    }
    for (const socket of slow) socket.send('1\r\n}\r\n0\r\n\r\n');
    for (const socket of slow) {
      await socket.until(({ received }) => received.includes('"header"'));
      expect(statusOf(socket.received)).toBe(200);
    }
  });

  test('HTTP/1.1 requests one after the other on one connection, cut anywhere', async () => {
    const body = `{"key":"${b64('honest')}"}`;
    const request = `POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: 3 * request.length }), { maxLength: 6 }), async (cuts) => {
        const socket = raw();
        const text = request.repeat(3);
        let from = 0;
        for (const at of [...cuts.sort((a, b) => a - b), text.length]) {
          socket.send(text.slice(from, at));
          from = at;
        }
        await socket.until(({ received }) => received.split('"header"').length === 4);
        socket.end();
      }),
      { numRuns: 20 },
    );
  });
});

test('case-66 thousands of ranges that wait behind others on one connection, then end at once', async () => {
  const range = (fields: object): string => {
    const body = JSON.stringify({ key: b64('honest'), ...fields });
    return `POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  };
  const socket = raw(range({}).repeat(8) + range({ serializable: true }).repeat(4_000));
  await socket.until(({ received, closed }) => closed || received.split('"header"').length === 4_009);
  expect(socket.closed).toBe(false);
});

test('case-66 transactions in one another, as deep as a request can be, where --max-txn-ops lets them', async () => {
  const own = await startHttpServer({ 'max-txn-ops': '1000' });
  try {
    const body = `${'{"success":[{"request_txn":'.repeat(300)}{}${'}]}'.repeat(300)}`;
    const answer = await ask(own.port, { path: '/v3/kv/txn', body });
    expect(answer.status).toBe(200);
    expect(answer.body.split('"response_txn"')).toHaveLength(301);
    const written = body.replace('{}', `{"success":[{"request_put":{"key":"${b64('deep')}"}}]}`);
    expect((await ask(own.port, { path: '/v3/kv/txn', body: written })).status).toBe(200);
  } finally {
    await own.stop();
  }
});

test('case-66 any bytes on the port: an answer or a closed connection', async () => {
  const words = [
    'POST',
    'GET',
    ' ',
    '/v3/kv/range',
    '/v3/watch',
    ' HTTP/1.1\r\n',
    '\r\n',
    'Content-Length: ',
    '5',
    '-1',
    '{}',
    'Transfer-Encoding: chunked\r\n',
    'Host: x\r\n',
    'Upgrade: websocket\r\n',
    'Connection: upgrade\r\n',
    'Upgrade: h2c\r\n',
    'Sec-WebSocket-Key: x\r\n',
    '\0',
    '{"create_request":',
    '0\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '/%zz',
    '/v3/kv/../../x',
    '?a=%',
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...words) }, fc.string({ maxLength: 5 })), {
        maxLength: 20,
      }),
      async (parts) => {
        const socket = new RawSocket(port);
        socket.send(parts.join(''));
        // A request that is complete or wrong is answered; one that is not complete ends with us.
        socket.socket.end();
        await socket.until(({ closed, received }) => closed || received.includes('"created":true'));
        socket.end();
      },
    ),
    { numRuns: 150 },
  );
});

describe('case-66 WebSockets', () => {
  const HEAD =
    'GET /v3/watch HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
  const open = async (): Promise<RawSocket> => {
    const socket = raw(HEAD);
    await socket.until(({ received }) => received.includes('\r\n\r\n'));
    return socket;
  };
  /** A text message of so many bytes, of which `missing` do not come. */
  const message = (bytes: number, missing: number): Buffer => {
    const frame = Buffer.alloc(14 + bytes - missing, 'x');
    frame.writeUInt16BE(0x81ff);
    frame.writeBigUInt64BE(BigInt(bytes), 2);
    frame.fill(0, 10, 14);
    return frame;
  };
  const ping = Buffer.from([0x89, 0x81, 0, 0, 0, 0, 0x70]);

  test('messages that begin and do not end share the room of unfinished bodies', async () => {
    const slow: RawSocket[] = [];
    // 36 of 2 MB are more than 64 MiB; those that come last are refused.
    for (let count = 0; count < 36; count++) slow.push((await open()).send(message(2_000_000, 1)));
    await Promise.race(slow.map((socket) => socket.until(({ closed }) => closed)));
    expect(slow.filter(({ closed }) => closed).length).toBeLessThan(10);
    // The room is free again when they have gone.
    for (const socket of slow) socket.end();
    await expect
      .poll(async () => (await call(port, 'kv/put', { key: b64('k') })).status, { timeout: 60_000 })
      .toBe(200);
    const next = await open();
    next.send(message(32, 0));
    await next.until(({ received }) => received.includes('"error":{"code":3'));
  });

  test('pings take no room', async () => {
    const socket = await open();
    for (let count = 0; count < 100; count++) {
      socket.received = '';
      socket.send(ping);
      await socket.until(({ received }) => received.length >= 3);
    }
    socket.send(message(32, 0));
    await socket.until(({ received }) => received.includes('"error":{"code":3'));
  });
});

describe('case-66 what cannot be read as HTTP', () => {
  test.each([
    ['G@T /version HTTP/1.1\r\n\r\n', '400 Bad Request'],
    ['POST /v3/kv/range HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', '400 Bad Request'],
    [`GET /version HTTP/1.1\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, '431 Request Header Fields Too Large'],
  ])('%.60j is answered in plain text, and the connection ends', async (text, refusal) => {
    const socket = raw(text);
    await socket.until(({ closed }) => closed);
    expect(socket.received).toBe(
      `HTTP/1.1 ${refusal}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${refusal}`,
    );
  });

  test('an answer under way is cut: no second head in its body', async () => {
    const socket = raw('POST /v3/watch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const create = `{"create_request":{"key":"${b64('cut')}"}}`;
    socket.send(`${create.length.toString(16)}\r\n${create}\r\n`);
    await socket.until(({ received }) => received.includes('"created":true'));
    socket.send('this is no chunk\r\n');
    await socket.until(({ closed }) => closed);
    expect(socket.received.split('HTTP/1.1')).toHaveLength(2);
  });
});

test('a range over 100,000 keys is written in slices: others are served meanwhile', async () => {
  for (let batch = 0; batch < 800; batch += 8) {
    await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        call(port, 'kv/txn', {
          success: Array.from({ length: 125 }, (_, number) => ({
            request_put: {
              key: b64(`many/${String((batch + index) * 125 + number).padStart(6, '0')}`),
              value: b64('v'.repeat(50)),
            },
          })),
        }),
      ),
    );
  }
  const all = { path: '/v3/kv/range', body: `{"key":"${b64('many/')}","range_end":"${b64('many0')}"}` };
  await ask(port, all);
  let served = 0;
  let isDone = false;
  const others = (async () => {
    while (!isDone) {
      await ask(port, '/version');
      served++;
    }
  })();
  const answer = await ask(port, { ...all, headers: { connection: 'close' } });
  isDone = true;
  await others;
  expect(JSON.parse(answer.body).kvs).toHaveLength(100_000);
  expect(served).toBeGreaterThan(5);
});
