/**
 * snapshot save, restore, status. Saving asks a server; the others read and write files, through the server's offline door.
 *
 * A snapshot is written beside its name and renamed once it is whole, checked and on disk.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { CommandLine, Run } from '../command.ts';
import type { Context } from '../context.ts';
import { badArgs, CommandError, callErrorText, ExitCode } from '../exit.ts';
import { formatBytes } from '../go-values.ts';
import * as fields from '../output/fields.ts';
import { checkFormat } from '../output/report.ts';
import { clusterPlan, offline, unsigned } from './offline.ts';

export const save: Run = async (context, line) => {
  const [path] = line.args;
  if (path === undefined || line.args.length !== 1) throw badArgs('snapshot save expects one argument');
  const endpoints = await context.endpoints();
  if (endpoints.length !== 1) {
    throw new CommandError(
      ExitCode.INTERRUPTED,
      `snapshot must be requested to one selected node, not multiple [${endpoints.join(' ')}]`,
    );
  }
  await refuseOther(path);
  const client = await context.client();
  const part = `${path}.part`;
  let version = '';
  try {
    const file = await open(part, 'w', 0o600).catch((error: unknown) => {
      throw new Error(`could not open ${part} (${callErrorText(error)})`, { cause: error });
    });
    try {
      const timeout = context.globals.has('command-timeout') ? { timeoutMs: context.timeoutMs } : {};
      version = await download(client.maintenance.snapshot(timeout), file);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    // What is told is why saving failed, not why there was nothing to remove.
    await rm(part, { force: true }).catch(() => {});
    throw new CommandError(ExitCode.INTERRUPTED, callErrorText(error), { cause: error });
  }
  context.io.stdout(`Snapshot saved at ${path}\n`);
  if (version !== '') context.io.stdout(`Server version ${version}\n`);
};

/** A device or a folder would be replaced: renaming does not write into what is there. */
async function refuseOther(path: string): Promise<void> {
  const there = await stat(path).catch(() => null);
  if (there === null || there.isFile()) return;
  const what = there.isDirectory() ? 'is a directory' : 'is no regular file';
  throw new CommandError(ExitCode.INTERRUPTED, `could not save to ${path} (${what})`);
}

/** The name outlives a power loss only when its folder is on disk too. */
async function syncDirectory(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

type Parts = AsyncIterable<{
  readonly remainingBytes: number;
  readonly bytes: Uint8Array;
  readonly version: string;
}>;

/** Writes the parts one after the other. @returns the storage version that the server told */
export async function download(parts: Parts, file: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  let version = '';
  let sum: Uint8Array | null = null;
  let previous: Uint8Array | null = null;
  for await (const part of parts) {
    version = part.version;
    // The last piece is the checksum of all others; which one is last is known when there is no other.
    if (previous !== null) hash.update(previous);
    previous = part.bytes;
    sum = part.bytes;
    // Unlike `write`, goes on after a write that took only a part.
    await file.appendFile(part.bytes);
  }
  if (sum?.length !== 32) throw new Error('the snapshot ended before its checksum');
  if (!hash.digest().equals(sum)) throw new Error('the snapshot does not match its checksum');
  return version;
}

export const status: Run = async (context, line) => {
  const [path] = line.args;
  if (path === undefined || line.args.length !== 1)
    throw badArgs('snapshot status requires exactly one argument');
  checkFormat(context.globals.string('write-out'), ['simple', 'json', 'fields', 'table']);
  const found = await offline((door) => door.snapshotStatus(path));
  const { hash, revision, totalKey, totalSize, version } = found;
  const cells = [hash.toString(16), `${revision}`, `${totalKey}`, formatBytes(BigInt(totalSize)), version];
  context.print({
    simple: () => [`${cells.join(', ')}\n`],
    json: () => ({ hash, revision, totalKey, totalSize, version }),
    fields: () =>
      fields.field('Hash', hash) +
      fields.field('Revision', revision) +
      fields.field('Keys', totalKey) +
      fields.field('Size', totalSize) +
      fields.field('Version', version),
    table: () => ({ header: ['hash', 'revision', 'total keys', 'total size', 'version'], rows: [cells] }),
  });
};

export const restore: Run = async (context, line) => {
  const [snapshotPath] = line.args;
  if (snapshotPath === undefined || line.args.length !== 1)
    throw badArgs('snapshot restore requires exactly one argument');
  const bumpRevision = unsigned(line, 'bump-revision');
  const markCompacted = line.flags.bool('mark-compacted');
  if (bumpRevision > 0 !== markCompacted) throw badArgs('--mark-compacted required if --revision-bump > 0');
  const target = targetOf(line);
  const restored = await offline(async (door) =>
    door.restoreSnapshot({
      ...target,
      ...clusterPlan(door, line),
      snapshotPath,
      skipHashCheck: line.flags.bool('skip-hash-check'),
      bumpRevision,
      markCompacted,
    }),
  );
  tell(context, `restored ${snapshotPath} to ${target.dataDirectory}`, restored);
};

/** Folder of the new member: `NAME.etcd` when none is given, as in etcd. */
export function targetOf({ flags }: CommandLine): { dataDirectory: string; walDirectory: string | null } {
  const given = flags.string('data-dir');
  const walDirectory = flags.string('wal-dir');
  return {
    dataDirectory: given === '' ? `${flags.string('name')}.etcd` : given,
    walDirectory: walDirectory === '' ? null : walDirectory,
  };
}

interface NewMember {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: number;
  readonly authEnabled: boolean;
}

/** On standard error, where etcdutl logs. */
export function tell(context: Context, what: string, member: NewMember): void {
  const { clusterId, memberId, revision, authEnabled } = member;
  context.io.stderr(
    `${what}: member ${memberId.toString(16)}, cluster ${clusterId.toString(16)}, revision ${revision}\n`,
  );
  if (authEnabled) {
    context.io.stderr(
      'Warning: authentication was on in the source. Users and roles are kept, but this server does not ask for them yet: ' +
        'whoever reaches it can read and write.\n',
    );
  }
}
