/**
 * What messages between members cost: two members on loopback, each in a process of its own, in the pattern of replication.
 *
 *     node --conditions=@quorate/source packages/server/bench/peers.ts [SECONDS]
 *
 * The leader sends one append in each turn and waits for the answers to it before the next but seven, so that eight are under
 * way; the follower answers each. For several sizes of append it prints turns a second and processor time a turn, for each
 * side. A ping-pong with one under way gives the time to the other side and back.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseUrl } from '../src/config/urls.ts';
import { nodeEnv } from '../src/node/env.ts';
import { createPeerNetwork, type PeerNetwork } from '../src/peers/peer-network.ts';

const LEADER = 1n;
const FOLLOWER = 2n;
const ANSWER = Buffer.alloc(40);

function open(memberId: bigint): Promise<PeerNetwork> {
  return createPeerNetwork({
    env: nodeEnv({ log() {} }),
    clusterId: 1n,
    memberId,
    serverVersion: '3.7.0',
    listenUrls: [parseUrl('http://127.0.0.1:0')],
    electionMs: 1_000,
    isRemoved: () => false,
    describe: () => ({ clusterVersion: null, members: [] }),
  });
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

async function follow(): Promise<void> {
  const network = await open(FOLLOWER);
  network.onMessage((from) => network.send(from, ANSWER, 'append'));
  network.onCall('cpu', (_from, _request, done) => done(null, Buffer.from(String(cpuMs()))));
  process.on('message', (url: string) => network.setPeers(new Map([[LEADER, [url]]])));
  process.on('disconnect', () => process.exit());
  process.send!(`http://${network.addresses[0]}`);
}

async function lead(seconds: number): Promise<void> {
  const follower = fork(fileURLToPath(import.meta.url), ['follow'], {
    execArgv: process.execArgv,
  });
  const network = await open(LEADER);
  const url = await new Promise<string>((resolve) => follower.once('message', resolve as () => void));
  follower.send(`http://${network.addresses[0]}`);
  network.setPeers(new Map([[FOLLOWER, [url]]]));
  while (network.connectedSince(FOLLOWER) === null) await new Promise((resolve) => setTimeout(resolve, 10));
  const theirCpuMs = () =>
    new Promise<number>((resolve) => {
      network.call(FOLLOWER, 'cpu', Buffer.alloc(0), 5_000, (_error, answer) => resolve(Number(answer)));
    });

  for (const [bytes, underWay] of [
    [400, 1],
    [20_000, 1],
    [400, 8],
    [20_000, 8],
    [200_000, 8],
  ] as const) {
    const append = Buffer.alloc(bytes, 7);
    let turns = 0;
    let running = true;
    network.onMessage(() => {
      turns++;
      if (running) network.send(FOLLOWER, append, 'append');
    });
    for (let i = 0; i < underWay; i++) network.send(FOLLOWER, append, 'append');
    await new Promise((resolve) => setTimeout(resolve, 500));
    const [ownBefore, theirsBefore, turnsBefore, startMs] = [
      cpuMs(),
      await theirCpuMs(),
      turns,
      performance.now(),
    ];
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
    const [own, theirs, count] = [
      cpuMs() - ownBefore,
      (await theirCpuMs()) - theirsBefore,
      turns - turnsBefore,
    ];
    const elapsedSec = (performance.now() - startMs) / 1_000;
    running = false;
    console.log(
      `append ${bytes} B, ${underWay} under way: ${Math.round(count / elapsedSec)} turns/s, ` +
        `leader ${((own / count) * 1_000).toFixed(0)} us, follower ${((theirs / count) * 1_000).toFixed(0)} us a turn`,
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  follower.disconnect();
  await network.close();
}

if (process.argv[2] === 'follow') await follow();
else await lead(Number(process.argv[2] ?? 3));
