import { afterEach, expect, test } from 'vitest';
import type { PeerNetwork } from '../../src/peers/peer-network.ts';
import { openPeer, until, urlOf } from '../support/peer-networks.ts';

const open: PeerNetwork[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((network) => network.close()));
});

test('members that began alone load what dials others when they hear of one, and reach each other', async () => {
  for (const id of [1n, 2n]) open.push(await openPeer(id, { startsAlone: true }));
  const [one, two] = open as [PeerNetwork, PeerNetwork];
  const heard: string[] = [];
  one.onMessage((from, bytes) => heard.push(`1 from ${from}: ${Buffer.from(bytes)}`));
  two.onMessage((from, bytes) => heard.push(`2 from ${from}: ${Buffer.from(bytes)}`));
  const reports: string[] = [];
  one.onReport(({ to, what }) => reports.push(`${to} ${what}`));
  one.setPeers(new Map([[2n, [urlOf(two)]]]));
  // Nothing dials yet: a message is dropped, and that is told as ever.
  one.send(2n, Buffer.from('early'), 'vote');
  await until(() => reports.length > 0);
  expect(reports).toEqual(['2 unreachable']);
  two.setPeers(new Map([[1n, [urlOf(one)]]]));
  await until(() => one.connectedSince(2n) !== null && two.connectedSince(1n) !== null);
  one.send(2n, Buffer.from('hello'), 'vote');
  two.send(1n, Buffer.from('hello'), 'append');
  await until(() => heard.length >= 2);
  expect(heard.toSorted()).toEqual(['1 from 2: hello', '2 from 1: hello']);
});

test('a network that is closed while it loads stays closed', async () => {
  const network = await openPeer(1n, { startsAlone: true });
  network.setPeers(new Map([[2n, ['http://127.0.0.1:1']]]));
  await network.close();
  expect(network.connectedSince(2n)).toBe(null);
});
