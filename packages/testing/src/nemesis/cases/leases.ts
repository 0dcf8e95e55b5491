/** Leases whose leader dies, hangs or is asked too late; locks and fences (section 2 G). */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClusterMember } from '../../cluster/member.ts';
import { troubleDisk } from '../../cluster/strace.ts';
import { aFollower, kill } from '../fault.ts';
import { ask, type Case, count, must, needsStrace, put, until } from './script.ts';

/** For what a script cannot go on without: a machine may be busy. */
const PATIENT_MS = 20_000;

export const LEASES: readonly Case[] = [
  {
    number: 52,
    holds: 'a lease outlives the death of its leader, and still ends',
    options: { load: ['lease', 'lease', 'lock', 'register'] },
    async script(world) {
      const { cluster } = world;
      for (let time = 0; time < 2; time++) {
        const through = await aFollower(world);
        const ID = BigInt(777_000 + time);
        must(
          (await ask(world, through, { kind: 'lease-grant', lease: ID, ttlSec: 3 }, PATIENT_MS)).ok,
          'no lease',
        );
        const grantedMs = performance.now();
        must((await put(world, through, `lasting/${time}`, ID)).ok, 'no key');
        const leader = await cluster.waitForLeader();
        await sleep(Math.max(0, 2300 - (performance.now() - grantedMs)));
        await world.disturbed(async () => {
          await kill(world, leader);
          cluster.restart(leader);
          await cluster.healAll();
        });
        await until('the key goes', 15_000, async () => {
          return (await count(world, through, `lasting/${time}`)) === 0;
        });
        must(performance.now() - grantedMs >= 3000, 'the key went before its time');
      }
    },
  },
  {
    number: 53,
    holds: 'a leader stuck in its disk revokes nothing once it is deposed',
    unable: needsStrace,
    options: { load: ['register'] },
    async script(world) {
      const { cluster } = world;
      const leader = await cluster.waitForLeader();
      const [through] = cluster.members.filter((member) => member !== leader) as [ClusterMember];
      const ID = 888_000n;
      must(
        (await ask(world, through, { kind: 'lease-grant', lease: ID, ttlSec: 8 }, PATIENT_MS)).ok,
        'no lease',
      );
      must((await put(world, through, 'lasting/53', ID)).ok, 'no key');
      await world.disturbed(async () => {
        const trouble = await troubleDisk(leader.pid, ['fdatasync', 'fsync'], 'delay_enter=12000000');
        cluster.mesh.cut([leader.name], cluster.others(leader));
        cluster.mesh.cut(cluster.others(leader), [leader.name]);
        await cluster.waitForLeader(15_000, leader);
        const untilMs = performance.now() + 12_000;
        let [renewedMs, longestMs, refusal] = [performance.now(), 0, ''];
        while (performance.now() < untilMs) {
          const alive = await ask(world, through, { kind: 'lease-keepalive', lease: ID });
          longestMs = Math.max(longestMs, performance.now() - renewedMs);
          if (alive.ok && alive.answer.kind === 'lease-keepalive' && alive.answer.ttlSec > 0) {
            renewedMs = performance.now();
          } else refusal = alive.ok ? 'it is gone' : alive.error;
          await sleep(300);
        }
        must(
          longestMs < 7000,
          `nothing was shown: the lease was not renewed for ${Math.round(longestMs)} ms: ${refusal}`,
        );
        cluster.mesh.healAll();
        await trouble?.end();
        await cluster.healAll();
        await sleep(1000);
        must(
          (await count(world, through, 'lasting/53')) === 1,
          'the old leader revoked a lease that was kept alive',
        );
        await ask(world, through, { kind: 'lease-revoke', lease: ID });
      });
    },
  },
  {
    number: 54,
    holds: 'a keep-alive of a lease that is gone says so in the stream',
    async script({ cluster }) {
      for (const member of cluster.members) {
        await until(`${member.name} answers`, 30_000, async () => {
          const gone = await cluster.observer(member).keepAlive(123_456_789n, 10_000);
          must(!gone.ok || gone.response.ttlSec <= 0, `${member.name} says ${JSON.stringify(gone)}`);
          return gone.ok;
        });
      }
    },
  },
  {
    number: 57,
    holds: 'a holder that slept through the end of its lease writes nothing under its fence',
    options: { load: ['register'] },
    async script(world) {
      const { cluster } = world;
      const [first, second] = cluster.members as [ClusterMember, ClusterMember];
      const take = async (member: ClusterMember, lease: bigint): Promise<number | null> => {
        must(
          (await ask(world, member, { kind: 'lease-grant', lease, ttlSec: 2 }, PATIENT_MS)).ok,
          'no lease',
        );
        const sent = await ask(world, member, {
          kind: 'txn',
          compare: [{ key: 'lock', target: 'create', result: 'equal', operand: 0 }],
          success: [{ kind: 'put', key: 'lock', value: `holder-${lease}`, lease }],
          failure: [],
        });
        return sent.ok && sent.answer.kind === 'txn' && sent.answer.succeeded ? sent.header.revision : null;
      };
      const write = (member: ClusterMember, fence: number) =>
        ask(world, member, {
          kind: 'txn',
          compare: [{ key: 'lock', target: 'create', result: 'equal', operand: fence }],
          success: [{ kind: 'put', key: 'fenced/57', value: `${fence} ${world.random.uint32()}` }],
          failure: [],
        });
      const fence = await take(first, 57_001n);
      must(fence !== null, 'a free lock is not taken');
      must((await take(second, 57_002n)) === null, 'a lock that is held is taken');
      // The holder sleeps; its lease runs out, and another one comes.
      let taken: number | null = null;
      let lease = 57_003n;
      await until('the lock is free', 20_000, async () => {
        taken = await take(second, lease++);
        return taken !== null;
      });
      const late = await write(first, fence);
      must(late.ok && late.answer.kind === 'txn' && !late.answer.succeeded, 'the sleeper wrote');
      // The control: what trusts the lock alone loses a write by the same sleep.
      const bare = (member: ClusterMember, value: string) =>
        ask(world, member, { kind: 'put', key: 'unfenced/57', value, lease: 0n }, 10_000);
      must((await bare(second, 'of the holder')).ok, 'the holder does not write');
      must(
        (await bare(first, 'of the sleeper')).ok,
        'without a fence nothing keeps the sleeper from writing',
      );
      const read = await ask(world, second, { kind: 'range', key: 'unfenced/57', end: '' }, 10_000);
      must(
        read.ok && read.answer.kind === 'range' && read.answer.kvs[0]?.value === 'of the sleeper',
        'the control lost no write: it shows nothing',
      );
    },
  },
];
