/**
 * How long a server needs after `kill -9` under load until it answers a linearizable read, and how much memory it
 * holds: at several numbers of keys, ours beside the real etcd.
 *
 *     node --conditions=@quorate/source benchmarks/src/restart.ts --keys 100000,1000000 --etcd
 *
 * Keys are random, values 256 bytes, 10,000 leases with a key each. The server is killed while puts are under way and
 * started again on the same folder three times; the median counts. Then one lease is revoked at once, and its key
 * must be gone.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Client, connect, op } from '@quorate/client';
import {
  freePorts,
  processUsage,
  Random,
  type ServerProcess,
  startEtcd,
  startQuorate,
} from '@quorate/testing';

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '100000,1000000' },
    etcd: { type: 'boolean', default: false },
    restarts: { type: 'string', default: '3' },
    leases: { type: 'string', default: '10000' },
  },
});
const LEASES = Number(values.leases);
const PER_TXN = 100;
const WORKERS = 16;
const VALUE = 'v'.repeat(256);
const MIB = 1024 * 1024;

interface Row {
  readonly server: string;
  readonly keys: number;
  readonly loadSec: number;
  readonly loadCpuSec: number;
  readonly memoryMib: number;
  readonly memoryAfterRestartMib: number;
  readonly restartMs: number;
}

// Servers end with this process, but not when a signal ends it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const rows: Row[] = [];
for (const keys of values.keys.split(',').map(Number)) {
  rows.push(await measure('quorate', startQuorate, keys));
  if (values.etcd) rows.push(await measure('etcd', startEtcd, keys));
}
print(rows);

async function measure(server: string, start: typeof startQuorate, keys: number): Promise<Row> {
  const dataDirectory = mkdtempSync(join(tmpdir(), `restart-${server}-`));
  const [clientPort] = (await freePorts(1)) as [number];
  const options = {
    dataDirectory,
    clientPort,
    flags: ['--quota-backend-bytes=34359738368'],
    readyTimeoutMs: 120_000,
  };
  let process = await start(options);
  try {
    const begun = performance.now();
    const client = connect(process.endpoint);
    await load(client, keys);
    const leases = await grantLeases(client);
    await client.close();
    const loadSec = (performance.now() - begun) / 1000;
    const loaded = processUsage(process.pid);

    const restarts: number[] = [];
    for (let i = 0; i < Number(values.restarts); i++) {
      await killUnderLoad(process);
      const from = performance.now();
      process = await start(options);
      restarts.push(performance.now() - from);
      await revokeOne(process, leases[i] as bigint, i);
    }
    const { anonymousBytes } = processUsage(process.pid);
    return {
      server,
      keys,
      loadSec,
      loadCpuSec: loaded.cpuSec,
      memoryMib: loaded.anonymousBytes / MIB,
      memoryAfterRestartMib: anonymousBytes / MIB,
      restartMs: restarts.sort((a, b) => a - b)[restarts.length >> 1] as number,
    };
  } finally {
    await process.stop();
    rmSync(dataDirectory, { recursive: true, force: true });
  }
}

async function load(client: Client, keys: number): Promise<void> {
  const random = new Random('keys', String(keys));
  let left = Math.ceil(keys / PER_TXN);
  const worker = async () => {
    while (left-- > 0) {
      const puts = Array.from({ length: PER_TXN }, () =>
        op.put(`key/${random.uint32()}/${random.uint32()}`, VALUE),
      );
      await client.kv
        .txn()
        .do(...puts)
        .commit({ timeoutMs: 60_000 });
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, worker));
}

async function grantLeases(client: Client): Promise<bigint[]> {
  const ids: bigint[] = [];
  let next = 0;
  const worker = async () => {
    while (next < LEASES) {
      const number = next++;
      const { id } = await client.lease.grant(3600);
      ids[number] = id;
      await client.kv.put(`leased/${number}`, 'x', { lease: id });
    }
  };
  await Promise.all(Array.from({ length: WORKERS * 4 }, worker));
  return ids;
}

async function killUnderLoad(process: ServerProcess): Promise<void> {
  const client = connect({ endpoints: process.endpoint, callTimeoutMs: 2_000 });
  let running = true;
  const random = new Random('kill');
  const puts = Array.from({ length: 64 }, async () => {
    while (running) await client.kv.put(`load/${random.int(1_000_000)}`, VALUE).catch(() => {});
  });
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await process.end('SIGKILL');
  running = false;
  await client.close();
  await Promise.all(puts);
}

/** A lease revoked right after a start takes its key. */
async function revokeOne(process: ServerProcess, lease: bigint, number: number): Promise<void> {
  const client = connect(process.endpoint);
  if ((await client.kv.get(`leased/${number}`)) === null) throw new Error('a leased key was lost');
  await client.lease.revoke(lease);
  if ((await client.kv.get(`leased/${number}`)) !== null) throw new Error('a revoked lease left its key');
  await client.close();
}

function print(table: readonly Row[]): void {
  const { version, arch } = process;
  console.log(`\n${new Date().toISOString().slice(0, 10)}, Node ${version}, ${arch}`);
  console.log(
    '| server | keys | load s | load CPU s | anonymous MiB | after restart MiB | restart to first linearizable get, ms |',
  );
  console.log('|---|---|---|---|---|---|---|');
  for (const row of table) {
    console.log(
      `| ${row.server} | ${row.keys} | ${row.loadSec.toFixed(1)} | ${row.loadCpuSec.toFixed(1)} | ${row.memoryMib.toFixed(0)} | ` +
        `${row.memoryAfterRestartMib.toFixed(0)} | ${row.restartMs.toFixed(0)} |`,
    );
  }
}
