/** case-51 with real processes: three members restored from one snapshot form one cluster, and a member that joins it gets what was restored. */

import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@quorate/client';
import { services } from '@quorate/proto';
import { Cluster } from '@quorate/testing';
import { expect, test } from 'vitest';
import { parseInitialCluster, restoreSnapshot } from '../../src/offline/index.ts';

const CLUSTER_TOKEN = 'restored';

test('case-51 members restored from one snapshot form one cluster', async () => {
  process.env.QUORATE_FROM_SOURCE = '1';
  const folder = mkdtempSync(join(tmpdir(), 'quorate-restored-'));
  const cluster = await Cluster.start({ kind: 'quorate', size: 3 });
  try {
    const client = connect(cluster.members[0]!.endpoint);
    let revision = 0;
    for (let i = 0; i < 200; i++)
      revision = (await client.kv.put(`key-${i % 50}`, `value ${i}`)).header.revision;
    const { hash } = await client.maintenance.hashKv(revision);
    const snapshotPath = join(folder, 'snapshot.db');
    const leader = await cluster.waitForLeader();
    const one = connect(leader.endpoint);
    const parts: Uint8Array[] = [];
    for await (const part of one.maintenance.snapshot()) parts.push(part.bytes);
    one.close();
    client.close();
    writeFileSync(snapshotPath, Buffer.concat(parts));
    expect(
      createHash('sha256')
        .update(Buffer.concat(parts.slice(0, -1)))
        .digest(),
    ).toEqual(Buffer.from(parts.at(-1)!));

    const initial = cluster.initialCluster(cluster.members);
    const made = [];
    for (const member of cluster.members) {
      await member.end('SIGKILL');
      rmSync(member.dataDirectory, { recursive: true });
      made.push(
        await restoreSnapshot({
          snapshotPath,
          dataDirectory: member.dataDirectory,
          walDirectory: null,
          name: member.name,
          initialCluster: parseInitialCluster(initial),
          initialClusterToken: CLUSTER_TOKEN,
          peerUrls: [member.peerUrl],
          skipHashCheck: false,
          bumpRevision: 0,
          markCompacted: false,
        }),
      );
    }
    for (const member of cluster.members) member.start({ initial, state: 'new' });
    await cluster.waitUntilServing(cluster.members);
    const list = await cluster.memberList(cluster.members[0]!);
    expect(list.map(({ ID }) => ID).sort()).toEqual(made.map(({ memberId }) => memberId).sort());
    for (const member of cluster.members) {
      const asked = connect(member.endpoint);
      expect((await asked.maintenance.hashKv(revision)).hash).toBe(hash);
      expect((await asked.kv.put(`after-${member.name}`, '1')).header.revision).toBeGreaterThan(revision);
      asked.close();
    }

    // The log of the new cluster begins behind the restored state: who joins gets a snapshot.
    const joining = await cluster.prepare('m4');
    const { MemberAdd } = services['etcdserverpb.Cluster'];
    const add = async (): Promise<string> => {
      const request = { peerURLs: [joining.peerUrl] };
      const result = await cluster.observer(cluster.members[0]!).call(MemberAdd, request, 5_000);
      return result.ok ? 'added' : result.error;
    };
    // Until its members have been in touch for five seconds a cluster takes nobody in.
    await expect.poll(add, { timeout: 60_000, interval: 500 }).toBe('added');
    joining.start({ initial: cluster.initialCluster(cluster.members), state: 'existing' });
    await cluster.waitUntilServing([joining]);
    const joined = connect(joining.endpoint);
    expect((await joined.maintenance.hashKv(revision)).hash).toBe(hash);
    joined.close();
  } finally {
    await cluster.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}, 300_000);
