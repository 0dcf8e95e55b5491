/** A whole server on loopback ports, and requests to it as any program could send them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveConfig } from '../../src/config/config.ts';
import { findFlag } from '../../src/config/flags.ts';
import { parseValue, Settings } from '../../src/config/settings.ts';
import { nodeWorld } from '../../src/node/world.ts';
import { type Server, startServer } from '../../src/serve.ts';

export interface HttpServer {
  readonly server: Server;
  readonly port: number;
  readonly folder: string;
  stop(): Promise<void>;
}

export async function startHttpServer(flags: Record<string, string> = {}): Promise<HttpServer> {
  const folder = mkdtempSync(join(tmpdir(), 'quorate-http-'));
  const texts = {
    'data-dir': join(folder, 'data'),
    'listen-client-urls': 'http://127.0.0.1:0',
    'advertise-client-urls': 'http://127.0.0.1:1',
    'listen-peer-urls': 'http://127.0.0.1:0',
    ...flags,
  };
  const given = Object.entries(texts).map(
    ([name, value]) => [name, parseValue(findFlag(name)!, value)] as const,
  );
  const server = await startServer(resolveConfig(new Settings(new Map(given))), nodeWorld({ log() {} }));
  return {
    server,
    port: portOf(server.addresses[0]!),
    folder,
    async stop() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface HttpRequest {
  readonly method?: string;
  readonly path: string;
  readonly body?: string | Buffer;
  readonly headers?: Record<string, string>;
  readonly socketPath?: string;
  /** Silence after which the request has failed. */
  readonly timeoutMs?: number;
}

/** One request with node:http. */
export function ask(port: number, what: HttpRequest | string): Promise<HttpAnswer> {
  const asked: HttpRequest = typeof what === 'string' ? { path: what } : what;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        ...(asked.socketPath === undefined ? { host: '127.0.0.1', port } : { socketPath: asked.socketPath }),
        method: asked.method ?? (asked.body === undefined ? 'GET' : 'POST'),
        path: asked.path,
        headers: {
          ...(asked.body === undefined ? {} : { 'content-length': Buffer.byteLength(asked.body) }),
          ...asked.headers,
        },
        agent: false,
        timeout: asked.timeoutMs ?? 20_000,
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(parts).toString('utf8'),
          }),
        );
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in time')));
    outgoing.on('error', reject);
    outgoing.end(asked.body);
  });
}

/** A gateway call: JSON in, JSON out. */
export async function call(
  port: number,
  path: string,
  message: unknown,
): Promise<{ status: number; json: Record<string, never> }> {
  const { status, body } = await ask(port, { path: `/v3/${path}`, body: JSON.stringify(message) });
  return { status, json: JSON.parse(body) as Record<string, never> };
}

export const b64 = (text: string): string => Buffer.from(text).toString('base64');

/** A raw socket, and what came back on it. */
export class RawSocket {
  readonly socket: Socket;
  received = '';
  closed = false;
  #changed: () => void = () => {};

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => {
      this.received += text;
      this.#changed();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.closed = true;
      this.#changed();
    });
  }

  send(text: string | Buffer): this {
    this.socket.write(text);
    return this;
  }

  /** Resolves when `isSo` holds; the test's own time limit ends the wait. */
  until(isSo: (socket: this) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#changed = () => {
        if (isSo(this)) resolve();
      };
      this.#changed();
    });
  }

  end(): void {
    this.socket.destroy();
  }
}
