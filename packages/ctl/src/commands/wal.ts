/**
 * wal verify and wal dump: the write-ahead log of a member, read from its files. Nothing is changed and no server is
 * asked. On a running member they see a moment of the log, and may take the write of that moment for a torn one.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DiskError, describeVerification, dumpWal, verifyWal } from '@quorate/wal';
import type { CommandLine, Run } from '../command.ts';
import type { Context } from '../context.ts';
import { badArgs, CommandError, ExitCode } from '../exit.ts';

export const verify: Run = async (context, line) => {
  const directory = logDirectory('verify', line);
  const found = reading(directory, () => verifyWal(directory));
  if (found === null) throw noLog(directory);
  print(context, describeVerification(found));
  if (!found.ok) throw new CommandError(ExitCode.ERROR, `the log in ${directory} is corrupt`);
};

export const dump: Run = async (context, line) => {
  const directory = logDirectory('dump', line);
  const entryBytes = Number(line.flags.int('entry-bytes'));
  const show = (text: string): undefined => void context.io.stdout(`${text}\n`);
  const options = entryBytes < 0 ? {} : { entryBytes };
  const damage = reading(directory, () => dumpWal(directory, show, options));
  if (damage === undefined) throw noLog(directory);
  if (damage !== null) throw new CommandError(ExitCode.ERROR, `the log in ${directory} is corrupt`);
};

/** The folder named, or the `wal` folder in it when a member's data folder was named. */
function logDirectory(command: string, { args }: CommandLine): string {
  const [directory] = args;
  if (directory === undefined || args.length !== 1) throw badArgs(`wal ${command} command needs 1 argument`);
  const inside = join(directory, 'wal');
  return existsSync(inside) ? inside : directory;
}

function reading<T>(directory: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    throw new CommandError(ExitCode.IO, `cannot read ${directory} (${error.message})`, { cause: error });
  }
}

function noLog(directory: string): CommandError {
  return new CommandError(ExitCode.IO, `there is no log in ${directory}`);
}

function print(context: Context, lines: readonly string[]): void {
  context.io.stdout(lines.map((text) => `${text}\n`).join(''));
}
