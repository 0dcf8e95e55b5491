/** HTTP whose server is made when the first request is there. */
import { createServer, get, type Server } from 'node:http';
import { connect, constants } from 'node:http2';
import { afterEach, describe, expect, test } from 'vitest';
import { createGrpcServer, type GrpcServer, nodeHttpHandOver } from '../src/index.ts';

let server: GrpcServer;
let plain: Server | null = null;
afterEach(async () => {
  plain?.closeAllConnections();
  await server.close({ graceMs: 0 });
});

async function listen(make: () => Promise<Server>): Promise<number> {
  server = createGrpcServer({ handlers: new Map(), http: nodeHttpHandOver(make) });
  return (await server.listen({ host: '127.0.0.1', port: 0 })).port;
}

function overHttp1(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ port, host: '127.0.0.1', path: '/one', agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });
}

function overHttp2(port: number, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on('error', reject);
    const stream = session.request({ ':path': '/two', ':method': 'POST' });
    let text = '';
    stream.on('data', (chunk: Buffer) => {
      text += chunk;
    });
    stream.on('error', reject);
    stream.on('close', () => {
      session.close();
      if (stream.rstCode === constants.NGHTTP2_NO_ERROR) resolve(text);
    });
    stream.end(body);
  });
}

const echo = (): Server =>
  createServer((request, response) => {
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
    });
    request.on('end', () => response.end(`${request.url} ${length}`));
  });

describe('an HTTP server that is made late', () => {
  test('once, by the first request; those that come meanwhile wait, with their bodies', async () => {
    let makings = 0;
    let ready: () => void = () => {};
    let asked: () => void = () => {};
    const begun = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const port = await listen(async () => {
      makings++;
      asked();
      await new Promise<void>((resolve) => {
        ready = resolve;
      });
      plain = echo();
      return plain;
    });
    expect(makings).toBe(0);
    const answers = [overHttp1(port), overHttp1(port), overHttp2(port, 'x'.repeat(100_000))];
    await begun;
    ready();
    expect(await Promise.all(answers)).toEqual(['/one 0', '/one 0', '/two 100000']);
    expect(await overHttp1(port)).toBe('/one 0');
    expect(makings).toBe(1);
  });

  test('when that fails, who waits is cut off', async () => {
    const port = await listen(() => Promise.reject(new Error('no server today')));
    await expect(overHttp1(port)).rejects.toThrow();
    await expect(overHttp2(port, 'x')).rejects.toThrow();
  });
});
