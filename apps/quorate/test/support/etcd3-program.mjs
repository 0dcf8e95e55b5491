// What a user of npm's etcd3 would write; run by clients.test.ts in a process of its own.
import assert from 'node:assert/strict';
import { Etcd3 } from 'etcd3';

const client = new Etcd3({ hosts: process.argv[2] });

// Keys and namespaces.
const space = client.namespace('js/');
await space.put('a').value('1');
await space.put('b').value(Buffer.from([0, 255]));
assert.equal(await space.get('a').string(), '1');
assert.deepEqual(await space.getAll().keys(), ['a', 'b']);
assert.deepEqual(await space.get('b').buffer(), Buffer.from([0, 255]));
assert.equal(await space.getAll().count(), 2);
assert.equal((await space.delete().key('a').exec()).deleted, '1');
assert.equal(await space.get('a').string(), null);

// Transactions.
const claim = (value) =>
  client
    .if('js/t', 'Create', '==', 0)
    .then(client.put('js/t').value(value))
    .else(client.get('js/t'))
    .commit();
assert.equal((await claim('first')).succeeded, true);
const second = await claim('second');
assert.equal(second.succeeded, false);
assert.equal(second.responses[0].response_range.kvs[0].value.toString(), 'first');

// Watches.
const watcher = await client.watch().prefix('js/w').create();
const seen = [];
const deleted = new Promise((resolve) => watcher.on('delete', resolve));
watcher.on('put', (kv) => seen.push(kv.value.toString()));
for (const value of ['1', '2', '3']) await client.put('js/w').value(value);
await client.delete().key('js/w');
await deleted;
assert.deepEqual(seen, ['1', '2', '3']);
await watcher.cancel();

// Leases and locks.
const lease = client.lease(30);
await lease.put('js/l').value('1');
assert.equal(await client.get('js/l').string(), '1');
await lease.revoke();
assert.equal(await client.get('js/l').string(), null);
assert.equal(await client.lock('js/lock').do(() => 'inside'), 'inside');

// Maintenance and errors.
assert.equal((await client.maintenance.status()).version, '3.7.0');
assert.equal((await client.cluster.memberList({})).members.length, 1);
await assert.rejects(client.get('js/a').revision(1_000_000_000).exec(), /future revision/);

client.close();
console.log('done');
