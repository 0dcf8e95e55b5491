/** Members over real sockets, threads and LMDB: the parts that the simulated clusters replace, joined once for real. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LeaseKeepAliveRequest, LeaseKeepAliveResponse, services } from '@quorate/proto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createServices } from '../../src/api/services.ts';
import { parseUrl } from '../../src/config/urls.ts';
import { createLessor } from '../../src/lease/create-lessor.ts';
import type { Member } from '../../src/member.ts';
import type { MemberConfig } from '../../src/member-config.ts';
import { nodeWorld } from '../../src/node/world.ts';
import { fetchCluster } from '../../src/peers/join.ts';
import { createPeerNetwork } from '../../src/peers/peer-network.ts';
import { startMember } from '../../src/start-member.ts';
import { TestStreamCall } from '../support/calls.ts';
import { put } from '../support/sim-member.ts';
import { smallMember } from '../support/small-member.ts';

const ELECTION_MS = 500;
let folder: string;
const urls = new Map<string, string>();
const running = new Map<string, Member>();
/** What the members logged: `a: installed a snapshot`. */
const logged = new Set<string>();

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-cluster-'));
  urls.clear();
  logged.clear();
  for (const name of ['a', 'b', 'c', 'd']) urls.set(name, `http://127.0.0.1:${await freePort()}`);
});
afterEach(async () => {
  await Promise.all([...running.values()].map((member) => member.stop()));
  running.clear();
  rmSync(folder, { recursive: true, force: true });
});

async function start(
  name: string,
  among: readonly string[],
  more: Partial<MemberConfig> = {},
): Promise<Member> {
  const world = nodeWorld({ log: (_level, message) => logged.add(`${name}: ${message}`) });
  const member = await startMember(
    {
      ...smallMember(join(folder, name)),
      name,
      initialCluster: among.map((each) => ({ name: each, peerUrls: [urls.get(each)!] })),
      clientUrls: [`http://${name}:1`],
      heartbeatMs: 50,
      electionMs: ELECTION_MS,
      snapshotCatchUpEntries: 10,
      ...more,
    },
    {
      ...world,
      fetchCluster: (peers, timeoutMs) => fetchCluster(peers, { env: world.env, timeoutMs }),
      network: (host) =>
        createPeerNetwork({
          env: world.env,
          clusterId: host.clusterId,
          memberId: host.memberId,
          serverVersion: '3.7.0',
          listenUrls: [parseUrl(urls.get(name)!)],
          electionMs: ELECTION_MS,
          isRemoved: (id) => host.isRemoved(id),
          describe: () => host.describe(),
          onRemoved: (by) => host.onRemoved(by),
        }),
    },
    createLessor,
  );
  running.set(name, member);
  return member;
}

async function stop(name: string): Promise<void> {
  await running.get(name)!.stop();
  running.delete(name);
}

/** Looks every few milliseconds; the time limit of the test is the only one. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

async function leader(): Promise<Member> {
  const leads = (): Member | undefined =>
    [...running.values()].find((member) => member.leader === member.memberId && member.leader !== 0n);
  await until(() => leads() !== undefined);
  return leads()!;
}

function write(member: Member, from: number, to: number): Promise<unknown> {
  const one = (number: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const operation = put(`k${number % 20}`, `${number}`.padEnd(2000, '.'));
      member.propose(operation, 0, Number.POSITIVE_INFINITY, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
  return Promise.all(Array.from({ length: to - from }, (_, index) => one(from + index)));
}

/** Names of the files of a log, oldest first. */
function segments(log: string): string[] {
  return readdirSync(log)
    .filter((name) => name.endsWith('.wal'))
    .sort();
}

function hash(member: Member): Promise<number> {
  return new Promise((resolve, reject) => {
    member.store.hashKv(0, (error, result) => (error === null ? resolve(result!.hash) : reject(error)));
  });
}

async function expectEqual(): Promise<void> {
  const members = [...running.values()];
  await until(() => new Set(members.map(({ appliedIndex }) => appliedIndex)).size === 1);
  const hashes = await Promise.all(members.map(hash));
  expect(new Set(hashes).size).toBe(1);
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

test('case-40 case-42 three members begin, one lags and gets a snapshot, a fourth joins, one is removed', {
  timeout: 60_000,
}, async () => {
  const three = ['a', 'b', 'c'];
  await Promise.all(three.map((name) => start(name, three)));
  await write(await leader(), 0, 100);
  await expectEqual();

  await stop('b');
  // An entry that b lacks lies in the newest files: a file may end with the last one that b has.
  await write(await leader(), 100, 101);
  await expectEqual();
  const logs = [...running.keys()].map((name) => join(folder, name, 'wal'));
  const newest = logs.map((log) => segments(log).at(-1)!);
  for (let number = 100; number < 700; number += 100) {
    const now = await leader();
    await write(now, number, number + 100);
    // The log lets go of what the store holds durably.
    await new Promise((resolve) => now.store.flush(resolve));
  }
  // Until no log reaches back to what b has, it could still get entries.
  await until(() => logs.every((log, at) => segments(log)[0]! > newest[at]!));
  const { revision } = (await leader()).store;
  const back = await start('b', three);
  await until(() => back.store.revision === revision);
  await expectEqual();
  expect(logged).toContain('b: installed a snapshot');

  const now = await leader();
  // A connection counts for a change of members once it has stood for five seconds; here nobody waits for that.
  const lenient = { strictReconfigCheck: false } as const;
  await stop('c');
  await start('c', three, lenient);
  const asked = running.get('c')!;
  await until(() => asked.leader !== 0n);
  const id = await new Promise<bigint>((resolve, reject) => {
    asked.cluster.add([urls.get('d')!], false, Number.POSITIVE_INFINITY, (error, added) =>
      error === null ? resolve(added) : reject(error),
    );
  });
  const joined = await start('d', ['a', 'b', 'c', 'd'], { initialClusterState: 'existing' });
  expect(joined.memberId).toBe(id);
  await until(() => joined.store.revision === now.store.revision);
  await expectEqual();

  await new Promise<void>((resolve, reject) => {
    asked.cluster.remove(id, Number.POSITIVE_INFINITY, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  const error = await joined.stopped;
  expect(error?.message).toBe('the member has been permanently removed from the cluster');
  running.delete('d');
  await write(await leader(), 700, 710);
  await expectEqual();
});

test('sem-091 sem-187 leases are renewed through a follower, and one that applies differently is stopped', async () => {
  const names = ['a', 'b', 'c'];
  await Promise.all(names.map((name) => start(name, names)));
  const leading = await leader();
  await write(leading, 0, 20);
  const others = [...running.values()].filter((member) => member !== leading);
  const tables = new Map([...running.values()].map((member) => [member, createServices(member).handlers]));
  await new Promise<void>((resolve, reject) => {
    leading.propose({ kind: 'lease-grant', id: 7n, ttlSec: 600 }, 0, Number.POSITIVE_INFINITY, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  const { path } = services['etcdserverpb.Lease'].LeaseKeepAlive;
  for (const member of running.values()) {
    const stream = new TestStreamCall(path, {}).open(tables.get(member)!.get(path)!);
    stream.send(LeaseKeepAliveRequest.encode({ ID: 7n }), LeaseKeepAliveRequest.encode({ ID: 8n }));
    await until(() => stream.messages.length === 2);
    expect(stream.messages.map((message) => LeaseKeepAliveResponse.decode(message).TTL)).toEqual([600n, 0n]);
  }
  const odd = others[0]!;
  const begin = odd.store.begin.bind(odd.store);
  odd.store.begin = (index, term) => {
    const transaction = begin(index, term);
    const plain = transaction.put.bind(transaction);
    transaction.put = (key, _value, lease) => plain(key, Buffer.from('wrong'), lease);
    return transaction;
  };
  await write(leading, 20, 21);
  expect(await odd.stopped).toMatchObject({ code: 'STATE_DIVERGED' });
  await write(leading, 21, 40);
  expect(leading.alarms()).toEqual([]);
}, 60_000);

test('case-42 who was away while a member was added, moved and became leader follows it', async () => {
  const lenient = { strictReconfigCheck: false } as const;
  const three = ['a', 'b', 'c'];
  await Promise.all(three.map((name) => start(name, three, lenient)));
  await leader();
  await stop('c');
  const done = (resolve: () => void, reject: (error: Error) => void) => (error: Error | null) =>
    error === null ? resolve() : reject(error);
  await until(() => running.get('a')!.leader === running.get('b')!.leader && running.get('a')!.leader !== 0n);
  const asked = await leader();
  await new Promise<void>((resolve, reject) =>
    asked.cluster.add([urls.get('d')!], false, Number.POSITIVE_INFINITY, done(resolve, reject)),
  );
  const joined = await start('d', ['a', 'b', 'c', 'd'], { initialClusterState: 'existing', ...lenient });
  const id = joined.memberId;
  await write(asked, 0, 10);
  const moved = `http://127.0.0.1:${await freePort()}`;
  await new Promise<void>((resolve, reject) =>
    asked.cluster.update(id, [moved], Number.POSITIVE_INFINITY, done(resolve, reject)),
  );
  await stop('d');
  urls.set('d', moved);
  const again = await start('d', ['a', 'b', 'c', 'd'], lenient);
  const leading = await leader();
  await write(leading, 10, 20);
  await expectEqual();
  if (leading !== again) {
    await new Promise<void>((resolve, reject) =>
      leading.cluster.moveLeader(id, Number.POSITIVE_INFINITY, done(resolve, reject)),
    );
  }
  await until(() => again.leader === id);
  const { term } = again;
  const back = await start('c', three, lenient);
  await until(() => back.leader === id);
  await new Promise<void>((resolve, reject) =>
    back.confirmRead(Number.POSITIVE_INFINITY, done(resolve, reject)),
  );
  await write(back, 20, 30);
  await expectEqual();
  expect(back.members().find((member) => member.id === id)?.peerUrls).toEqual([moved]);
  expect([again.leader, again.term]).toEqual([id, term]);
}, 60_000);
