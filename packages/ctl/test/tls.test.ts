/** quoratectl and TLS: a server with a certificate of its own making. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram, freePorts } from '@quorate/testing';
import { spawnBound } from '@quorate/testing/child';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ours } from './harness.ts';

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
    const plain = await ours({ args: ['get', 'k', '--endpoints', endpoint, '--command-timeout', '500ms'] });
    expect(plain).toMatchObject({ code: 1, stdout: '' });
  });
});
