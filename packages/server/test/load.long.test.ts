/**
 * Crowds: more connections, streams, watches and bytes than any honest client brings, on a server process whose memory is
 * watched from outside (anonymous pages: LMDB's map is the kernel's to take back).
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import { connect as connectSocket, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { PutRequest, RangeRequest, services, TxnRequest, WatchRequest } from '@quorate/proto';
import { findProgram, processUsage, type ServerProcess, startQuorate } from '@quorate/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ask, portOf } from './support/http-server.ts';

const scale = Number(process.env.QUORATE_TEST_SCALE ?? 1);
const many = (count: number): number => Math.max(1, Math.round(count * scale));
/** The memory that case 68 gives a server. */
const MAX_ANONYMOUS_BYTES = 512 * 1024 * 1024;

const KV = services['etcdserverpb.KV'];
const Maintenance = services['etcdserverpb.Maintenance'];
const { Watch } = services['etcdserverpb.Watch'];
let server: ServerProcess;
const sessions: ClientHttp2Session[] = [];

beforeEach(async () => {
  server = await startQuorate({ readyTimeoutMs: 60_000 });
}, 90_000);
afterEach(async () => {
  for (const session of sessions.splice(0)) session.destroy();
  await server.stop();
});

function session(): ClientHttp2Session {
  const opened = connect(`http://${server.endpoint}`, {
    settings: { initialWindowSize: 1 << 20 },
    maxSessionMemory: 1_000,
  });
  // A server that cuts a session is told from the streams.
  opened.on('error', () => {});
  opened.setMaxListeners(0);
  sessions.push(opened);
  return opened;
}

function frame(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function open(on: ClientHttp2Session, path: string): ClientHttp2Stream {
  const stream = on.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  stream.on('error', () => {});
  return stream;
}

/** @returns grpc-status and the number of bytes that came */
function unary(
  on: ClientHttp2Session,
  path: string,
  message: Uint8Array,
): Promise<{ status: string; bytes: number }> {
  return new Promise((resolve) => {
    const stream = open(on, path);
    let bytes = 0;
    let status = 'none';
    const note = (fields: Record<string, unknown>): void => {
      if (fields['grpc-status'] !== undefined) status = String(fields['grpc-status']);
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('data', (part: Buffer) => {
      bytes += part.length;
    });
    stream.on('close', () => resolve({ status, bytes }));
    stream.end(frame(message));
  });
}

const put = (key: string, value: Uint8Array): Uint8Array =>
  PutRequest.encode({ key: Buffer.from(key), value });

/** @returns the most anonymous memory that the server had meanwhile */
async function peakWhile(work: () => Promise<void>): Promise<number> {
  let peakBytes = 0;
  const sampling = setInterval(() => {
    peakBytes = Math.max(peakBytes, processUsage(server.pid).anonymousBytes);
  }, 20);
  try {
    await work();
  } finally {
    clearInterval(sampling);
  }
  return peakBytes;
}

async function expectWell(): Promise<void> {
  expect((await ask(portOf(server.endpoint), '/health')).body).toBe('{"health":"true","reason":""}');
  const { anonymousBytes } = processUsage(server.pid);
  expect(anonymousBytes).toBeLessThan(MAX_ANONYMOUS_BYTES);
}

describe('case-68', () => {
  test('10,000 idle connections: others are served, and memory comes back', async () => {
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');
    const port = portOf(server.endpoint);
    const sockets: Socket[] = [];
    const count = Math.min(many(10_000), 15_000);
    while (sockets.length < count) {
      await Promise.all(
        Array.from({ length: Math.min(100, count - sockets.length) }, () => {
          const socket = connectSocket({ host: '127.0.0.1', port });
          socket.on('error', () => {});
          socket.resume();
          socket.write(preface);
          sockets.push(socket);
          return new Promise((resolve) => socket.once('connect', resolve));
        }),
      );
    }
    expect((await unary(session(), KV.Put.path, put('a', Buffer.from('1')))).status).toBe('0');
    await expectWell();
    for (const socket of sockets) socket.destroy();
    await expectWell();
  });

  test('20,000 streams, and 100,000 watches on a hundred of them: one put reaches every one', async () => {
    const streams: ClientHttp2Stream[] = [];
    let events = 0;
    let created = 0;
    const watchers = many(100);
    const watchesEach = 1_000;
    for (let connection = 0; connection < 20; connection++) {
      const on = session();
      for (let index = 0; index < many(1_000); index++) streams.push(open(on, Watch.path));
    }
    const watched = Buffer.from('watched');
    const create = frame(WatchRequest.encode({ createRequest: { key: watched } }));
    for (const stream of streams.slice(0, watchers)) {
      const parts: Buffer[] = [];
      let size = 0;
      stream.on('data', (part: Buffer) => {
        parts.push(part);
        size += part.length;
        let held = parts.length === 1 ? part : Buffer.concat(parts.splice(0));
        while (held.length >= 5 && held.length >= 5 + held.readUInt32BE(1)) {
          const response = Watch.response.decode(held.subarray(5, 5 + held.readUInt32BE(1)));
          if (response.created) created++;
          events += response.events.length;
          held = held.subarray(5 + held.readUInt32BE(1));
        }
        parts.length = 0;
        if (held.length > 0) parts.push(held);
      });
      const requests = Buffer.concat(Array.from({ length: watchesEach }, () => create));
      stream.write(requests);
      expect(size).toBe(0);
    }
    await expect.poll(() => created, { timeout: 120_000, interval: 200 }).toBe(watchers * watchesEach);
    expect((await unary(session(), KV.Put.path, put('watched', Buffer.from('1')))).status).toBe('0');
    await expect.poll(() => events, { timeout: 120_000, interval: 200 }).toBe(watchers * watchesEach);
    const { body } = await ask(portOf(server.endpoint), '/metrics');
    expect(body).toMatch(new RegExp(`^etcd_debugging_mvcc_watcher_total ${watchers * watchesEach}$`, 'm'));
    await expectWell();
  });

  test('large transactions: 128 puts of 10 kB each', async () => {
    const on = session();
    const value = Buffer.alloc(10_000, 7);
    let done = 0;
    const next = async (): Promise<void> => {
      while (done < many(1_000)) {
        const number = done++;
        const success = Array.from({ length: 128 }, (_, index) => ({
          requestPut: { key: Buffer.from(`large/${(number * 128 + index) % 1_000}`), value },
        }));
        expect((await unary(on, KV.Txn.path, TxnRequest.encode({ success }))).status).toBe('0');
      }
    };
    const peakBytes = await peakWhile(async () => {
      await Promise.all(Array.from({ length: 16 }, next));
    });
    console.log(
      `case-68, large transactions: at most ${Math.round(peakBytes / 2 ** 20)} MiB of anonymous memory`,
    );
    expect(peakBytes).toBeLessThan(MAX_ANONYMOUS_BYTES);
    await expectWell();
  });
});

describe('case-68 in answers', () => {
  const VALUE_BYTES = 1_000_000;

  /** Ten keys of a megabyte. */
  async function fill(): Promise<void> {
    const writer = session();
    const value = Buffer.alloc(VALUE_BYTES, 7);
    for (let key = 0; key < 10; key++) {
      expect((await unary(writer, KV.Put.path, put(`huge/${key}`, value))).status).toBe('0');
    }
  }

  test('100 ranges of 10 MB at once over gRPC: each is answered or refused, in bounded memory', async () => {
    await fill();
    const range = RangeRequest.encode({ key: Buffer.from('huge/'), rangeEnd: Buffer.from('huge0') });
    const peakBytes = await peakWhile(async () => {
      const answers = await Promise.all(
        Array.from({ length: 10 }, session).flatMap((on) =>
          Array.from({ length: 10 }, () => unary(on, KV.Range.path, range)),
        ),
      );
      const whole = answers.filter(({ status }) => status === '0');
      const refused = answers.filter(({ status }) => status === '8');
      expect(whole.length + refused.length).toBe(answers.length);
      expect(whole.length).toBeGreaterThan(0);
      for (const { bytes } of whole) expect(bytes).toBeGreaterThan(10 * VALUE_BYTES);
    });
    expect(peakBytes).toBeLessThan(MAX_ANONYMOUS_BYTES);
    await expectWell();
  });

  test('the same over HTTP', async () => {
    await fill();
    const port = portOf(server.endpoint);
    const body = JSON.stringify({
      key: Buffer.from('huge/').toString('base64'),
      range_end: Buffer.from('huge0').toString('base64'),
    });
    const headers = { 'content-type': 'application/json' };
    const peakBytes = await peakWhile(async () => {
      const answers = await Promise.all(
        Array.from({ length: 100 }, () =>
          ask(port, { path: '/v3/kv/range', body, headers, timeoutMs: 300_000 }),
        ),
      );
      const whole = answers.filter(({ status }) => status === 200);
      const refused = answers.filter(({ status }) => status === 429 || status === 503);
      expect(whole.length + refused.length).toBe(answers.length);
      expect(whole.length).toBeGreaterThan(0);
      for (const answer of whole) expect(answer.body.length).toBeGreaterThan(13 * VALUE_BYTES);
    });
    expect(peakBytes).toBeLessThan(MAX_ANONYMOUS_BYTES);
    await expectWell();
  });
});

describe('case-69', () => {
  const hasPrlimit = findProgram('prlimit') !== null;
  const title = 'no file descriptors left: it says so, no busy loop, and service again when there are some';
  const body = async (): Promise<void> => {
    const port = portOf(server.endpoint);
    const on = session();
    expect((await unary(on, KV.Put.path, put('a', Buffer.from('1')))).status).toBe('0');
    // What is loaded late comes soon after the start, whether it is needed or not: without descriptors it could not.
    const threads = `/proc/${server.pid}/task`;
    await expect
      .poll(() => readdirSync(threads).map((id) => readFileSync(`${threads}/${id}/comm`, 'utf8').trim()))
      .toContain('quorate-mvcc');
    expect((await unary(on, Maintenance.Defragment.path, new Uint8Array(0))).status).toBe('0');
    await expectWell();
    execFileSync('prlimit', ['--pid', String(server.pid), '--nofile=128:128']);
    const sockets = Array.from({ length: 400 }, () => {
      const socket = connectSocket({ host: '127.0.0.1', port });
      socket.on('error', () => {});
      socket.resume();
      return socket;
    });
    await Promise.all(
      sockets.map(
        (socket) =>
          new Promise<void>((resolve) => {
            socket.once('connect', resolve);
            socket.once('close', () => resolve());
          }),
      ),
    );
    const before = processUsage(server.pid).cpuSec;
    await pause(2_000);
    // A loop without rest would have used all of the two seconds.
    expect(processUsage(server.pid).cpuSec - before).toBeLessThan(1);
    await expect.poll(() => server.output()).toContain('no file descriptors left');
    // Those who are connected are served.
    expect((await unary(on, KV.Put.path, put('a', Buffer.from('2')))).status).toBe('0');
    for (const socket of sockets) socket.destroy();
    await expect
      .poll(async () => (await ask(port, '/health').catch(() => ({ body: '' }))).body, { timeout: 20_000 })
      .toBe('{"health":"true","reason":""}');
    await expect.poll(() => server.output()).toContain('there are file descriptors again');
  };
  if (hasPrlimit) test(title, body);
  else test.skip(`${title} (${'prlimit'} is not installed)`, body);
});
