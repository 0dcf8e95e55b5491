/**
 * Three members configured by environment variables alone, as the compose files that users have for etcd do it:
 * with the image's name changed, they form a cluster.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@quorate/client';
import { freePorts, serverCommand, spawnBound } from '@quorate/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

const NAMES = ['etcd1', 'etcd2', 'etcd3'] as const;
let folder: string;
let endpoints: string[];
const members: ChildProcess[] = [];
const output: string[] = ['', '', ''];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-compose-'));
  const ports = await freePorts(6);
  const clientUrls = NAMES.map((_, at) => `http://127.0.0.1:${ports[at]}`);
  const peerUrls = NAMES.map((_, at) => `http://127.0.0.1:${ports[at + 3]}`);
  endpoints = clientUrls.map((url) => url.slice('http://'.length));
  const { program, leading } = serverCommand('quorate');
  NAMES.forEach((name, at) => {
    const child = spawnBound(program, leading, {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env.PATH,
        ETCD_NAME: name,
        ETCD_DATA_DIR: join(folder, `${name}-data`),
        ETCD_LISTEN_CLIENT_URLS: clientUrls[at],
        ETCD_ADVERTISE_CLIENT_URLS: clientUrls[at],
        ETCD_LISTEN_PEER_URLS: peerUrls[at],
        ETCD_INITIAL_ADVERTISE_PEER_URLS: peerUrls[at],
        ETCD_INITIAL_CLUSTER: NAMES.map((other, i) => `${other}=${peerUrls[i]}`).join(','),
        ETCD_INITIAL_CLUSTER_STATE: 'new',
        ETCD_INITIAL_CLUSTER_TOKEN: 'compose-cluster',
        ETCD_HEARTBEAT_INTERVAL: '250',
        ETCD_ELECTION_TIMEOUT: '1250',
        ETCD_AUTO_COMPACTION_MODE: 'periodic',
        ETCD_AUTO_COMPACTION_RETENTION: '1',
        ETCD_QUOTA_BACKEND_BYTES: '4294967296',
        ETCD_SNAPSHOT_COUNT: '10000',
        ETCD_MAX_REQUEST_BYTES: '10485760',
        ETCD_LOG_LEVEL: 'warn',
        ETCDCTL_API: '3',
      },
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      output[at] += chunk.toString();
    });
    members.push(child);
  });
});

afterAll(async () => {
  await Promise.all(
    members.map(
      (child) =>
        new Promise<void>((resolve) => {
          if (child.exitCode !== null || child.signalCode !== null) return resolve();
          child.once('exit', () => resolve());
          child.kill('SIGKILL');
        }),
    ),
  );
  rmSync(folder, { recursive: true, force: true });
});

test('ETCD_ variables make a cluster of three that serves reads and writes at each member', async () => {
  for (const [at, endpoint] of endpoints.entries()) {
    const client = connect(endpoint);
    try {
      await eventually(
        () => client.kv.put(`key-${at}`, NAMES[at]!),
        () => output[at]!,
      );
    } finally {
      await client.close();
    }
  }
  const client = connect({ endpoints });
  try {
    expect((await client.cluster.memberList()).members.map(({ name }) => name).sort()).toEqual([...NAMES]);
    expect((await client.kv.get('key-2'))?.text).toBe('etcd3');
  } finally {
    await client.close();
  }
});

/** A member that is starting refuses; how long that takes depends on the machine alone. */
async function eventually(attempt: () => Promise<unknown>, explain: () => string): Promise<void> {
  let failure: unknown;
  for (let round = 0; round < 60; round++) {
    try {
      await attempt();
      return;
    } catch (error) {
      failure = error;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
  throw new Error(`the member never served: ${failure}\n${explain()}`);
}
