/** snapshot, hashkv, migrate and defrag of files, beside Debian's etcdctl where that has them too. */
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@quorate/client';
import { findProgram, type ServerProcess, startQuorate } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { etcdctl, ours } from './harness.ts';

const installed = findProgram('etcdctl') !== null;

/** From source, on a busy machine, a start takes its time. */
const readyTimeoutMs = 60_000;

let folder: string;
let server: ServerProcess;
let saved: string;
const endpoint = () => `--endpoints=${server.endpoint}`;

beforeAll(async () => {
  process.env.QUORATE_FROM_SOURCE = '1';
  folder = mkdtempSync(join(tmpdir(), 'quorate-ctl-'));
  saved = join(folder, 'saved.db');
  server = await startQuorate({ readyTimeoutMs });
  const client = connect(server.endpoint);
  for (let i = 0; i < 30; i++) await client.kv.put(`key-${i % 10}`, `value ${i}`);
  await client.kv.delete('key-3');
  client.close();
}, 120_000);
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('snapshot', () => {
  test('save writes the file whole, for its owner alone', async () => {
    expect(await ours({ args: [endpoint(), 'snapshot', 'save', saved] })).toEqual({
      code: 0,
      stdout: `Snapshot saved at ${saved}\nServer version 3.6.0\n`,
      stderr: '',
    });
    expect(statSync(saved).mode & 0o777).toBe(0o600);
    expect(statSync(saved).size % 512).toBe(32);
    expect(readdirSync(folder)).toEqual(['saved.db']);
  });

  test('save asks one server, and leaves nothing when that fails', async () => {
    const path = join(folder, 'failed.db');
    const several = await ours({ args: ['--endpoints=a:1,b:2', 'snapshot', 'save', path] });
    expect(several).toMatchObject({
      code: 5,
      stderr: 'Error: snapshot must be requested to one selected node, not multiple [a:1 b:2]\n',
    });
    const nobody = await ours({
      args: ['--endpoints=127.0.0.1:1', '--command-timeout=300ms', 'snapshot', 'save', path],
    });
    expect(nobody.code).toBe(5);
    expect(readdirSync(folder)).toEqual(['saved.db']);
    expect(await ours({ args: ['snapshot', 'save'] })).toMatchObject({
      code: 128,
      stderr: 'Error: snapshot save expects one argument\n',
    });
  });

  test('save replaces nothing but files, and says why it cannot save', async () => {
    const [taken, socket] = [join(folder, 'taken'), join(folder, 'socket')];
    mkdirSync(taken);
    const listener = createServer().listen(socket);
    await once(listener, 'listening');
    const save = (path: string) => ours({ args: [endpoint(), 'snapshot', 'save', path] });
    try {
      const refused = (stderr: string) => ({ code: 5, stdout: '', stderr: `Error: ${stderr}\n` });
      expect(await save(taken)).toEqual(refused(`could not save to ${taken} (is a directory)`));
      expect(await save(socket)).toEqual(refused(`could not save to ${socket} (is no regular file)`));
      const below = join(saved, 'x');
      expect(await save(below)).toEqual(
        refused(`could not open ${below}.part (open ${below}.part: not a directory)`),
      );
      expect(readdirSync(folder).sort()).toEqual(['saved.db', 'socket', 'taken']);
    } finally {
      listener.close();
      rmSync(taken, { recursive: true });
    }
  });

  test('what is no file, or may not be looked at, is not taken for missing', async () => {
    const loop = join(folder, 'loop');
    symlinkSync('loop', loop);
    const target = ['--data-dir', join(folder, 'never')];
    const run = async (...args: string[]) => {
      const { code, stderr } = await ours({ args });
      expect([code, stderr.endsWith('\n')]).toEqual([1, true]);
      return stderr.trim();
    };
    for (const words of [['status'], ['restore', ...target], ['restore', '--skip-hash-check', ...target]]) {
      const [command = '', ...rest] = words;
      expect(await run('snapshot', command, folder, ...rest)).toBe(`Error: ${folder} is no file`);
      expect(await run('snapshot', command, loop, ...rest)).toMatch(/^Error: stat .*loop: too many symbolic/);
    }
    expect(await run('hashkv', loop)).toMatch(/^Error: stat .*loop: too many symbolic/);
    expect(await run('defrag', '--data-dir', loop)).toMatch(/\(stat .*loop\/store: too many symbolic/);
    expect(await run('migrate', 'from-etcd', '--etcd-data-dir', loop, ...target)).toMatch(
      /: too many symbolic/,
    );
    const below = ['--data-dir', join(saved, 'x')];
    expect(await run('snapshot', 'restore', saved, ...below)).toMatch(/saved.db\/x: not a directory$/);
    rmSync(loop);
    expect(readdirSync(folder)).toEqual(['saved.db']);
  });

  test('status in every format', async () => {
    const json = await ours({ args: ['snapshot', 'status', saved, '-w', 'json'] });
    const status = JSON.parse(json.stdout);
    expect(status).toMatchObject({ revision: 32, totalKey: 9, version: '3.6.0' });
    expect(status.totalSize).toBe(20_480);
    expect(statSync(saved).size).toBe(20_480 + 32);
    const { hash, totalSize } = status;
    const simple = await ours({ args: ['snapshot', 'status', saved] });
    expect(simple.stdout).toBe(`${hash.toString(16)}, 32, 9, 20 kB, 3.6.0\n`);
    const fields = await ours({ args: ['snapshot', 'status', saved, '-w', 'fields'] });
    expect(fields.stdout).toBe(
      `"Hash" : ${hash}\n"Revision" : 32\n"Keys" : 9\n"Size" : ${totalSize}\n"Version" : 3.6.0\n`,
    );
    const table = await ours({ args: ['snapshot', 'status', saved, '-w', 'table'] });
    expect(table.stdout).toContain('|   HASH   | REVISION | TOTAL KEYS | TOTAL SIZE | VERSION |');
    expect((await ours({ args: ['snapshot', 'status', saved, '-w', 'protobuf'] })).code).toBe(4);
    expect(await ours({ args: ['snapshot', 'status', join(folder, 'none')] })).toMatchObject({ code: 1 });
  });

  test.skipIf(!installed)('status says what etcdctl says (needs etcdctl)', async () => {
    const theirs = JSON.parse((await etcdctl({ args: ['snapshot', 'status', saved, '-w', 'json'] })).stdout);
    const here = JSON.parse((await ours({ args: ['snapshot', 'status', saved, '-w', 'json'] })).stdout);
    // 3.4 counts the rows of every bucket as keys.
    for (const name of ['hash', 'revision', 'totalSize']) expect(here[name]).toBe(theirs[name]);
    // So does the size for people: halves go to the even side.
    const simple = (await etcdctl({ args: ['snapshot', 'status', saved] })).stdout;
    expect(simple.trim().split(', ').at(-1)).toBe('20 kB');
  });

  test('restore makes a folder that a server starts from', async () => {
    const dataDirectory = join(folder, 'restored');
    const restored = await ours({ args: ['snapshot', 'restore', saved, '--data-dir', dataDirectory] });
    expect(restored).toEqual({
      code: 0,
      stdout: '',
      stderr: `restored ${saved} to ${dataDirectory}: member 8e9e05c52164694d, cluster cdf818194e3a8c32, revision 32\n`,
    });
    const again = await startQuorate({ dataDirectory, readyTimeoutMs });
    try {
      const hash = (at: string) => ours({ args: [`--endpoints=${at}`, 'endpoint', 'hashkv', '-w', 'json'] });
      const of = async (at: string) => JSON.parse((await hash(at)).stdout)[0].HashKV.hash;
      expect(await of(again.endpoint)).toBe(await of(server.endpoint));
      // The folder of a running member is left alone.
      const defrag = await ours({ args: ['defrag', '--data-dir', dataDirectory] });
      expect(defrag).toMatchObject({
        code: 1,
        stderr: `Error: Failed to defragment etcd data[${dataDirectory}] (another process uses ${dataDirectory})\n`,
      });
    } finally {
      await again.stop();
    }
    expect(await ours({ args: ['defrag', '--data-dir', dataDirectory] })).toEqual({
      code: 0,
      stdout: '',
      stderr: '',
    });
    const hashOfFile = await ours({ args: ['hashkv', saved, '--rev=20'] });
    expect(hashOfFile.stdout).toMatch(/^\d+, 20, -1\n$/);
    expect((await ours({ args: ['hashkv', dataDirectory, '--rev=20'] })).stdout).toBe(hashOfFile.stdout);
  }, 120_000);

  test('restore refuses a folder with something in it, a damaged file, and half of a pair of flags', async () => {
    const refused = (args: string[]) => ours({ args: ['snapshot', 'restore', ...args] });
    expect(await refused([saved, '--data-dir', folder])).toMatchObject({
      code: 1,
      stderr: `Error: data-dir "${folder}" not empty or could not be read\n`,
    });
    const damaged = join(folder, 'damaged.db');
    const bytes = readFileSync(saved);
    bytes.writeUInt8(0x7f, 5000);
    writeFileSync(damaged, bytes);
    const target = join(folder, 'refused');
    expect((await refused([damaged, '--data-dir', target])).stderr).toMatch(/^Error: expected sha256 \[/);
    expect((await refused([saved, '--data-dir', target, '--bump-revision=5'])).code).toBe(128);
    expect((await refused([saved, '--data-dir', target, '--name=other'])).code).toBe(128);
    expect((await refused([])).code).toBe(128);
    expect(existsSync(target) ? readdirSync(target) : []).toEqual([]);
  });

  test('migrate says what is missing', async () => {
    const migrate = (args: string[]) => ours({ args: ['migrate', 'from-etcd', ...args] });
    expect(await migrate([])).toMatchObject({ code: 128, stderr: 'Error: --etcd-data-dir is required\n' });
    expect(await migrate(['--etcd-data-dir', folder])).toMatchObject({
      code: 1,
      stderr: `Error: ${folder} is no data folder of etcd: it has no member/snap/db\n`,
    });
  });
});
