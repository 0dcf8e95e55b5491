/**
 * check perf and check datascale: does the cluster carry a load of a known size?
 *
 * perf       writes at a fixed rate for a minute: throughput, slowest request and deviation have limits
 * datascale  writes so many keys, and tells how much memory the member took for them
 *
 * What was written is deleted again. Texts, loads and limits are etcdctl's.
 */
import { randomBytes } from 'node:crypto';
import { type Client, prefix as withPrefix } from '@quorate/client';
import type { CommandLine, Run } from '../command.ts';
import type { Context } from '../context.ts';
import { CommandError, callErrorText, ExitCode } from '../exit.ts';
import { encodeRaw } from '../raw-text.ts';

export interface PerfLoad {
  readonly writesPerSec: number;
  readonly clients: number;
  readonly seconds: number;
}

const PERF_LOADS: Readonly<Record<string, PerfLoad>> = {
  s: { writesPerSec: 150, clients: 50, seconds: 60 },
  m: { writesPerSec: 1000, clients: 200, seconds: 60 },
  l: { writesPerSec: 8000, clients: 500, seconds: 60 },
  xl: { writesPerSec: 15_000, clients: 1000, seconds: 60 },
};
const SCALE_LOADS: Readonly<Record<string, { readonly keys: number; readonly clients: number }>> = {
  s: { keys: 10_000, clients: 50 },
  m: { keys: 100_000, clients: 200 },
  l: { keys: 1_000_000, clients: 500 },
  xl: { keys: 3_000_000, clients: 1000 },
};
const ALIASES: Readonly<Record<string, string>> = {
  small: 's',
  medium: 'm',
  large: 'l',
  xlarge: 'xl',
  xLarge: 'xl',
};

const PERF_KEY_BYTES = 256;
const PERF_VALUE_BYTES = 1024;
const SCALE_BYTES = 512;
const NO_LIMIT = { timeoutMs: 60_000 };

function loadOf<T>(loads: Readonly<Record<string, T>>, { flags }: CommandLine): T {
  const name = flags.string('load');
  const found = loads[ALIASES[name] ?? name];
  if (found === undefined) throw new CommandError(ExitCode.BAD_FEATURE, `unknown load option ${name}`);
  return found;
}

export const perf: Run = async (context, line) => {
  await checkPerf(context, line, loadOf(PERF_LOADS, line));
};

/** The same with a load of one's own: a minute is long for a test. */
export async function checkPerf(context: Context, line: CommandLine, load: PerfLoad): Promise<void> {
  const client = await context.client();
  const prefix = encodeRaw(line.flags.string('prefix'));
  await refuseUsed(client, line.flags.string('prefix'), 'perf');
  const value = randomBytes(PERF_VALUE_BYTES);
  const total = load.writesPerSec * load.seconds;
  const startMs = performance.now();
  let sent = 0;
  const tookSec: number[] = [];
  const errors = new Map<string, number>();
  await together(load.clients, async () => {
    while (sent < total && performance.now() - startMs < load.seconds * 1000) {
      // The n-th write is due at its share of the time; until then this client waits.
      const dueMs = startMs + (sent++ * 1000) / load.writesPerSec;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await pause(waitMs);
      const key = Buffer.concat([prefix, randomBytes(PERF_KEY_BYTES)]);
      const beganMs = performance.now();
      try {
        await client.kv.put(key, value);
        tookSec.push((performance.now() - beganMs) / 1000);
      } catch (error) {
        count(errors, callErrorText(error));
      }
    }
  });
  const elapsedSec = (performance.now() - startMs) / 1000;
  await cleanUp(context, client, line);
  const { ok, text } = judgePerf(load, { elapsedSec, tookSec, errors });
  context.io.stdout(text);
  if (!ok) throw new CommandError(ExitCode.ERROR, '');
}

/** What the load came to. */
export function judgePerf(
  load: PerfLoad,
  measured: {
    readonly elapsedSec: number;
    /** Of each write that was answered. */
    readonly tookSec: readonly number[];
    readonly errors: ReadonlyMap<string, number>;
  },
): { readonly ok: boolean; readonly text: string } {
  const { elapsedSec, tookSec, errors } = measured;
  const lines: string[] = [];
  let ok = true;
  const judge = (good: boolean, pass: string, fail: string): void => {
    lines.push(good ? `PASS: ${pass}` : fail);
    ok &&= good;
  };
  if (errors.size > 0) {
    judge(false, '', 'FAIL: too many errors');
    for (const [text, times] of errors) lines.push(`FAIL: ERROR(${text}) -> ${times}`);
  }
  const rate = tookSec.length / elapsedSec;
  const whole = Math.floor(rate) + 1;
  const { slowest, deviation } = spreadOf(tookSec);
  judge(
    rate / load.writesPerSec > 0.9,
    `Throughput is ${whole} writes/s`,
    `FAIL: Throughput too low: ${whole} writes/s`,
  );
  judge(
    slowest <= 0.5,
    `Slowest request took ${slowest.toFixed(6)}s`,
    `Slowest request took too long: ${slowest.toFixed(6)}s`,
  );
  judge(deviation <= 0.1, `Stddev is ${deviation.toFixed(6)}s`, `Stddev too high: ${deviation.toFixed(6)}s`);
  lines.push(ok ? 'PASS' : 'FAIL');
  return { ok, text: lines.map((line) => `${line}\n`).join('') };
}

export const dataScale: Run = async (context, line) => {
  await checkDataScale(context, line, loadOf(SCALE_LOADS, line));
};

export async function checkDataScale(
  context: Context,
  line: CommandLine,
  load: { readonly keys: number; readonly clients: number },
): Promise<void> {
  const endpoints = await context.endpoints();
  const client = await context.client();
  const prefix = encodeRaw(line.flags.string('prefix'));
  await refuseUsed(client, line.flags.string('prefix'), 'datascale');
  const before = await residentBytes(endpoints);
  context.io.stdout(
    `Start data scale check for work load [${load.keys} key-value pairs, ${2 * SCALE_BYTES} bytes per key-value, ${load.clients} concurrent clients].\n`,
  );
  let sent = 0;
  const errors = new Map<string, number>();
  await together(load.clients, async () => {
    while (sent < load.keys) {
      sent += 1;
      const key = Buffer.concat([prefix, randomBytes(SCALE_BYTES)]);
      await client.kv
        .put(key, randomBytes(SCALE_BYTES))
        .catch((error: unknown) => count(errors, callErrorText(error)));
    }
  });
  const after = await residentBytes(endpoints);
  await cleanUp(context, client, line);
  if (errors.size > 0) {
    context.io.stdout('FAIL: too many errors\n');
    for (const [text, times] of errors) context.io.stdout(`FAIL: ERROR(${text}) -> ${times}\n`);
    throw new CommandError(ExitCode.ERROR, '');
  }
  const mebibytes = (Math.max(0, after - before) / (1024 * 1024)).toFixed(2);
  context.io.stdout(`PASS: Approximate system memory used : ${mebibytes} MB.\n`);
}

async function refuseUsed(client: Client, prefix: string, check: string): Promise<void> {
  if ((await client.kv.count(withPrefix(encodeRaw(prefix)), { limit: 1 })) === 0) return;
  const quoted = JSON.stringify(prefix);
  throw new CommandError(
    ExitCode.INVALID_INPUT,
    `prefix ${quoted} has keys. Delete with 'quoratectl del --prefix ${prefix}' first, or choose another --prefix for check ${check}`,
  );
}

async function cleanUp(context: Context, client: Client, { flags }: CommandLine): Promise<void> {
  const { header } = await client.kv.delete(withPrefix(encodeRaw(flags.string('prefix'))), NO_LIMIT);
  if (flags.bool('auto-compact')) {
    context.io.stdout(`Compacting with revision ${header.revision}\n`);
    await client.kv.compact(header.revision, { physical: true, ...NO_LIMIT });
    context.io.stdout(`Compacted with revision ${header.revision}\n`);
  }
  if (!flags.bool('auto-defrag')) return;
  for (const endpoint of await context.endpoints()) {
    context.io.stdout(`Defragmenting ${JSON.stringify(endpoint)}\n`);
    await (await context.client([endpoint])).maintenance.defragment(NO_LIMIT);
    context.io.stdout(`Defragmented ${JSON.stringify(endpoint)}\n`);
  }
}

/** Of the first endpoint whose metrics can be read. */
async function residentBytes(endpoints: readonly string[]): Promise<number> {
  for (const endpoint of endpoints) {
    const url = /^https?:/.test(endpoint) ? endpoint : `http://${endpoint}`;
    try {
      const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(5000) });
      const match = /^process_resident_memory_bytes (\S+)$/m.exec(await response.text());
      if (match !== null) return Number(match[1]);
    } catch {
      // The next endpoint may answer.
    }
  }
  throw new CommandError(
    ExitCode.ERROR,
    `could not read process_resident_memory_bytes from /metrics of ${endpoints.join(',')}`,
  );
}

async function together(clients: number, work: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: clients }, work));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function count(errors: Map<string, number>, text: string): void {
  errors.set(text, (errors.get(text) ?? 0) + 1);
}

/** @param values up to a million: more than a call can have arguments */
export function spreadOf(values: readonly number[]): { slowest: number; deviation: number } {
  if (values.length === 0) return { slowest: 0, deviation: 0 };
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const slowest = values.reduce((most, value) => Math.max(most, value));
  return { slowest, deviation: Math.sqrt(squares / values.length) };
}
