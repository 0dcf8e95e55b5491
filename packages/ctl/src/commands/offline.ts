/** The server's offline door for commands that work on files, and what they have in common. Loaded when one runs. */
import { getSystemErrorMap } from 'node:util';
import type { ClusterPlan } from '@quorate/server/offline';
import type { CommandLine } from '../command.ts';
import { badArgs, CommandError, ExitCode, systemErrorText } from '../exit.ts';

export type OfflineDoor = typeof import('@quorate/server/offline');

/** Runs `work`; what keeps it from its end comes out as the command's error, with etcdutl's exit codes. */
export async function offline<T>(work: (door: OfflineDoor) => Promise<T>): Promise<T> {
  const door = await import('@quorate/server/offline');
  try {
    return await work(door);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const isFlags = error instanceof door.OfflineError && error.code === 'bad-flags';
    throw new CommandError(isFlags ? ExitCode.BAD_ARGS : ExitCode.ERROR, plainText(error), { cause: error });
  }
}

/** The log's and the store's errors have a name of the system; what LMDB says beside it is for its makers. */
function plainText(error: Error & { code?: unknown; operation?: string; path?: string }): string {
  const system = systemErrorText(error);
  if (system !== null) return system;
  const [, text] = [...getSystemErrorMap().values()].find(([name]) => name === error.code) ?? [];
  if (text === undefined) return error.message;
  const { operation, path } = error;
  return operation === undefined ? text : `${operation} ${path}: ${text}`;
}

/** Which member of which cluster is to be made. */
export function clusterPlan(door: OfflineDoor, { flags }: CommandLine): ClusterPlan {
  return {
    name: flags.string('name'),
    initialCluster: door.parseInitialCluster(flags.string('initial-cluster')),
    initialClusterToken: flags.string('initial-cluster-token'),
    peerUrls: flags.list('initial-advertise-peer-urls'),
  };
}

/** A flag that counts something. */
export function unsigned(line: CommandLine, name: string): number {
  const value = line.flags.int(name);
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw badArgs(`--${name} is out of range`);
  return Number(value);
}
