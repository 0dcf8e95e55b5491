/**
 * Clients that others wrote, unchanged: etcdctl 3.4, python3-etcd3 and npm's etcd3 (all of which come from elsewhere).
 * A missing program is said and skipped.
 */
import { findProgram, type ServerProcess, startQuorate } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { node, run } from './support/run.ts';

process.env.QUORATE_FROM_SOURCE ??= '1';

let server: ServerProcess;
beforeAll(async () => {
  server = await startQuorate({ flags: ['--quota-backend-bytes=33554432'] });
});
afterAll(() => server?.stop());

const etcdctl = findProgram('etcdctl');

async function ctl(args: string[], input = ''): Promise<string> {
  const ended = await run(etcdctl!, ['--endpoints', server.endpoint, ...args], {
    env: { ETCDCTL_API: '3' },
    input,
  });
  if (ended.code !== 0) throw new Error(ended.stderr);
  return ended.stdout;
}

describe.skipIf(etcdctl === null)(
  etcdctl === null ? 'etcdctl (skipped: not installed, package etcd-client)' : 'etcdctl',
  () => {
    test('put, get, del', async () => {
      expect(await ctl(['put', 'ctl/a', '1'])).toBe('OK\n');
      expect(await ctl(['put', 'ctl/b', '2', '--prev-kv'])).toBe('OK\n');
      expect(await ctl(['put', 'ctl/b', '3', '--prev-kv'])).toBe('OK\nctl/b\n2\n');
      expect(await ctl(['get', 'ctl/', '--prefix'])).toBe('ctl/a\n1\nctl/b\n3\n');
      expect(await ctl(['get', 'ctl/', '--prefix', '--keys-only', '--order=DESCEND', '--sort-by=KEY'])).toBe(
        'ctl/b\n\nctl/a\n\n',
      );
      expect(await ctl(['get', 'ctl/', '--prefix', '--limit=1', '--write-out=fields'])).toContain(
        '"Count" : 2',
      );
      expect(await ctl(['del', 'ctl/', '--prefix', '--prev-kv'])).toBe('2\nctl/a\n1\nctl/b\n3\n');
    });

    test('an error keeps its text', async () => {
      await expect(ctl(['get', 'ctl/a', '--rev=1000000'])).rejects.toThrow(
        'etcdserver: mvcc: required revision is a future revision',
      );
      await expect(ctl(['put', 'ctl/a', '--ignore-value'])).rejects.toThrow('etcdserver: key not found');
    });

    test('txn', async () => {
      const program = 'version("ctl/t") = "0"\n\nput ctl/t first\nget ctl/t\n\nget ctl/t\n\n';
      expect(await ctl(['txn'], program)).toBe('SUCCESS\n\nOK\n\nctl/t\nfirst\n');
      expect(await ctl(['txn'], program)).toBe('FAILURE\n\nctl/t\nfirst\n');
    });

    test('watch from a revision', async () => {
      const put = JSON.parse(await ctl(['put', 'ctl/w', '1', '-w', 'json'])) as {
        header: { revision: number };
      };
      await ctl(['put', 'ctl/w', '2']);
      await ctl(['del', 'ctl/w']);
      const wanted = 'PUT\nctl/w\n1\nPUT\nctl/w\n2\nDELETE\nctl/w\n\n';
      const args = ['--endpoints', server.endpoint, 'watch', 'ctl/w', `--rev=${put.header.revision}`];
      const ended = await run(etcdctl!, args, {
        env: { ETCDCTL_API: '3' },
        onOutput: (text, kill) => {
          if (text.length >= wanted.length) kill('SIGKILL');
        },
      });
      expect(ended.stdout).toBe(wanted);
    });

    test('leases', async () => {
      const granted = await ctl(['lease', 'grant', '600']);
      const id = /^lease ([0-9a-f]+) granted with TTL\(600s\)/.exec(granted)?.[1];
      expect(id).toBeDefined();
      await ctl(['put', 'ctl/l', '1', `--lease=${id}`]);
      expect(await ctl(['lease', 'list'])).toContain(id);
      expect(await ctl(['lease', 'timetolive', id!, '--keys'])).toMatch(
        /granted with TTL\(600s\), remaining\((600|599)s\), attached keys\(\[ctl\/l\]\)/,
      );
      expect(await ctl(['lease', 'keep-alive', '--once', id!])).toContain('keepalived with TTL(600)');
      expect(await ctl(['lease', 'revoke', id!])).toBe(`lease ${id} revoked\n`);
      expect(await ctl(['get', 'ctl/l'])).toBe('');
    });

    test('compaction, endpoint status, health and hashkv', async () => {
      const { header } = JSON.parse(await ctl(['put', 'ctl/c', '1', '-w', 'json'])) as {
        header: { revision: number };
      };
      expect(await ctl(['compaction', String(header.revision), '--physical'])).toContain(
        'compacted revision',
      );
      await expect(ctl(['get', 'ctl/c', `--rev=${header.revision - 1}`])).rejects.toThrow(
        'required revision has been compacted',
      );
      const [status] = JSON.parse(await ctl(['endpoint', 'status', '-w', 'json'])) as {
        Status: { version: string; leader: number; raftTerm: number; dbSize: number };
      }[];
      expect(status?.Status).toMatchObject({ version: '3.7.0' });
      expect(status?.Status.leader).toBeGreaterThan(0);
      expect(await ctl(['endpoint', 'hashkv'])).toMatch(new RegExp(`^${server.endpoint}, \\d+\n$`));
      expect(
        (
          await run(etcdctl!, ['--endpoints', server.endpoint, 'endpoint', 'health'], {
            env: { ETCDCTL_API: '3' },
          })
        ).code,
      ).toBe(0);
    });

    test('members, alarms, defragmentation', async () => {
      expect(await ctl(['member', 'list'])).toMatch(
        /^[0-9a-f]+, started, default, http:.*, http:.*, false\n$/,
      );
      expect(await ctl(['alarm', 'list'])).toBe('');
      expect(await ctl(['alarm', 'disarm'])).toBe('');
      expect(await ctl(['defrag'])).toContain('Finished defragmenting etcd member');
    });

    test('elections and locks, which live in the client', async () => {
      const ended = await run(
        etcdctl!,
        ['--endpoints', server.endpoint, 'lock', 'ctl/lock', 'echo', 'held'],
        {
          env: { ETCDCTL_API: '3' },
        },
      );
      expect(ended).toMatchObject({ code: 0 });
      expect(ended.stdout).toContain('held');
    });
  },
);

const python = findProgram('python3') === null ? null : '/usr/bin/python3';
const hasEtcd3 =
  python !== null && (await run(python, ['-c', 'import etcd3']).catch(() => ({ code: 1 }))).code === 0;

const PYTHON = `
import etcd3, sys, threading
host, port = sys.argv[1].split(':')
client = etcd3.client(host=host, port=int(port))
client.put('py/a', '1')
value, meta = client.get('py/a')
assert value == b'1' and meta.version == 1, (value, meta)
assert client.get('py/none') == (None, None)
assert client.replace('py/a', '1', '2')
assert not client.replace('py/a', '1', '3')
assert client.put_if_not_exists('py/b', 'x')
assert not client.put_if_not_exists('py/b', 'y')
assert [v for v, _ in client.get_prefix('py/')] == [b'2', b'x']
ok, responses = client.transaction(
    compare=[client.transactions.value('py/a') == '2', client.transactions.version('py/none') == 0],
    success=[client.transactions.put('py/c', '3'), client.transactions.get('py/c')],
    failure=[])
assert ok and responses[1][0][0] == b'3', responses
lease = client.lease(60)
client.put('py/l', 'x', lease)
assert lease.remaining_ttl in (59, 60) and lease.keys == [b'py/l'], (lease.remaining_ttl, lease.keys)
list(lease.refresh())
lease.revoke()
assert client.get('py/l') == (None, None)
events, cancel = client.watch_prefix('py/w')
client.put('py/w1', '1')
client.delete('py/w1')
seen = [next(events), next(events)]
cancel()
assert [type(e).__name__ for e in seen] == ['PutEvent', 'DeleteEvent'], seen
assert client.delete_prefix('py/').deleted == 3
status = client.status()
assert status.version == '3.7.0' and status.leader is not None
assert [m.name for m in client.members] == ['default']
assert client.hash() > 0
assert list(client.list_alarms()) == []
client.defragment()
try:
    client.get('py/a', revision=10 ** 9)
except TypeError:
    pass
with client.lock('py-lock', ttl=20) as lock:
    assert lock.is_acquired()
client.compact(client.put('py/z', '1').header.revision)
print('done')
`;

describe.skipIf(!hasEtcd3)(
  hasEtcd3 ? 'python3-etcd3' : 'python3-etcd3 (skipped: not installed, package python3-etcd3)',
  () => {
    test('keys, txns, leases, watches, locks, status', async () => {
      const ended = await run(python!, ['-c', PYTHON, server.endpoint], {
        env: { PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION: 'python' },
      });
      expect(ended.stderr).toBe('');
      expect(ended).toMatchObject({ code: 0, stdout: 'done\n' });
    });
  },
);

test("npm's etcd3: keys, txns, watches, leases, locks, status", async () => {
  // In a process of its own: under the test runner its 64-bit numbers lose digits.
  const program = new URL('./support/etcd3-program.mjs', import.meta.url).pathname;
  const ended = await run(node, [program, server.endpoint]);
  expect(ended.stderr).toBe('');
  expect(ended).toMatchObject({ code: 0, stdout: 'done\n' });
});
