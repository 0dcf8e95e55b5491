/** What a member counts about itself for metrics: each number has an event that moves it, and others do not. */
import { Random, SimDisk } from '@quorate/testing';
import { describe, expect, test } from 'vitest';
import { Installer } from '../src/consensus/installer.ts';
import { SimCluster } from './support/sim-cluster.ts';
import { put, SimWorld } from './support/sim-member.ts';

const refused = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no refusal',
    (error: { code: string }) => error.code,
  );

const QUIET = {
  proposalsFailed: 0,
  readsFailed: 0,
  slowReadRounds: 0,
  slowApplies: 0,
  lateHeartbeats: 0,
  logBytes: expect.any(Number),
  isInstalling: false,
  promotions: { successes: 0, failures: new Map() },
};

test('a member that has nothing to complain about counts nothing', async () => {
  const world = new SimWorld(1);
  const member = await world.start();
  for (let number = 0; number < 40; number++) await world.propose(member, put('k', `${number}`));
  world.env.advance(5_000);
  expect(member.counts()).toEqual(QUIET);
  const { logBytes } = member.counts();
  const commits = member.commitSeconds.cumulative().at(-1)!;
  await world.propose(member, put('k', 'v'.repeat(5_000)));
  world.env.advance(5_000);
  expect(member.counts().logBytes - logBytes).toBeGreaterThan(5_000);
  expect(member.commitSeconds.cumulative().at(-1)).toBeGreaterThan(commits);
});

describe('a member alone', () => {
  test('entries that took longer than --warning-apply-duration are counted and logged', async () => {
    const world = new SimWorld(2);
    const member = await world.start({ slowApplyMs: 200 });
    world.env.costPerLookMs = 20;
    await world.propose(member, put('quick', 'v'));
    expect(member.counts().slowApplies).toBe(0);
    world.env.costPerLookMs = 300;
    await world.propose(member, put('slow', 'v'));
    world.env.costPerLookMs = 0;
    const { slowApplies } = member.counts();
    expect(slowApplies).toBeGreaterThan(0);
    const lines = world.env.logged.filter(({ message }) => message === 'applying took long');
    expect(lines).toHaveLength(slowApplies);
    expect(lines[0]!.fields!['took-ms']).toBeGreaterThanOrEqual(300);
    await world.propose(member, put('quick', 'again'));
    expect(member.counts().slowApplies).toBe(slowApplies);
  });

  test('a leader whose clock jumped between two heartbeats sent one late', async () => {
    const world = new SimWorld(3);
    const member = await world.start({ heartbeatMs: 100, electionMs: 1000 });
    world.env.advance(1_000);
    const { monotonicMs } = world.env;
    let behindMs = 0;
    world.env.monotonicMs = function (this: SimWorld['env']) {
      return monotonicMs.call(this) + behindMs;
    };
    behindMs = 90;
    world.env.advance(1_000);
    expect(member.counts().lateHeartbeats).toBe(0);
    behindMs = 400;
    world.env.advance(1_000);
    expect(member.counts().lateHeartbeats).toBe(1);
  });
});

describe('a leader whose majority hangs', () => {
  test('proposals and reads that ran out of time, and rounds that were asked again', async () => {
    const cluster = new SimCluster(4, ['a', 'b', 'c']);
    await cluster.bootstrap();
    await cluster.pass(1_000);
    const leader = await cluster.leader();
    const before = leader.counts();
    for (const member of cluster.others(leader)) cluster.crash(cluster.nameOf(member));
    const write = refused(cluster.put(leader, 'k', 'v'));
    const read = refused(
      new Promise<void>((resolve, reject) => {
        leader.confirmRead(Number.POSITIVE_INFINITY, (error) => (error === null ? resolve() : reject(error)));
      }),
    );
    await cluster.pass(20_000);
    expect(await write).toMatch(/TIME/);
    expect(await read).toMatch(/TIME|LEADER_CHANGED/);
    const after = leader.counts();
    expect(after.proposalsFailed).toBe(before.proposalsFailed + 1);
    expect(after.readsFailed).toBe(before.readsFailed + 1);
    expect(after.slowReadRounds).toBeGreaterThan(before.slowReadRounds);
  });
});

test('an installation is under way from its note to the new begin of the log', () => {
  const disk = new SimDisk(new Random(5, 'disk'));
  disk.makeDirectory('/data');
  const seen: boolean[] = [];
  const look = (): void => {
    seen.push(installer.isInstalling);
  };
  const installer: Installer = new Installer({
    store: {
      appliedIndex: 7,
      install: (_sink, done) => {
        look();
        done(null);
      },
    },
    disk,
    dataDirectory: '/data',
    failpoint: () => {},
    pauseApplying: look,
    reload: look,
  });
  look();
  installer.install({ index: 7, term: 1 } as never, {} as never, look);
  installer.finished();
  look();
  expect(seen).toEqual([false, true, true, true, true, false]);
});
