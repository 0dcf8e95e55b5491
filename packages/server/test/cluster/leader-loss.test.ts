/** Streams of callers that insist on a leader, and bookmarks of watches, on members that are cut off or behind. */
import { type Init, services, WatchRequest, WatchResponse } from '@quorate/proto';
import { describe, expect, test } from 'vitest';
import type { Member } from '../../src/member.ts';
import type { TestStreamCall } from '../support/calls.ts';
import { handlersOf, KeepAlive, openStream } from '../support/cluster-clients.ts';
import { SimCluster } from '../support/sim-cluster.ts';
import { put } from '../support/sim-member.ts';

const WATCH = services['etcdserverpb.Watch'].Watch.path;
const OBSERVE = services['v3electionpb.Election'].Observe;
const INSISTS = { hasleader: 'true' };

async function ofThree(seed: number): Promise<{ cluster: SimCluster; leader: Member; followers: Member[] }> {
  const cluster = new SimCluster(seed, ['a', 'b', 'c']);
  await cluster.bootstrap();
  await cluster.pass(1000);
  const leader = await cluster.leader();
  for (const member of cluster.running) handlersOf(member);
  return { cluster, leader, followers: [...cluster.others(leader)] };
}

function watch(
  member: Member,
  headers: Record<string, string> = {},
  fields: Init<NonNullable<WatchRequest['createRequest']>> = {},
): TestStreamCall {
  const call = openStream(member, WATCH, headers);
  call.send(WatchRequest.encode({ createRequest: { key: Buffer.from('k'), ...fields } }));
  return call;
}

const responses = (call: TestStreamCall): WatchResponse[] =>
  call.take().map((message) => WatchResponse.decode(message));

describe('callers that insist on a leader', () => {
  test('case-33 sem-008 sem-009 on a member that is cut off their streams end after three election timeouts, others stay', async () => {
    const { cluster, leader, followers } = await ofThree(1);
    const cutOff = followers[0]!;
    await cluster.propose(leader, { kind: 'lease-grant', id: 7n, ttlSec: 600 });
    await cluster.settled();
    const insisting = [watch(cutOff, INSISTS), new KeepAlive(cluster, cutOff, INSISTS).stream];
    const observer = openStream(cutOff, OBSERVE.path, INSISTS);
    observer.send(OBSERVE.request.encode({ name: Buffer.from('e') }));
    insisting.push(observer);
    const patient = [watch(cutOff), new KeepAlive(cluster, cutOff).stream];
    await cluster.pass(100);
    cluster.network.partition([cutOff.memberId], [leader.memberId, followers[1]!.memberId]);
    await cluster.eventually(() => cutOff.leader === 0n);
    const lostMs = cluster.env.monotonicMs();
    await cluster.eventually(() => insisting.some(({ ended }) => ended !== null));
    const endedMs = cluster.env.monotonicMs();
    expect(endedMs - lostMs).toBeGreaterThanOrEqual(2_990);
    expect(endedMs - lostMs).toBeLessThanOrEqual(3_100);
    await cluster.pass(20);
    expect(insisting.map(({ ended }) => ended)).toEqual(
      insisting.map(() => ({ status: 14, message: 'etcdserver: no leader' })),
    );
    expect(patient.map(({ ended }) => ended)).toEqual([null, null]);
    // A new one is refused at once; the patient ones go on when the leader is back.
    expect(watch(cutOff, INSISTS).ended).toEqual({ status: 14, message: 'etcdserver: no leader' });
    await cluster.put(leader, 'k', 'v');
    cluster.network.heal();
    await cluster.settled();
    await cluster.pass(500);
    const events = responses(patient[0]!).flatMap((response) => response.events);
    expect(events.map(({ kv }) => Buffer.from(kv!.value).toString())).toEqual(['v']);
  });

  test('sem-008 an election that takes less than that ends nothing', async () => {
    const { cluster, leader, followers } = await ofThree(2);
    const stream = watch(followers[0]!, INSISTS);
    for (let round = 0; round < 3; round++) {
      const now = await cluster.leader();
      const to = cluster.others(now).find((member) => member !== followers[0])!;
      await cluster.ask((done) => now.cluster.moveLeader(to.memberId, Number.POSITIVE_INFINITY, done));
      await cluster.pass(1500);
    }
    const last = await cluster.leader();
    if (last !== followers[0]) cluster.crash(cluster.nameOf(last));
    await cluster.pass(8000);
    expect(stream.ended).toBeNull();
    expect(leader).toBeDefined();
  });

  test('sem-008 a leader that lost its majority ends them too', async () => {
    const { cluster, leader, followers } = await ofThree(3);
    const stream = watch(leader, INSISTS);
    cluster.network.partition(
      [leader.memberId],
      followers.map(({ memberId }) => memberId),
    );
    await cluster.eventually(() => stream.ended !== null);
    expect(stream.ended!.message).toBe('etcdserver: no leader');
  });
});

describe('bookmarks', () => {
  test('case-60 sem-123 (#15220) at members that are behind, none is ahead of what they delivered', async () => {
    const { cluster, leader, followers } = await ofThree(4);
    for (let n = 0; n < 20; n++) await cluster.put(leader, 'k', `before ${n}`);
    const slow = followers[0]!;
    cluster.host(cluster.nameOf(slow)).diskDelayMs = 40;
    const streams = [leader, ...followers].map((member) => ({
      member,
      call: watch(member, {}, { startRevision: 2n, progressNotify: true }),
      delivered: 0,
      bookmarks: 0,
    }));
    const look = (): void => {
      for (const stream of streams) {
        stream.call.send(WatchRequest.encode({ progressRequest: {} }));
        for (const { events, header, created } of responses(stream.call)) {
          for (const { kv } of events) {
            expect(Number(kv!.modRevision)).toBe(stream.delivered === 0 ? 2 : stream.delivered + 1);
            stream.delivered = Number(kv!.modRevision);
          }
          if (events.length > 0 || created) continue;
          const revision = Number(header!.revision);
          // Every revision is one of `k`: a bookmark says that all of them were delivered.
          expect(revision).toBe(stream.delivered);
          expect(revision).toBeLessThanOrEqual(stream.member.store.revision);
          stream.bookmarks++;
        }
      }
    };
    for (let n = 0; n < 200; n++) {
      leader.propose(put('k', `v${n}`), 0, Number.POSITIVE_INFINITY, () => {});
      if (n % 3 === 0) await cluster.pass(10);
      look();
    }
    await cluster.settled();
    await cluster.pass(200);
    look();
    await cluster.pass(50);
    look();
    for (const { delivered, bookmarks } of streams) {
      expect(delivered).toBe(leader.store.revision);
      expect(bookmarks).toBeGreaterThan(0);
    }
  });
});
