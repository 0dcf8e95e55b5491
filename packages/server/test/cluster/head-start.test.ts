/** The first election after a start, in virtual time. */
import { expect, test } from 'vitest';
import { SimCluster } from '../support/sim-cluster.ts';

const NAMES = ['a', 'b', 'c'];

/** Milliseconds from the start of the last of three members, all of which were off, until one leads. */
async function electionAfterBlackoutMs(seed: number, advanceFirstElection: boolean): Promise<number> {
  const cluster = new SimCluster(seed, NAMES, { advanceFirstElection });
  await cluster.bootstrap();
  await cluster.put(await cluster.leader(), 'k', 'v');
  for (const name of NAMES) cluster.crash(name);
  for (const name of NAMES) await cluster.start(name);
  const startedMs = cluster.env.monotonicMs();
  await cluster.leader();
  return cluster.env.monotonicMs() - startedMs;
}

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];

test('case-6 members that start together elect within the election timeout', async () => {
  const timesMs: number[] = [];
  for (const seed of SEEDS) timesMs.push(await electionAfterBlackoutMs(seed, true));
  timesMs.sort((a, b) => a - b);
  expect(timesMs[timesMs.length / 2]).toBeLessThan(1000);
  expect(timesMs[0]).toBeGreaterThan(0);
});

test('case-6 --initial-election-tick-advance=false: they wait it out', async () => {
  for (const seed of SEEDS) expect(await electionAfterBlackoutMs(seed, false)).toBeGreaterThan(800);
});

test('case-1 a member that starts where somebody leads deposes nobody', async () => {
  for (const seed of SEEDS) {
    const cluster = new SimCluster(seed, NAMES);
    await cluster.bootstrap();
    const leader = await cluster.leader();
    const { term } = leader;
    const name = cluster.nameOf(cluster.others(leader)[0]!);
    cluster.crash(name);
    await cluster.pass(3000);
    const again = await cluster.start(name);
    await cluster.pass(5000);
    expect([leader.term, again.leader]).toEqual([term, leader.memberId]);
  }
});
