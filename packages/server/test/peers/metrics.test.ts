/** What two members tell about each other, under etcd's names. */
import { afterEach, expect, test } from 'vitest';
import { MetricsRegistry } from '../../src/http/metrics/registry.ts';
import type { SnapshotContent } from '../../src/network.ts';
import { peerMetrics } from '../../src/peers/metrics.ts';
import type { PeerNetwork } from '../../src/peers/peer-network.ts';
import { openPeer, until, urlOf } from '../support/peer-networks.ts';

const QUICK = { silenceMs: 300, maxReconnectMs: 200, handshakeMs: 300, pingIntervalMs: 20 };
const opened: PeerNetwork[] = [];
afterEach(async () => {
  for (const network of opened.splice(0)) await network.close();
});

async function pair(): Promise<readonly [PeerNetwork, PeerNetwork]> {
  const [one, two] = await Promise.all([
    openPeer(1n, { limits: QUICK }),
    openPeer(0xabcn, { limits: QUICK }),
  ]);
  opened.push(one, two);
  one.setPeers(new Map([[0xabcn, [urlOf(two)]]]));
  two.setPeers(new Map([[1n, [urlOf(one)]]]));
  await until(() => one.connectedSince(0xabcn) !== null && two.connectedSince(1n) !== null);
  return [one, two];
}

const trafficOf = (network: PeerNetwork) => [...network.traffic()][0]![1];

/** Values by name and labels, as `/metrics` has them. */
async function scrape(network: PeerNetwork): Promise<ReadonlyMap<string, number>> {
  const text = await new MetricsRegistry([peerMetrics(() => network)]).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

function content(chunks: readonly Uint8Array[]): SnapshotContent {
  let at = 0;
  return { next: (done) => done(null, chunks[at++] ?? null), close() {} };
}

test('messages, calls and snapshots count alike on both sides', async () => {
  const [one, two] = await pair();
  let came = 0;
  two.onMessage((_, message) => {
    came += message.length;
  });
  two.onCall('echo', (_, request, done) => done(null, request));
  two.onSnapshot((_from, _message, incoming, done) => {
    const pull = (): void =>
      incoming.next((error, chunk) => (chunk === null ? done(error) : queueMicrotask(pull)));
    pull();
  });
  const reports: string[] = [];
  one.onReport(({ what }) => reports.push(what));
  await until(() => {
    one.send(0xabcn, Buffer.alloc(50_000), 'append');
    return came > 0;
  });
  one.call(0xabcn, 'echo', Buffer.alloc(10_000), 5_000, () => {});
  one.sendSnapshot(0xabcn, Buffer.alloc(10), content([Buffer.alloc(100_000), Buffer.alloc(100_000)]));
  await until(() => reports.includes('snapshot-ok'));
  const roundTrips = 'etcd_network_peer_round_trip_time_seconds_count{To="abc"}';
  await until(() => trafficOf(one).roundTrips.cumulative().at(-1)! > 0);
  const [sent, received] = [trafficOf(one), trafficOf(two)];
  expect(sent.sentBytes).toBeGreaterThan(260_000);
  await until(() => received.receivedBytes >= sent.sentBytes);
  const told = await scrape(one);
  expect(told.get('etcd_network_active_peers{Local="1",Remote="abc"}')).toBe(1);
  expect(told.get('etcd_network_known_peers{Local="1",Remote="abc"}')).toBe(1);
  expect(told.get('etcd_network_disconnected_peers_total{Local="1",Remote="abc"}')).toBe(0);
  expect(told.get('etcd_network_peer_sent_bytes_total{To="abc"}')).toBe(sent.sentBytes);
  expect(told.get('etcd_network_peer_received_failures_total{From="abc"}')).toBe(0);
  expect(told.get(roundTrips)).toBeGreaterThan(0);
  expect(told.get('etcd_network_snapshot_send_success{To="abc"}')).toBe(1);
  expect(told.get('etcd_network_snapshot_send_inflights_total{To="abc"}')).toBe(0);
  expect(told.get('etcd_network_snapshot_send_total_duration_seconds_count{To="abc"}')).toBe(1);
  const there = await scrape(two);
  expect(there.get('etcd_network_snapshot_receive_success{From="1"}')).toBe(1);
  expect(there.get('etcd_network_snapshot_receive_total_duration_seconds_count{From="1"}')).toBe(1);
  expect(there.get('etcd_network_peer_received_bytes_total{From="1"}')).toBe(received.receivedBytes);
});

test('a peer that goes is lost once, what is sent to it fails, and one that is removed is forgotten', async () => {
  const [one, two] = await pair();
  two.onSnapshot((_from, _message, _incoming, done) => done(new Error('no room')));
  const reports: string[] = [];
  one.onReport(({ what }) => reports.push(what));
  one.sendSnapshot(0xabcn, Buffer.alloc(10), content([]));
  await until(() => reports.includes('snapshot-failed'));
  await until(() => trafficOf(two).receivedFailures > 0);
  expect((await scrape(two)).get('etcd_network_snapshot_receive_failures{From="1"}')).toBe(1);
  await two.close();
  await until(() => one.connectedSince(0xabcn) === null);
  await until(() => {
    one.send(0xabcn, Buffer.alloc(1), 'vote');
    return trafficOf(one).sentFailures > 1;
  });
  const told = await scrape(one);
  expect(told.get('etcd_network_active_peers{Local="1",Remote="abc"}')).toBe(0);
  expect(told.get('etcd_network_disconnected_peers_total{Local="1",Remote="abc"}')).toBe(1);
  expect(told.get('etcd_network_snapshot_send_failures{To="abc"}')).toBe(1);
  expect(told.get('etcd_network_peer_sent_failures_total{To="abc"}')).toBeGreaterThan(1);
  one.setPeers(new Map());
  expect((await scrape(one)).size).toBe(0);
});
