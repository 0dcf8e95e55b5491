/**
 * Other people's clients against a real listener: node:http2, Go (etcdctl), Python (grpcio), nghttp, h2load, curl.
 * A program that is not installed skips its test and says so.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGrpcServer, type GrpcServer, type Handler, nodeHttpHandOver } from '../src/index.ts';
import { testHandlers } from './support/handlers.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'grpc-server-'));
let server: GrpcServer;
let port = 0;
let tlsPort = 0;

const plain = createServer((request, response) => {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        method: request.method,
        url: request.url,
        version: request.httpVersion,
        host: request.headers.host,
        bytes,
      }),
    );
  });
});

/** Whether the command line can be run at all. */
function has(command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function testWith(isThere: boolean, what: string, title: string, body: () => Promise<void>): void {
  if (isThere) test(title, body);
  else test.skip(`${title} (${what} is not installed)`, body);
}

const hasOpenssl = has('openssl', 'version');

beforeAll(async () => {
  server = createGrpcServer({ handlers: testHandlers().table, http: nodeHttpHandOver(plain) });
  port = (await server.listen({ host: '127.0.0.1' })).port;
  writeFileSync(join(folder, 'body'), Buffer.from('\0\0\0\0\x05hello', 'latin1'));
  if (!hasOpenssl) return;
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      key,
      '-out',
      cert,
      '-days',
      '2',
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=IP:127.0.0.1',
    ],
    { stdio: 'ignore' },
  );
  tlsPort = (
    await server.listen({ host: '127.0.0.1', tls: { key: readFileSync(key), cert: readFileSync(cert) } })
  ).port;
});
afterAll(async () => {
  await server.close({ graceMs: 0 });
  plain.close();
  rmSync(folder, { recursive: true });
});

test('node:http2: any metadata and bodies come back, calls in parallel', async () => {
  const session = connect(`http://127.0.0.1:${port}`);
  const echo = (body: Uint8Array, fields: Record<string, string>) =>
    new Promise<{ status: unknown; body: Buffer }>((resolve, reject) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/test.Test/Echo',
        'content-type': 'application/grpc',
        te: 'trailers',
        ...fields,
      });
      const parts: Buffer[] = [];
      let status: unknown;
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('trailers', (trailers) => {
        status = trailers['grpc-status'];
      });
      stream.on('end', () => resolve({ status, body: Buffer.concat(parts).subarray(5) }));
      stream.on('error', reject);
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(body.length, 1);
      stream.end(Buffer.concat([prefix, body]));
    });
  const name = fc.stringMatching(/^x-[a-z0-9-]{1,20}[a-z]$/).filter((each) => !each.endsWith('-bin'));
  const value = fc.stringMatching(/^[!-~]([ -~]{0,60}[!-~])?$/);
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.uint8Array({ maxLength: 40_000 }), fc.dictionary(name, value, { maxKeys: 8 })), {
        minLength: 1,
        maxLength: 6,
      }),
      async (calls) => {
        const answers = await Promise.all(calls.map(([body, fields]) => echo(body, fields)));
        for (const [index, answer] of answers.entries()) {
          expect(answer.status).toBe('0');
          expect(answer.body.equals(calls[index]![0])).toBe(true);
        }
      },
    ),
    { numRuns: 60 },
  );
  session.close();
});

test('node:http2: 64 MiB streamed in each direction at once', async () => {
  const session = connect(`http://127.0.0.1:${port}`, { settings: { initialWindowSize: 1 << 20 } });
  const stream = session.request({
    ':method': 'POST',
    ':path': '/test.Test/Chat',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const part = Buffer.alloc(65_536 + 5, 'x');
  part.writeUInt32BE(65_536, 1);
  part[0] = 0;
  const COUNT = 1_024;
  let received = 0;
  let status: unknown;
  stream.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  stream.on('trailers', (trailers) => {
    status = trailers['grpc-status'];
  });
  const ended = new Promise((resolve) => stream.on('end', resolve));
  for (let index = 0; index < COUNT; index++) {
    if (!stream.write(part)) await new Promise((resolve) => stream.once('drain', resolve));
  }
  stream.end();
  await ended;
  expect([received, status]).toEqual([COUNT * part.length, '0']);
  expect(server.stats().queuedResponseBytes).toBe(0);
  session.close();
});

testWith(
  has('etcdctl', 'version'),
  'etcdctl',
  'Go (etcdctl): an unknown service is UNIMPLEMENTED with its name',
  async () => {
    const failed = await run(
      'etcdctl',
      [`--endpoints=127.0.0.1:${port}`, '--command-timeout=5s', 'get', 'foo'],
      { env: { ...process.env, ETCDCTL_API: '3' } },
    ).catch((error: { stderr: string }) => error);
    expect(failed.stderr).toContain('code = Unimplemented desc = unknown service etcdserverpb.KV');
  },
);

testWith(
  has('/usr/bin/python3', '-c', 'import grpc'),
  'python3-grpcio',
  'Python (grpcio): unary, failing, gzip and streaming calls',
  async () => {
    const program = `
import grpc, sys
to = '127.0.0.1:' + sys.argv[1]
channel = grpc.insecure_channel(to)
echo = channel.unary_unary('/test.Test/Echo')
print(len(echo(b'hello')), len(echo(b'x' * 1000000, timeout=20)))
try: channel.unary_unary('/test.Test/Fail')('sch\\u00f6n %'.encode())
except grpc.RpcError as e: print(e.code(), e.details() == 'sch\\u00f6n %')
chat = channel.stream_stream('/test.Test/Chat')
print(sum(len(m) for m in chat(iter([b'y' * i * 100 for i in range(300)]))))
zipped = grpc.insecure_channel(to, compression=grpc.Compression.Gzip)
print(len(zipped.unary_unary('/test.Test/Echo')(b'z' * 100000)))
`;
    const { stdout } = await run('/usr/bin/python3', ['-c', program, String(port)]);
    expect(stdout.trim().split('\n')).toEqual([
      '5 1000000',
      'StatusCode.NOT_FOUND True',
      '4485000',
      '100000',
    ]);
  },
);

testWith(
  has('nghttp', '--version'),
  'nghttp',
  'nghttp: padding, continuation frames and trailers',
  async () => {
    const { stdout } = await run('nghttp', [
      '-v',
      '-b',
      '100',
      '--continuation',
      '--trailer=x-end: 1',
      '-d',
      join(folder, 'body'),
      '-H',
      'content-type: application/grpc',
      '-H',
      ':method: POST',
      `http://127.0.0.1:${port}/test.Test/Echo`,
    ]);
    expect(stdout).toContain('grpc-status: 0');
    expect(stdout).not.toContain('recv RST_STREAM');
  },
);

testWith(has('h2load', '--version'), 'h2load', 'h2load: 20,000 calls on 8 connections', async () => {
  const { stdout } = await run('h2load', [
    '-n',
    '20000',
    '-c',
    '8',
    '-m',
    '32',
    '-d',
    join(folder, 'body'),
    '-H',
    'content-type: application/grpc',
    `http://127.0.0.1:${port}/test.Test/Echo`,
  ]);
  expect(stdout).toContain('20000 succeeded, 0 failed, 0 errored');
});

const hasCurl = has('curl', '--version');
const curl = async (...args: string[]) => (await run('curl', ['-sS', '-m', '10', ...args])).stdout;

testWith(hasCurl, 'curl', 'curl: HTTP/1.1 and HTTP/2 with prior knowledge on the plain port', async () => {
  expect(JSON.parse(await curl(`http://127.0.0.1:${port}/a?b=1`))).toEqual({
    method: 'GET',
    url: '/a?b=1',
    version: '1.1',
    host: `127.0.0.1:${port}`,
    bytes: 0,
  });
  expect(JSON.parse(await curl('--http2-prior-knowledge', `http://127.0.0.1:${port}/a?b=1`))).toEqual({
    method: 'GET',
    url: '/a?b=1',
    version: '2.0',
    host: `127.0.0.1:${port}`,
    bytes: 0,
  });
  writeFileSync(join(folder, 'large'), Buffer.alloc(3_000_000));
  const posted = await curl(
    '--http2-prior-knowledge',
    '--data-binary',
    `@${join(folder, 'large')}`,
    `http://127.0.0.1:${port}/p`,
  );
  expect(JSON.parse(posted)).toMatchObject({ method: 'POST', version: '2.0', bytes: 3_000_000 });
  const head = await curl('-I', '--http2-prior-knowledge', `http://127.0.0.1:${port}/`);
  expect(head).toContain('HTTP/2 200');
});

testWith(
  hasCurl && hasOpenssl,
  'curl or openssl',
  'curl: TLS with ALPN picks HTTP/2 by itself, HTTP/1.1 when asked',
  async () => {
    expect(JSON.parse(await curl('-k', `https://127.0.0.1:${tlsPort}/`))).toMatchObject({ version: '2.0' });
    expect(JSON.parse(await curl('-k', '--http1.1', `https://127.0.0.1:${tlsPort}/`))).toMatchObject({
      version: '1.1',
    });
    expect(JSON.parse(await curl('-k', '--no-alpn', `https://127.0.0.1:${tlsPort}/`))).toMatchObject({
      version: '1.1',
    });
  },
);

testWith(
  hasOpenssl,
  'openssl',
  'case-67 TLS: garbage and a wrong protocol end their connection alone',
  async () => {
    const before = server.stats();
    await expect(curlOrFail(`http://127.0.0.1:${tlsPort}/`)).rejects.toThrow();
    const socket = tlsConnect({
      port: tlsPort,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    socket.on('error', () => {});
    socket.resume();
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    expect(server.stats().protocolErrorsTotal).toBe(before.protocolErrorsTotal + 1);
    expect(JSON.parse(await curl('-k', `https://127.0.0.1:${tlsPort}/`))).toMatchObject({ version: '2.0' });
  },
);

testWith(
  hasOpenssl,
  'openssl',
  'TLS with client certificates: the common name of a verified one reaches handlers, no other does',
  async () => {
    const [key, cert] = ['key.pem', 'cert.pem'].map((name) => readFileSync(join(folder, name)));
    const names: string[] = [];
    const own = createGrpcServer({
      handlers: new Map<string, Handler>([
        [
          '/test.Test/Who',
          {
            kind: 'unary',
            handle: (_request, call) => {
              names.push(call.peerCommonName);
              call.reply(new Uint8Array(0));
            },
          },
        ],
      ]),
    });
    // The certificate is its own authority; the other listener asks for one and lets any pass.
    const strict = await own.listen({ host: '127.0.0.1', tls: { key, cert, ca: cert, requestCert: true } });
    const lax = await own.listen({
      host: '127.0.0.1',
      tls: { key, cert, requestCert: true, rejectUnauthorized: false },
    });
    const ask = async (to: number, withCertificate: boolean) => {
      const session = connect(`https://127.0.0.1:${to}`, {
        ca: cert!,
        ...(withCertificate ? { key: key!, cert: cert! } : {}),
      });
      session.on('error', () => {});
      const stream = session.request({
        ':method': 'POST',
        ':path': '/test.Test/Who',
        'content-type': 'application/grpc',
      });
      stream.end(Buffer.alloc(5));
      stream.resume();
      const status = await new Promise((resolve) => {
        stream.on('trailers', (trailers) => resolve(trailers['grpc-status']));
        stream.on('error', () => resolve('refused'));
        stream.on('close', () => resolve('refused'));
      });
      session.destroy();
      return status;
    };
    expect(await ask(strict.port, true)).toBe('0');
    expect(await ask(strict.port, false)).toBe('refused');
    expect(await ask(lax.port, true)).toBe('0');
    expect(await ask(lax.port, false)).toBe('0');
    expect(names).toEqual(['localhost', '', '']);
    await own.close({ graceMs: 0 });
  },
);

async function curlOrFail(url: string): Promise<string> {
  return (await run('curl', ['-sSf', '-m', '10', url])).stdout;
}
