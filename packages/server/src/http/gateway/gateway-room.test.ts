import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import type { UnaryCall } from '@quorate/grpc-server';
import { services } from '@quorate/proto';
import { SimEnv } from '@quorate/testing';
import { expect, test } from 'vitest';
import type { Env } from '../../env.ts';
import { Turns } from '../turns.ts';
import { Gateway } from './gateway.ts';

const MANY_BYTES = 2 * 1024 * 1024;

class Response extends EventEmitter {
  headersSent = false;
  destroyed = false;
  code = 0;
  setHeader(): void {}
  writeHead(code: number): void {
    this.headersSent = true;
    this.code = code;
  }
  end(): void {}
}

const env = new SimEnv(1, 0) as unknown as Env;
const { Txn } = services['etcdserverpb.KV'];

function gatewayTo(handle: (request: Uint8Array, call: UnaryCall) => void) {
  const gateway = new Gateway({
    handlers: new Map([[Txn.path, { kind: 'unary', handle }]]),
    env,
    turns: new Turns(env),
    maxMessageBytes: MANY_BYTES,
    observer: null,
  });
  const send = async (body: string): Promise<Response> => {
    const request = Object.assign(new PassThrough(), { headers: {}, socket: {}, complete: true });
    const response = new Response();
    gateway.handle(
      Txn as never,
      request as unknown as IncomingMessage,
      response as unknown as ServerResponse,
    );
    request.end(body);
    await new Promise((resolve) => request.once('close', resolve));
    return response;
  };
  return { gateway, send };
}

test('case-68 requests that wait for a place are bounded by their bytes; those refused hear it at once', async () => {
  const running: UnaryCall[] = [];
  const { gateway, send } = gatewayTo((_request, call) => running.push(call));
  const value = Buffer.alloc(1_500_000).toString('base64');
  const body = `{"success":[{"request_put":{"key":"YQ==","value":"${value}"}}]}`;
  const all: Response[] = [];
  // Eight run; 44 of 1.5 MB fit into 64 MiB.
  for (let count = 0; count < 60; count++) all.push(await send(body));
  expect(running).toHaveLength(8);
  expect(all.filter(({ code }) => code === 429)).toHaveLength(8);
  // Whoever gets a place gives its room to the next.
  running[0]!.reply(new Uint8Array(0));
  expect(running).toHaveLength(9);
  expect((await send(body)).code).toBe(0);
  expect((await send(body)).code).toBe(429);
  gateway.close();
});

test('an answer that cannot be written as JSON is an error of its call alone', async () => {
  const { gateway, send } = gatewayTo((_request, call) => call.reply(Uint8Array.of(0x0f)));
  expect((await send('{}')).code).toBe(500);
  gateway.close();
});
