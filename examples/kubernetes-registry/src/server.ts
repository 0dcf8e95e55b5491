/** The server under test: a process that can be killed and started again on the same data. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { connect } from '@quorate/client';

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

export class ServerProcess {
  readonly endpoint: string;
  readonly #dataDir: string;
  #child: ChildProcess | null = null;
  #log = '';

  constructor(port: number, dataDir: string) {
    this.endpoint = `127.0.0.1:${port}`;
    this.#dataDir = dataDir;
  }

  /** Starts it. @returns milliseconds until it answered a linearizable read */
  async start(): Promise<number> {
    const begun = performance.now();
    const program = new URL('bin/quorate.mjs', import.meta.resolve('quorate/package.json'));
    const url = `http://${this.endpoint}`;
    const child = spawn(
      process.execPath,
      [
        '--max-semi-space-size=32',
        '--initial-old-space-size=128',
        program.pathname,
        `--data-dir=${this.#dataDir}`,
        `--listen-client-urls=${url}`,
        `--advertise-client-urls=${url}`,
        '--listen-peer-urls=http://127.0.0.1:0',
        '--quota-backend-bytes=8589934592',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    child.stderr.on('data', (chunk: Buffer) => {
      this.#log = (this.#log + chunk.toString()).slice(-4000);
    });
    this.#child = child;
    for (;;) {
      if (child.exitCode !== null) throw new Error(`the server ended:\n${this.#log}`);
      const client = connect(this.endpoint);
      try {
        await client.kv.get('/', { timeoutMs: 200 });
        return performance.now() - begun;
      } catch {
        if (performance.now() - begun > 30_000) throw new Error(`the server does not answer:\n${this.#log}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      } finally {
        await client.close();
      }
    }
  }

  /** SIGKILL: no chance to write anything more. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  }
}
