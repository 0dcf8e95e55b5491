/**
 * wal verify and wal dump: the write-ahead log of a member, read from its files. Nothing is changed and no server is
 * asked. On a running member they see a moment of the log, and may take the write of that moment for a torn one.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DiskError, describeVerification, dumpWal, verifyWal, type WalVerification } from '@quorate/wal';
import type { CommandLine, Run } from '../command.ts';
import type { Context } from '../context.ts';
import { badArgs, CommandError, ExitCode } from '../exit.ts';
import * as fields from '../output/fields.ts';
import { checkFormat } from '../output/report.ts';

export const verify: Run = async (context, line) => {
  checkFormat(context.globals.string('write-out'), ['simple', 'json', 'fields', 'table']);
  const directory = logDirectory('verify', line);
  const found = reading(directory, () => verifyWal(directory));
  if (found === null) throw noLog(directory);
  report(context, found);
  if (!found.ok) throw new CommandError(ExitCode.ERROR, `the log in ${directory} is corrupt`);
};

export const dump: Run = async (context, line) => {
  checkFormat(context.globals.string('write-out'), ['simple']);
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

function report(context: Context, found: WalVerification): void {
  const { hardState, snapshot, corruption, torn } = found;
  const facts: readonly (readonly [name: string, value: number | bigint | boolean])[] = [
    ['ok', found.ok],
    ['frames', found.frameCount],
    ['entries', found.entryCount],
    ['first index', found.firstIndex ?? 0],
    ['last index', found.lastIndex ?? 0],
    ['term', hardState?.term ?? 0],
    ['vote', hardState?.vote ?? 0n],
    ['commit', hardState?.commit ?? 0],
    ['snapshot index', snapshot?.index ?? 0],
    ['torn', torn !== null],
  ];
  const problem = corruption?.message ?? '';
  const camel = (name: string): string =>
    name.replace(/ (.)/g, (_match, letter: string) => letter.toUpperCase());
  context.print({
    simple: () => describeVerification(found).map((text) => `${text}\n`),
    json: () => ({
      ...Object.fromEntries(facts.map(([name, value]) => [camel(name), value])),
      segments: found.segments.map(({ file, usedBytes, maxIndex }) => ({ file, usedBytes, maxIndex })),
      ...(problem === '' ? {} : { corruption: problem }),
    }),
    fields: () =>
      facts
        .map(([name, value]) => fields.field(`${name[0]!.toUpperCase()}${name.slice(1)}`, value))
        .join('') + (problem === '' ? '' : fields.text('Corruption', problem)),
    table: () => ({ header: facts.map(([name]) => name), rows: [facts.map(([, value]) => `${value}`)] }),
  });
}
