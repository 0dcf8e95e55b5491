/**
 * What a group is run against: one member, or several on this machine that form a cluster.
 *
 * Members talk to each other directly, with the default heartbeat and election timeout of both servers; each has a
 * folder of its own below the same one, so all logs are on the same disk.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '@quorate/client';
import { ClusterMember, freePorts, startEtcd, startQuorate } from '@quorate/testing';
import type { ServerName } from './figures.ts';

const OUTPUT_CHARACTERS = 4_000;

export interface ServerUnderTest {
  readonly name: ServerName;
  /** Of every member, the leader's first. */
  readonly endpoints: readonly [leader: string, ...others: string[]];
  readonly pids: readonly number[];
  /** Holds the data of all members. */
  readonly folder: string;
  /** The last of what the members wrote, for when something goes wrong. */
  output(): string;
  /** Ends every member with the signal; resolves when all have ended. */
  end(signal: NodeJS.Signals): Promise<void>;
}

export interface StartOptions {
  readonly name: ServerName;
  readonly members: number;
  readonly folder: string;
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly readyTimeoutMs: number;
}

/** Resolves when a linearizable get is answered (by every member). */
export function startServer(options: StartOptions): Promise<ServerUnderTest> {
  return options.members === 1 ? startOne(options) : startCluster(options);
}

async function startOne({
  name,
  folder,
  flags,
  env,
  readyTimeoutMs,
}: StartOptions): Promise<ServerUnderTest> {
  const start = name === 'quorate' ? startQuorate : startEtcd;
  const process = await start({ dataDirectory: folder, flags, env, readyTimeoutMs });
  return {
    name,
    endpoints: [process.endpoint],
    pids: [process.pid],
    folder,
    output: () => process.output().slice(-OUTPUT_CHARACTERS),
    async end(signal) {
      await process.end(signal);
    },
  };
}

async function startCluster(options: StartOptions): Promise<ServerUnderTest> {
  const { name, folder, flags, env } = options;
  const ports = await freePorts(options.members * 2);
  const members = Array.from({ length: options.members }, (_, i) => {
    const clientPort = ports[2 * i] as number;
    const peerPort = ports[2 * i + 1] as number;
    const place = {
      name: `m${i + 1}`,
      clientPort,
      peerPort,
      // No proxy stands before them.
      ownClientPort: clientPort,
      ownPeerPort: peerPort,
      folder: join(folder, `m${i + 1}`),
    };
    return new ClusterMember(name, place, flags, env);
  });
  const end = async (signal: NodeJS.Signals) => {
    await Promise.all(members.map((member) => member.end(signal)));
  };
  try {
    const initial = members.map((member) => `${member.name}=${member.peerUrl}`).join(',');
    for (const member of members) member.start({ initial, state: 'new' });
    const giveUpMs = performance.now() + options.readyTimeoutMs;
    const leads = await Promise.all(members.map((member) => untilServing(member, giveUpMs)));
    const leader = leads.indexOf(true);
    if (leader < 0) throw new Error('the leader changed while the cluster was starting');
    const ordered = [...members.slice(leader), ...members.slice(0, leader)].map(({ endpoint }) => endpoint);
    const pids = members.map(({ pid }) => pid);
    const output = () => members.map((member) => member.output().slice(-OUTPUT_CHARACTERS)).join('\n');
    return { name, endpoints: ordered as [string, ...string[]], pids, folder, output, end };
  } catch (error) {
    await end('SIGKILL');
    throw error;
  }
}

/** @returns whether this member leads */
async function untilServing(member: ClusterMember, giveUpMs: number): Promise<boolean> {
  const client = connect(member.endpoint);
  try {
    for (;;) {
      try {
        await client.kv.get('ready', { timeoutMs: 1_000 });
        const { leader, header } = await client.maintenance.status({ timeoutMs: 1_000 });
        return leader === header.memberId;
      } catch (error) {
        if (!member.isRunning || performance.now() > giveUpMs) {
          throw new Error(
            `${member.name} does not serve: ${error}\n${member.output().slice(-OUTPUT_CHARACTERS)}`,
          );
        }
        await sleep(20);
      }
    }
  } finally {
    await client.close();
  }
}
