/** quoratectl and TLS: a server with a certificate of its own making. */
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram, freePorts } from '@quorate/testing';
import { spawnBound } from '@quorate/testing/child';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ours } from './harness.ts';

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));

const installed = findProgram('etcd') !== null;
if (!installed) console.warn('etcd is not installed (package etcd-server): quoratectl is not run over TLS');

describe.skipIf(!installed)('quoratectl over TLS', () => {
  let folder: string;
  let endpoint: string;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ctl-tls-'));
    const [client, peer] = await freePorts(2);
    endpoint = `127.0.0.1:${client}`;
    const url = `https://${endpoint}`;
    const child = spawnBound(
      'etcd',
      [
        '--auto-tls',
        `--data-dir=${folder}/data`,
        `--listen-client-urls=${url}`,
        `--advertise-client-urls=${url}`,
        `--listen-peer-urls=http://127.0.0.1:${peer}`,
      ],
      { stdio: 'ignore' },
    );
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    stop = async () => {
      child.kill('SIGKILL');
      await ended;
    };
  });
  afterAll(async () => {
    await stop?.();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  test('with a certificate that is not checked, with the one that signs it, and without', async () => {
    const skip = ['--endpoints', endpoint, '--insecure-skip-tls-verify', '--command-timeout', '15s'];
    expect(await ours({ args: ['put', 'k', 'v', ...skip] })).toEqual({ code: 0, stdout: 'OK\n', stderr: '' });
    const certificate = join(folder, 'data/fixtures/client/cert.pem');
    expect(existsSync(certificate)).toBe(true);
    const checked = ['--endpoints', `https://${endpoint}`, '--cacert', certificate];
    expect(await ours({ args: ['get', 'k', ...checked] })).toMatchObject({ code: 0, stdout: 'k\nv\n' });

    const unchecked = ['--endpoints', `https://${endpoint}`, '--command-timeout', '500ms'];
    const refused = await ours({ args: ['get', 'k', ...unchecked] });
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('certificate');
    const plain = await ours({ args: ['get', 'k', '--endpoints', endpoint, '--command-timeout', '3s'] });
    expect(plain).toMatchObject({ code: 1, stdout: '' });
    expect(plain.stderr).toMatch(/^Error: context deadline exceeded \(no connection to [^\n]*\)\n$/);
    expect(plain.stderr).toContain('does it want TLS (--cacert, https://)?');

    // As a process: nothing of what Node thinks of its libraries.
    const words = ['--conditions=@quorate/source', main, 'get', 'k', ...checked];
    const child = spawnBound(process.execPath, words, { env: { PATH: process.env.PATH ?? '' } });
    let errors = '';
    child.stderr.on('data', (bytes: Buffer) => {
      errors += bytes.toString();
    });
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0);
    expect(errors).toBe('');
  });

  test('files that are no certificate, no key, or do not belong together', async () => {
    const junk = join(folder, 'junk.pem');
    writeFileSync(junk, 'junk');
    const get = (...flags: string[]) => ours({ args: ['get', 'k', '--endpoints', endpoint, ...flags] });
    const refused = (text: string) => ({ code: 128, stdout: '', stderr: `Error: ${text}\n` });
    expect(await get('--cacert', junk)).toEqual(refused(`tls: failed to find a certificate in ${junk}`));
    expect(await get('--cert', junk, '--key', junk)).toEqual(
      refused(`tls: failed to find a certificate in ${junk}`),
    );
    const [cert, key] = ['cert', 'key'].map((name) => join(folder, `data/fixtures/client/${name}.pem`)) as [
      string,
      string,
    ];
    expect(await get('--cert', cert, '--key', junk)).toEqual(
      refused(`tls: failed to find an unencrypted private key in ${junk}`),
    );
    const other = join(folder, 'other.pem');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    writeFileSync(other, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    expect(await get('--cert', cert, '--key', other)).toEqual(
      refused('tls: private key does not match public key'),
    );
    const mirror = await ours({ args: ['make-mirror', 'x', '--dest-cert', cert, '--dest-key', other] });
    expect(mirror).toEqual(refused('tls: private key does not match public key'));
    expect(existsSync(key)).toBe(true);
  });
});
