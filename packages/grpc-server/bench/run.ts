/**
 * The benchmark of this package: the same handlers over our transport, node:http2 and @grpc/grpc-js.
 *
 *     node --conditions=@quorate/source packages/grpc-server/bench/run.ts
 *
 * The server runs in a process of its own, on a core of its own where `taskset` is there; its cost is what
 * `process.cpuUsage` says. Prints a Markdown table.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Generator } from './generator.ts';

const kinds = ['ours', 'node:http2', 'grpc-js'] as const;
const SECONDS = Number(process.argv[2] ?? 3);
const PARTS = 16_384;
const WARM_CALLS = 5_000;

async function startServer(kind: string): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(fileURLToPath(new URL('./server-process.ts', import.meta.url)), [kind], {
    execArgv: ['--conditions=@quorate/source'],
  });
  const { port } = await new Promise<{ port: number }>((resolve) =>
    child.once('message', (message) => resolve(message as { port: number })),
  );
  pin(child.pid!, 1);
  return { child, port };
}

function pin(pid: number, core: number): void {
  try {
    execFileSync('taskset', ['-a', '-cp', String(core), String(pid)], { stdio: 'ignore' });
  } catch {
    // Without taskset, or with one core, the figures are only noisier.
  }
}

function cpuUs(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    child.once('message', (message) => resolve((message as { cpuUs: number }).cpuUs));
    child.send('cpu');
  });
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function unary(
  kind: string,
  connections: number,
  inFlight: number,
): Promise<{ perSecond: number; cpuPerCallUs: number }> {
  const { child, port } = await startServer(kind);
  const message = Buffer.alloc(64, 'y');
  let done = 0;
  const generators = Array.from({ length: connections }, () => new Generator(port, '/bench.Bench/Unary'));
  for (const generator of generators) {
    let ended = 0;
    generator.onEnded = () => {
      ended++;
      done++;
      if (ended === 1) {
        queueMicrotask(() => {
          generator.socket.write(generator.calls(ended, message));
          ended = 0;
        });
      }
    };
    generator.socket.write(generator.calls(inFlight, message));
  }
  // Warm: compiled code, grown windows.
  while (done < WARM_CALLS) await sleep(50);
  const [doneBefore, cpuBefore, before] = [done, await cpuUs(child), performance.now()];
  await sleep(SECONDS * 1_000);
  const [doneAfter, cpuAfter, after] = [done, await cpuUs(child), performance.now()];
  for (const { socket } of generators) socket.destroy();
  child.disconnect();
  const calls = doneAfter - doneBefore;
  return { perSecond: (calls * 1_000) / (after - before), cpuPerCallUs: (cpuAfter - cpuBefore) / calls };
}

async function download(kind: string): Promise<{ bytesPerSecond: number; cpuMsPerGb: number }> {
  const { child, port } = await startServer(kind);
  const generator = new Generator(port, '/bench.Bench/Download');
  const parts = Buffer.alloc(4);
  parts.writeUInt32BE(PARTS);
  await sleep(300);
  const [cpuBefore, before] = [await cpuUs(child), performance.now()];
  const ended = new Promise<void>((resolve) => {
    generator.onEnded = resolve;
  });
  generator.socket.write(generator.calls(1, parts));
  await ended;
  const [cpuAfter, after] = [await cpuUs(child), performance.now()];
  generator.socket.destroy();
  child.disconnect();
  const gigabytes = generator.receivedBytes / 1e9;
  return {
    bytesPerSecond: (gigabytes * 1e12) / (after - before),
    cpuMsPerGb: (cpuAfter - cpuBefore) / 1_000 / gigabytes,
  };
}

pin(process.pid, 0);
console.log(
  `| server | 1 call in flight: calls/s, CPU a call | 64 on one connection | 8 connections x 32 | download to one reader |`,
);
console.log('|---|---|---|---|---|');
for (const kind of kinds) {
  const cells: string[] = [];
  for (const [connections, inFlight] of [
    [1, 1],
    [1, 64],
    [8, 32],
  ] as const) {
    const { perSecond, cpuPerCallUs } = await unary(kind, connections, inFlight);
    cells.push(`${Math.round(perSecond / 100) / 10}k/s, ${cpuPerCallUs.toFixed(1)} us`);
  }
  const { bytesPerSecond, cpuMsPerGb } = await download(kind);
  cells.push(`${(bytesPerSecond / 1e9).toFixed(2)} GB/s, ${Math.round(cpuMsPerGb)} ms CPU a GB`);
  console.log(`| ${kind} | ${cells.join(' | ')} |`);
}
process.exit(0);
