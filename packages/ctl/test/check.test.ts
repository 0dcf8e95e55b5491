/** check perf and check datascale with loads that fit a test; the real loads are a minute long. */
import { Readable } from 'node:stream';
import { connect, prefix } from '@quorate/client';
import { findProgram, type ServerProcess, startEtcd } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CommandLine } from '../src/command.ts';
import { checkDataScale, checkPerf, judgePerf, spreadOf } from '../src/commands/check.ts';
import { Context } from '../src/context.ts';
import { FlagValues } from '../src/flags.ts';
import { globalFlags } from '../src/globals.ts';
import { checks } from '../src/registry-concurrency.ts';
import { ours } from './harness.ts';

const installed = findProgram('etcd') !== null;
if (!installed) console.warn('SKIPPED: etcd is not installed, so nothing was checked');

type Work = (context: Context, line: CommandLine, load: never) => Promise<void>;

test('as many samples as the largest load makes have a slowest one and a deviation', () => {
  const samples = Array.from({ length: 900_000 }, (_, i) => (i % 2 === 0 ? 0.001 : 0.003));
  const { slowest, deviation } = spreadOf(samples);
  expect(slowest).toBe(0.003);
  expect(deviation).toBeCloseTo(0.001);
  expect(spreadOf([])).toEqual({ slowest: 0, deviation: 0 });
});

test('perf is judged by throughput, slowest request, deviation and errors', () => {
  const load = { writesPerSec: 10, clients: 1, seconds: 1 };
  const none = new Map<string, number>();
  expect(judgePerf(load, { elapsedSec: 1, tookSec: Array(10).fill(0.25), errors: none })).toEqual({
    ok: true,
    text: 'PASS: Throughput is 11 writes/s\nPASS: Slowest request took 0.250000s\nPASS: Stddev is 0.000000s\nPASS\n',
  });
  const errors = new Map([['etcdserver: request timed out', 2]]);
  expect(judgePerf(load, { elapsedSec: 2, tookSec: [0.125, 0.625], errors })).toEqual({
    ok: false,
    text: [
      'FAIL: too many errors',
      'FAIL: ERROR(etcdserver: request timed out) -> 2',
      'FAIL: Throughput too low: 2 writes/s',
      'Slowest request took too long: 0.625000s',
      'Stddev too high: 0.250000s',
      'FAIL',
      '',
    ].join('\n'),
  });
});

describe.skipIf(!installed)('check', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startEtcd();
  });
  afterAll(() => server?.stop());

  /** Runs `work` as the command of that name. @returns what it printed, and the code it ended with */
  async function run(name: string, given: Record<string, string>, work: Work, load: object) {
    let stdout = '';
    const io = {
      stdin: Readable.from([]),
      env: {},
      stdout: (bytes: string | Uint8Array) => {
        stdout += Buffer.from(bytes).toString();
      },
      stderr() {},
    };
    const context = new Context(io, new FlagValues(globalFlags, new Map([['endpoints', server.endpoint]])));
    const command = checks.commands.find((one) => one.name === name)!;
    const flags = new FlagValues(command.flags, new Map(Object.entries(given)));
    try {
      await work(context, { args: [], separator: null, flags }, load as never);
      return { stdout, code: 0 };
    } catch (error) {
      return { stdout, code: (error as { exitCode: number }).exitCode };
    } finally {
      context.close();
    }
  }
  const left = async (name: string) => {
    await using client = connect(server.endpoint);
    return await client.kv.count(prefix(name));
  };

  test('perf: judged by the rate that was asked for, and cleaned up', async () => {
    // Whether it passes is up to the machine.
    const easy = await run('perf', {}, checkPerf, { writesPerSec: 20, clients: 5, seconds: 1 });
    expect(easy.stdout).toMatch(/^(PASS: Throughput is|FAIL: Throughput too low:) \d+ writes\/s\n/);
    expect(easy.stdout).toMatch(easy.code === 0 ? /\nPASS\n$/ : /\nFAIL\n$/);
    const given = { 'auto-compact': 'true', 'auto-defrag': 'true', prefix: '/mine/' };
    const hard = await run('perf', given, checkPerf, { writesPerSec: 1e9, clients: 2, seconds: 0.2 });
    expect(hard).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/FAIL: Throughput too low: \d+ writes\/s/),
    });
    expect(hard.stdout).toMatch(
      /^Compacting with revision \d+\nCompacted .*\nDefragmenting .*\nDefragmented /,
    );
    expect(hard.stdout).toMatch(/\nFAIL\n$/);
    expect([await left('/etcdctl-check-perf/'), await left('/mine/')]).toEqual([0, 0]);
  });

  test('datascale: the memory that the keys took', async () => {
    const { code, stdout } = await run('datascale', {}, checkDataScale, { keys: 200, clients: 10 });
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^Start data scale check for work load \[200 key-value pairs, 1024 bytes per key-value, 10 concurrent clients\]\.\nPASS: Approximate system memory used : \d+\.\d\d MB\.\n$/,
    );
    expect(await left('/etcdctl-check-datascale/')).toBe(0);
  });

  test('a prefix with keys is left alone', async () => {
    await using client = connect(server.endpoint);
    await client.kv.put('/used/key', 'mine');
    const args = ['--endpoints', server.endpoint, 'check', 'perf', '--prefix=/used/'];
    expect(await ours({ args })).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringContaining('has keys'),
    });
    expect(await left('/used/')).toBe(1);
  });
});
