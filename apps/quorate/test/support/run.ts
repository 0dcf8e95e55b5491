/** The executable from source, and other programs, run to their end. */
import { join } from 'node:path';
import { spawnBound } from '@quorate/testing/child';

const top = new URL('../../../../', import.meta.url).pathname;

export const node = join(top, 'node_modules/.bin/node');
export const mainArgs = ['--conditions=@quorate/source', join(top, 'apps/quorate/src/main.ts')];

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly cwd?: string;
  /** Ends the program early: called with everything it wrote so far, and a way to send it a signal. */
  readonly onOutput?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
}

export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawnBound(program, args, {
      cwd: options.cwd,
      env: { ...withoutEtcd(process.env), ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    const told = () => options.onOutput?.(stdout + stderr, (signal) => child.kill(signal));
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      told();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      told();
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 15_000);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr });
    });
    child.stdin.end(options.input ?? '');
  });
}

export const quorate = (args: readonly string[], options?: RunOptions): Promise<Ended> =>
  run(node, [...mainArgs, ...args], options);

function withoutEtcd(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !/^ETCD|^NODE_OPTIONS$/.test(name)),
  );
}
