/** The client against our server, others' servers, and servers that break the protocol. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { encodeLiteral } from '../src/hpack/encoder.ts';
import { ErrorCode, Flag, FrameType } from '../src/http2/frame.ts';
import { Setting } from '../src/http2/settings.ts';
import { type ClientCall, createGrpcServer, GrpcClient, Status } from '../src/index.ts';
import { startGrpcJs } from './support/grpc-js-carrier.ts';
import { testHandlers } from './support/handlers.ts';
import { data, frame, headers, message, setting, settings, uint32 } from './support/raw-peer.ts';

const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

interface Dialled {
  readonly client: GrpcClient;
  readonly ended: Promise<Error>;
}

function dial(port: number, maxMessageBytes = MAX_MESSAGE_BYTES, socket?: Socket): Dialled {
  let client!: GrpcClient;
  const ended = new Promise<Error>((onEnd) => {
    const options = { scheme: 'http', authority: `127.0.0.1:${port}`, maxMessageBytes, onEnd } as const;
    client = new GrpcClient(socket ?? connect({ host: '127.0.0.1', port }), options);
  });
  ends.push(() => client.destroy(new Error('the test is over')));
  return { client, ended };
}

interface Outcome {
  readonly status: Status;
  readonly text: string;
  readonly messages: Buffer[];
}

function unary(
  client: GrpcClient,
  path: string,
  request: Uint8Array,
  fields: [string, string][] = [],
): Promise<Outcome> {
  return new Promise((resolve) => {
    const messages: Buffer[] = [];
    const listener = {
      onMessage: (bytes: Uint8Array) => messages.push(Buffer.from(bytes)),
      onEnd: (status: Status, text: string) => resolve({ status, text, messages }),
    };
    client.call(path, fields, listener, request);
  });
}

interface Chat {
  readonly call: ClientCall;
  readonly came: Buffer[];
  readonly outcome: Promise<Outcome>;
}

function chat(client: GrpcClient, path = '/test.Test/Chat', onRoom = () => {}): Chat {
  const came: Buffer[] = [];
  let call!: ClientCall;
  const outcome = new Promise<Outcome>((resolve) => {
    call = client.call(path, [], {
      onMessage: (bytes) => came.push(Buffer.from(bytes)),
      onEnd: (status, text) => resolve({ status, text, messages: came }),
      onRoom,
    });
  });
  return { call, came, outcome };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

async function ours(limits = {}) {
  const handlers = testHandlers();
  const server = createGrpcServer({ handlers: handlers.table, limits });
  ends.push(() => server.close({ graceMs: 0 }));
  const { port } = await server.listen({ host: '127.0.0.1' });
  return { ...handlers, server, port };
}

describe.each(['ours', 'grpc-js'])('a server of another kind: %s', (kind) => {
  async function open(): Promise<number> {
    if (kind === 'ours') return (await ours()).port;
    const { port, stop } = await startGrpcJs(testHandlers().table);
    ends.push(stop);
    return port;
  }

  test('calls of any length come back, many at once', async () => {
    const { client } = dial(await open());
    const lengths = [0, 1, 5, 16_379, 16_380, 16_384, 65_530, 65_536, 1_500_000];
    await Promise.all(
      lengths.map(async (length) => {
        const request = Buffer.alloc(length, length % 251);
        const { status, messages } = await unary(client, '/test.Test/Echo', request);
        expect(status).toBe(Status.OK);
        expect(messages).toHaveLength(1);
        expect(messages[0]!.equals(request)).toBe(true);
      }),
    );
  });

  test('a refusal comes with its status and text', async () => {
    const { client } = dial(await open());
    const { status, text, messages } = await unary(client, '/test.Test/Fail', Buffer.from('nicht da: ö %41'));
    expect({ status, text, messages }).toEqual({
      status: Status.NOT_FOUND,
      text: 'nicht da: ö %41',
      messages: [],
    });
    expect((await unary(client, '/test.Test/None', Buffer.alloc(0))).status).toBe(Status.UNIMPLEMENTED);
  });

  test('streams: messages in order, each whole, also those longer than the windows', async () => {
    const { client } = dial(await open());
    const { call, came } = chat(client);
    const sent = [3, 40_000, 0, 900_000, 17, 1_900_000].map((length, at) => Buffer.alloc(length, at + 1));
    for (const each of sent) call.write(each);
    await until(() => came.length === sent.length);
    for (const [at, each] of sent.entries()) expect(came[at]!.equals(each)).toBe(true);
    expect(call.queuedBytes).toBe(0);
  });
});

describe('the client', () => {
  test('keeps to windows as small as a server likes', async () => {
    const { port } = await ours({ streamWindowBytes: 1_000, connectionWindowBytes: 70_000 });
    const { client } = dial(port);
    const { call, came } = chat(client);
    // The server's settings are here when it has answered.
    const sent = [1, 999, 200_000, 1].map((length, at) => Buffer.alloc(length, at + 1));
    for (const [at, each] of sent.entries()) {
      call.write(each);
      if (at === 0) await until(() => came.length === 1);
    }
    await until(() => came.length === sent.length);
    expect(Buffer.concat(came).equals(Buffer.concat(sent))).toBe(true);
  });

  test('says how much waits, and when there is room again', async () => {
    const { streams, port } = await ours({ streamWindowBytes: 10_000 });
    const { client } = dial(port);
    let told = 0;
    const { call, outcome } = chat(client, '/test.Test/Paused', () => told++);
    for (let at = 0; at < 10; at++) call.write(Buffer.alloc(10_000));
    await until(() => streams.length === 1 && call.queuedBytes > 0 && call.queuedBytes <= 90_050);
    const toldBefore = told;
    streams[0]!.resume();
    await until(() => call.unsentBytes === 0);
    expect(told).toBeGreaterThan(toldBefore);
    call.end();
    expect((await outcome).messages.map(String)).toEqual(['10']);
  });

  test('a call that is cancelled ends at the server and is not heard of again; the others go on', async () => {
    const { port, cancels } = await ours();
    const { client } = dial(port);
    const one = chat(client);
    const two = chat(client);
    one.call.write(Buffer.from('a'));
    await until(() => one.came.length === 1);
    one.call.cancel();
    one.call.write(Buffer.from('b'));
    two.call.write(Buffer.from('c'));
    await until(() => two.came.length === 1);
    expect(one.came).toHaveLength(1);
    expect(cancels).toEqual(['cancelled']);
  });

  test('metadata arrives', async () => {
    const server = createGrpcServer({
      handlers: new Map([
        [
          '/t/Who',
          { kind: 'unary', handle: (_, call) => call.reply(Buffer.from(String(call.metadata.get('who')))) },
        ],
      ]),
    });
    ends.push(() => server.close({ graceMs: 0 }));
    const { client } = dial((await server.listen({ host: '127.0.0.1' })).port);
    for (const who of ['x', 'a,b', '~'.repeat(3_000)]) {
      const { messages } = await unary(client, '/t/Who', Buffer.alloc(0), [['who', who]]);
      expect(messages[0]!.toString()).toBe(who);
    }
  });

  test('a message longer than allowed ends its call alone', async () => {
    const { client } = dial((await ours()).port, 1_000);
    const { status } = await unary(client, '/test.Test/Big', Buffer.from('1001'));
    expect(status).toBe(Status.RESOURCE_EXHAUSTED);
    expect((await unary(client, '/test.Test/Big', Buffer.from('1000'))).status).toBe(Status.OK);
  });

  test('what is received for long is given credit for', async () => {
    const { client } = dial((await ours()).port);
    for (let at = 0; at < 12; at++) {
      const { messages } = await unary(client, '/test.Test/Big', Buffer.from('3000000'));
      expect(messages[0]!.length).toBe(3_000_000);
    }
  });

  test('the end of the connection ends every call, once, and further ones at once', async () => {
    const { server, port } = await ours();
    const { client, ended } = dial(port);
    const { call, came, outcome } = chat(client);
    call.write(Buffer.from('a'));
    await until(() => came.length === 1);
    await server.close({ graceMs: 0 });
    expect((await outcome).status).not.toBe(Status.OK);
    expect(await ended).toBeInstanceOf(Error);
    expect((await unary(client, '/test.Test/Echo', Buffer.alloc(0))).status).toBe(Status.UNAVAILABLE);
  });

  test('nobody listens', async () => {
    const { port, server } = await ours();
    await server.close({ graceMs: 0 });
    const { client, ended } = dial(port);
    const { status, text } = await unary(client, '/test.Test/Echo', Buffer.alloc(0));
    expect(status).toBe(Status.UNAVAILABLE);
    expect(text).toContain('ECONNREFUSED');
    expect((await ended).message).toContain('ECONNREFUSED');
  });

  test('over TLS', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'grpc-client-'));
    ends.push(() => rmSync(folder, { recursive: true }));
    const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const request =
      '-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost';
    const files = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', keyFile, '-out', certFile];
    execFileSync('openssl', ['req', ...request.split(' '), ...files], { stdio: 'ignore' });
    const [key, cert] = [readFileSync(keyFile), readFileSync(certFile)];
    const server = createGrpcServer({ handlers: testHandlers().table });
    ends.push(() => server.close({ graceMs: 0 }));
    const { port } = await server.listen({ host: '127.0.0.1', tls: { key, cert } });
    const socket = tlsConnect({ host: '127.0.0.1', port, ca: cert, ALPNProtocols: ['h2'] });
    const { client } = dial(port, MAX_MESSAGE_BYTES, socket);
    const long = Buffer.alloc(300_000, 7);
    expect((await unary(client, '/test.Test/Echo', long)).messages[0]!.equals(long)).toBe(true);
    const { ended } = dial(port, MAX_MESSAGE_BYTES, tlsConnect({ host: '127.0.0.1', port }));
    expect((await ended).message).toContain('certificate');
  });

  test('a server that is no gRPC server: its HTTP status is the reason', async () => {
    const server = createServer();
    const streams: ServerHttp2Stream[] = [];
    server.on('stream', (stream) => {
      streams.push(stream);
      stream.respond({ ':status': 404, 'content-type': 'text/plain' });
      stream.end('not here');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ends.push(() => server.close());
    const { client } = dial((server.address() as AddressInfo).port);
    const { status, text } = await unary(client, '/a/B', Buffer.alloc(0));
    expect(status).toBe(Status.UNIMPLEMENTED);
    expect(text).toContain('404');
  });
});

// ── Servers that break the protocol ────────────────────────────────────────────────────────────────────────────────

/** Answers the first bytes of each connection with `bytes`. */
async function speaker(...bytes: readonly Buffer[]): Promise<{ port: number; heard: () => Buffer }> {
  const heard: Buffer[] = [];
  const server: Server = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      for (const each of bytes) socket.write(each);
    });
    socket.on('data', (chunk) => heard.push(chunk));
    ends.push(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, heard: () => Buffer.concat(heard) };
}

const head = headers(1, [
  [':status', '200'],
  ['content-type', 'application/grpc'],
]);
const trailers = headers(1, [['grpc-status', '0']], true);

describe('a server that breaks the protocol loses the connection, and every call its patience:', () => {
  const block = encodeLiteral([[':status', '200']]);
  const broken: [string, Buffer][] = [
    ['HTTP/1', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
    ['a frame longer than allowed', frame(FrameType.DATA, 0, 1, Buffer.alloc(16_385))],
    [
      'a header block that cannot be decoded',
      frame(FrameType.HEADERS, Flag.END_HEADERS, 1, Buffer.from([0x80])),
    ],
    ['headers of a call that nobody made', headers(7, [[':status', '200']])],
    ['headers on stream 0', headers(0, [[':status', '200']])],
    ['a promise', frame(FrameType.PUSH_PROMISE, Flag.END_HEADERS, 1, Buffer.concat([uint32(2), block]))],
    ['a window that overflows', frame(FrameType.WINDOW_UPDATE, 0, 0, uint32(0x7fffffff))],
    [
      'a window of a call that overflows',
      Buffer.concat([head, frame(FrameType.WINDOW_UPDATE, 0, 1, uint32(0x7fffffff))]),
    ],
    ['settings of half an entry', frame(FrameType.SETTINGS, 0, 0, Buffer.alloc(5))],
    ['a ping that is too short', frame(FrameType.PING, 0, 0, Buffer.alloc(7))],
    ['padding longer than its frame', frame(FrameType.DATA, Flag.PADDED, 1, Buffer.from([9, 1]))],
    ['a continuation of nothing', frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1, block)],
    [
      'a header block that another frame interrupts',
      Buffer.concat([frame(FrameType.HEADERS, 0, 1, block), frame(FrameType.PING, 0, 0, Buffer.alloc(8))]),
    ],
    [
      'an endless header block',
      Buffer.concat([
        frame(FrameType.HEADERS, 0, 1, block),
        ...Array.from({ length: 9 }, () => frame(FrameType.CONTINUATION, 0, 1, block)),
      ]),
    ],
    [
      'GOAWAY',
      frame(FrameType.GOAWAY, 0, 0, Buffer.concat([uint32(0, ErrorCode.NO_ERROR), Buffer.from('bye')])),
    ],
  ];

  test.each(broken)('%s', async (_, bytes) => {
    const { client, ended } = dial((await speaker(bytes)).port);
    const outcome = await unary(client, '/a/B', Buffer.from('x'));
    expect(outcome.status).toBe(Status.UNAVAILABLE);
    expect(outcome.text).toBe((await ended).message);
    expect(outcome.messages).toEqual([]);
  });
});

describe('a server that is odd but right', () => {
  test('cuts, pads and repeats as it likes', async () => {
    const answer = message('hello');
    const odd = Buffer.concat([
      settings(setting(Setting.HEADER_TABLE_SIZE, 0)),
      frame(200, 0xff, 77, Buffer.from('unknown')),
      headers(1, [[':status', '100']]),
      head,
      frame(
        FrameType.DATA,
        Flag.PADDED,
        1,
        Buffer.concat([Buffer.from([3]), answer.subarray(0, 4), Buffer.alloc(3)]),
      ),
      data(1, answer.subarray(4)),
      frame(FrameType.PRIORITY, 0, 1, Buffer.alloc(5)),
      trailers,
      data(1, Buffer.from('late')),
    ]);
    // Byte by byte, and all at once.
    for (const parts of [[odd], [...odd].map((byte) => Buffer.from([byte]))]) {
      const { client } = dial((await speaker(...parts)).port);
      const { status, messages } = await unary(client, '/a/B', Buffer.from('x'));
      expect(status).toBe(Status.OK);
      expect(messages.map(String)).toEqual(['hello']);
    }
  });

  test.each([
    ['ends without a status', data(1, message('a'), true), Status.INTERNAL],
    ['has no status in its trailers', headers(1, [['x', 'y']], true), Status.UNKNOWN],
    ['resets', frame(FrameType.RST_STREAM, 0, 1, uint32(ErrorCode.REFUSED_STREAM)), Status.UNAVAILABLE],
    ['compresses unasked', data(1, message('a', 1)), Status.INTERNAL],
  ])('a call that %s has failed; the connection goes on', async (_, bytes, status) => {
    const { client } = dial((await speaker(head, bytes)).port);
    expect((await unary(client, '/a/B', Buffer.from('x'))).status).toBe(status);
    expect(client.closed).toBe(false);
  });

  test('PING and SETTINGS are answered', async () => {
    const ping = frame(FrameType.PING, 0, 0, Buffer.from('12345678'));
    const { port, heard } = await speaker(settings(), ping);
    dial(port);
    await until(() => heard().includes(frame(FrameType.PING, Flag.ACK, 0, Buffer.from('12345678'))));
    expect(heard().includes(frame(FrameType.SETTINGS, Flag.ACK, 0, Buffer.alloc(0)))).toBe(true);
  });

  test('a smaller initial window binds calls that run', async () => {
    const { port, heard } = await speaker(settings(setting(Setting.INITIAL_WINDOW_SIZE, 10)));
    const { client } = dial(port);
    const { call } = chat(client);
    await until(() => heard().includes(frame(FrameType.SETTINGS, Flag.ACK, 0, Buffer.alloc(0))));
    call.write(Buffer.alloc(100));
    expect(call.queuedBytes).toBe(95);
  });
});

describe('sockets', () => {
  test('a server that stops writing and does not read is not waited for', async () => {
    const accepted: Socket[] = [];
    const server = createTcpServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      accepted.push(socket);
      socket.on('error', () => {});
      socket.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ends.push(() => {
      for (const socket of accepted) socket.destroy();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const { client, ended } = dial(port);
    const { call, outcome } = chat(client);
    // More than the kernel takes: a close in good order would wait for it.
    for (let count = 0; count < 3; count++) call.write(Buffer.alloc(30_000_000));
    expect((await ended).message).toBe('the connection was closed');
    expect((await outcome).status).toBe(Status.UNAVAILABLE);
    const halfOpen = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    expect((await dial(port, MAX_MESSAGE_BYTES, halfOpen).ended).message).toBe('the connection was closed');
  });

  test('a socket that has ended before ends the client', async () => {
    const { port } = await ours();
    const socket = connect({ host: '127.0.0.1', port });
    socket.destroy();
    await new Promise((resolve) => socket.once('close', resolve));
    const { client, ended } = dial(port, MAX_MESSAGE_BYTES, socket);
    const { status } = await unary(client, '/test.Test/Echo', Buffer.alloc(0));
    expect(status).toBe(Status.UNAVAILABLE);
    expect((await ended).message).toBe('the connection was closed');
  });

  test('a name with two addresses: one that answers is enough, and when none does the reason names both', async () => {
    const { port, server } = await ours();
    const addresses = [
      { address: '::1', family: 6 },
      { address: '127.0.0.1', family: 4 },
    ];
    const both = () =>
      connect({ host: 'both', port, lookup: (_host, _options, done) => done(null, addresses) });
    const { client } = dial(port, MAX_MESSAGE_BYTES, both());
    expect((await unary(client, '/test.Test/Echo', Buffer.alloc(0))).status).toBe(Status.OK);
    client.destroy(new Error('over'));
    await server.close({ graceMs: 0 });
    const { text } = await unary(
      dial(port, MAX_MESSAGE_BYTES, both()).client,
      '/test.Test/Echo',
      Buffer.alloc(0),
    );
    expect(text).toContain('::1');
    expect(text).toContain(`ECONNREFUSED 127.0.0.1:${port}`);
  });

  test('a Unix socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'grpc-client-'));
    ends.push(() => rmSync(folder, { recursive: true }));
    const path = join(folder, 'socket');
    const server = createGrpcServer({ handlers: testHandlers().table });
    ends.push(() => server.close({ graceMs: 0 }));
    await server.listen({ path });
    const { client } = dial(0, MAX_MESSAGE_BYTES, connect(path));
    const long = Buffer.alloc(1_900_000, 7);
    expect((await unary(client, '/test.Test/Echo', long)).messages[0]!.equals(long)).toBe(true);
  });
});

describe('node:http2 as a server', () => {
  test('without a table of headers, and with few streams at once', async () => {
    const server = createServer({ settings: { headerTableSize: 0, maxConcurrentStreams: 2 } });
    server.on('stream', (stream) => {
      stream.on('error', () => {});
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.pipe(stream);
    });
    server.on('sessionError', () => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { client } = dial((server.address() as AddressInfo).port);
    ends.push(() => server.close());
    // Twice: its settings hold for what comes after them.
    for (const text of ['one', 'two', 'three']) {
      const { status, messages } = await unary(client, '/a/B', Buffer.from(text));
      expect([status, messages.map(String)]).toEqual([Status.OK, [text]]);
    }
    const outcomes = await Promise.all(
      Array.from({ length: 5 }, () => unary(client, '/a/B', Buffer.from('x'))),
    );
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual([0, 0, 14, 14, 14]);
    expect(client.closed).toBe(false);
  });
});

describe('a server that goes', () => {
  test('lets calls end that it has begun, and then the connection ends by itself', async () => {
    const { server, port, held } = await ours();
    const { client, ended } = dial(port);
    const running = unary(client, '/test.Test/Hold', Buffer.alloc(0));
    await until(() => held.length === 1);
    const closed = server.close({ graceMs: 60_000 });
    await new Promise<void>((resolve) => {
      const ask = async (): Promise<void> => {
        const { status } = await unary(client, '/test.Test/Echo', Buffer.alloc(0));
        if (status === Status.UNAVAILABLE) resolve();
        else setImmediate(ask);
      };
      void ask();
    });
    held[0]!.reply(Buffer.from('done'));
    expect((await running).messages.map(String)).toEqual(['done']);
    await closed;
    expect((await ended).message).toContain('the server ends the connection');
  });
});
