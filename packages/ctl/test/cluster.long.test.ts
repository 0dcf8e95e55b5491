/** Commands that change a cluster of three, and locks that outlive its leader: on a real etcd, and on our own. */
import { connect, lock, openLeaseSession, prefix } from '@quorate/client';
import { Cluster, findProgram } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { ours } from './harness.ts';

/** A cluster takes its time to settle: the real one is for the long runs. */
const both = process.env.QUORATE_LONG === '1' && findProgram('etcd') !== null;
const kinds = both ? ['quorate', 'etcd'] : ['quorate'];

describe.each(kinds)('a cluster of three: %s', (kind) => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start({ kind: kind as 'etcd' | 'quorate', size: 3 });
  }, 60_000);
  afterAll(() => cluster?.stop());

  const endpoints = () =>
    cluster
      .running()
      .map((member) => member.endpoint)
      .join(',');
  const ctl = (...args: string[]) => ours({ args: ['--endpoints', endpoints(), ...args] });
  const list = async () => {
    const { stdout } = await ctl('member', 'list');
    return stdout
      .trim()
      .split('\n')
      .map((line) => line.split(', '));
  };

  test('member add as learner, update, remove', async () => {
    // Members must have been in touch for five seconds.
    const added = await vi.waitFor(
      async () => {
        const outcome = await ctl('member', 'add', 'm9', '--learner', '--peer-urls=http://127.0.0.1:1');
        expect(outcome).toMatchObject({ code: 0, stderr: '' });
        return outcome;
      },
      { timeout: 20_000, interval: 200 },
    );
    expect(added.stdout).toMatch(
      /^Member +[0-9a-f]+ added as learner to cluster +[0-9a-f]+\n\nETCD_NAME="m9"\nETCD_INITIAL_CLUSTER=".*m9=http:\/\/127\.0\.0\.1:1.*"\nETCD_INITIAL_ADVERTISE_PEER_URLS="http:\/\/127\.0\.0\.1:1"\nETCD_INITIAL_CLUSTER_STATE="existing"\n$/,
    );
    const [id] = (await list()).find((row) => row[1] === 'unstarted')!;
    const promoted = await ctl('member', 'promote', id!);
    expect([promoted.code, promoted.stderr]).toEqual([
      1,
      expect.stringContaining('can only promote a learner member which is in sync with leader'),
    ]);
    expect(await ctl('member', 'update', id!, '--peer-urls=http://127.0.0.1:2')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Member +[0-9a-f]+ updated in cluster +[0-9a-f]+\n$/),
    });
    expect(await ctl('member', 'remove', id!)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Member +[0-9a-f]+ removed from cluster +[0-9a-f]+\n$/),
    });
    expect(await list()).toHaveLength(3);
    expect((await ctl('member', 'remove', id!)).stderr).toContain('etcdserver: member not found');
  }, 40_000);

  test('sem-199 a lock held and a lock waited for outlive a change of the leader', async () => {
    const clients = cluster.members.map((member) => connect(member.endpoint));
    onTestFinished(() => {
      for (const client of clients) client.close();
    });
    const [one, two] = clients as [(typeof clients)[0], (typeof clients)[0]];
    await using first = await openLeaseSession(one, { ttlSec: 30 });
    await using second = await openLeaseSession(two, { ttlSec: 30 });
    const held = await lock(first, 'moving');
    const waiting = lock(second, 'moving');
    await vi.waitFor(async () => expect(await two.kv.count(prefix('moving/'))).toBe(2), 10_000);
    const leader = await cluster.waitForLeader();
    const [id] = (await list()).find((row) => row[2] !== leader.name)!;
    const moved = await ctl('move-leader', id!);
    expect(moved).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Leadership transferred from [0-9a-f]+ to [0-9a-f]+\n$/),
    });
    expect(await cluster.waitForLeader(30_000, leader)).not.toBe(leader);
    expect(await held.unlock()).toBe(true);
    expect((await waiting).revision).toBeGreaterThan(held.revision);
  }, 60_000);

  test('member replace: a dead member, and not one that lives', async () => {
    const leader = await cluster.waitForLeader();
    const [dead] = cluster.members.filter((member) => member !== leader);
    const alive = await ctl('member', 'replace', dead!.name, '--peer-urls=http://127.0.0.1:1');
    expect([alive.code, alive.stdout, alive.stderr]).toEqual([
      1,
      '',
      expect.stringContaining('it is not dead'),
    ]);
    expect(await list()).toHaveLength(3);
    dead!.expectEnd();
    await dead!.end('SIGKILL');
    const fresh = await cluster.prepare('m4');
    const replacing = ctl(
      ...['member', 'replace', dead!.name, `--peer-urls=${fresh.peerUrl}`, '--name=m4', '--wait=40s'],
    );
    let early = '';
    void replacing.then(({ stdout, stderr }) => {
      early = stdout + stderr;
    });
    await vi.waitFor(
      async () => {
        const rows = await list();
        expect(early).toBe('');
        expect(rows.map((row) => row[1]).toSorted()).toEqual(['started', 'started', 'unstarted']);
      },
      { timeout: 30_000, interval: 100 },
    );
    const members = cluster.members.filter((member) => member !== dead);
    fresh.start({ initial: cluster.initialCluster(members), state: 'existing' });
    const outcome = await replacing;
    expect(outcome).toMatchObject({ code: 0, stderr: '' });
    expect(outcome.stdout).toMatch(
      /Removed member .*\nAdded member .* as learner[\s\S]*ETCD_NAME="m4"[\s\S]*done\n$/,
    );
    expect((await list()).map((row) => row[5])).toEqual(['false', 'false', 'false']);
    // A member publishes its name once it serves, which may be after it was promoted.
    const names = members.map(({ name }) => name).toSorted();
    await vi.waitFor(async () => expect((await list()).map((row) => row[2]).toSorted()).toEqual(names), {
      timeout: 10_000,
      interval: 100,
    });
  }, 90_000);
});
