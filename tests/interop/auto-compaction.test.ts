/** Automatic compaction as users switch it on: by flags, on a server of its own, ours and etcd's. */
import { connect } from '@quorate/client';
import { findProgram, startEtcd, startQuorate } from '@quorate/testing';
import { describe, expect, it, onTestFinished, vi } from 'vitest';

const kinds = ['quorate', ...(findProgram('etcd') === null ? [] : ['etcd'])];
if (kinds.length === 1) console.warn('SKIPPED: etcd is not installed: our automatic compaction runs alone');

describe.each(kinds)('%s', (kind) => {
  it('sem-078 forgets what is older than the period, and keeps what is there', async () => {
    const flags = ['--auto-compaction-mode=periodic', '--auto-compaction-retention=1s'];
    const server = await (kind === 'etcd' ? startEtcd({ flags }) : startQuorate({ flags }));
    onTestFinished(() => server.stop());
    await using client = connect(server.endpoint);
    const first = await client.kv.put('a', '1');
    await client.kv.put('b', 'stays');
    // Every write makes something to compact; the first compaction comes after a whole period.
    await vi.waitFor(
      async () => {
        await client.kv.put('a', 'again');
        const old = client.kv.get('a', { revision: first.header.revision });
        await expect(old).rejects.toMatchObject({ code: 'COMPACTED' });
      },
      { timeout: 20_000, interval: 100 },
    );
    expect((await client.kv.get('b'))?.text).toBe('stays');
  }, 60_000);
});
