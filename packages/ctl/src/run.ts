/**
 * From the words of a command line to an exit code: find the command, read its flags, run it, say what went wrong.
 *
 * Nothing here ends the process; `main.ts` does, and tests call `run` directly.
 */
import { ClientError, type ConnectionFailure } from '@quorate/client';
import { type Command, type CommandGroup, findEntry, isGroup } from './command.ts';
import { Context, type Io } from './context.ts';
import { CommandError, callErrorText, ExitCode, systemErrorText } from './exit.ts';
import { FlagError, type FlagSpecs, FlagValues, parseFlags } from './flags.ts';
import { describeEnvironment, globalFlags, withEnvironment } from './globals.ts';
import { commandHelp, groupHelp, programHelp } from './help.ts';
import { plainReason } from './reasons.ts';
import { entries, PROGRAM } from './registry.ts';

export async function run(words: readonly string[], io: Io): Promise<number> {
  try {
    return await dispatch(words, io);
  } catch (error) {
    const system = systemErrorText(error);
    if (system !== null) {
      io.stderr(`Error: ${system}\n`);
      return ExitCode.IO;
    }
    if (!(error instanceof CommandError) && !(error instanceof ClientError)) throw error;
    // One line: what etcdctl says, and what a person needs to know beside it.
    const reason = connectionProblem(error);
    const text = error instanceof CommandError ? error.message : callErrorText(error);
    if (text !== '') io.stderr(`Error: ${text}${reason === '' ? '' : ` (${reason})`}\n`);
    return error instanceof CommandError ? error.exitCode : ExitCode.ERROR;
  }
}

/** Which servers could not be reached, and why; empty when that is not the problem. */
function connectionProblem(error: unknown): string {
  const client = error instanceof ClientError ? error : (error as Error).cause;
  if (!(client instanceof ClientError) || client.code !== 'CONNECTION_FAILED') return '';
  const failures = client.cause as readonly ConnectionFailure[];
  const texts = failures.map(({ endpoint, reason }) => `${endpoint}: ${plainReason(reason)}`);
  return `no connection to ${texts.join('; ')}`;
}

interface Found {
  readonly command: Command;
  /** `lease grant` */
  readonly path: string;
  /** How many of the words are its name. */
  readonly nameWords: number;
}

async function dispatch(words: readonly string[], io: Io): Promise<number> {
  const found = find(words);
  if (found === null) {
    const known = parsed(words, globalFlags, '');
    if (known.args.length > 0) throw unknownCommand(known.args[0] ?? '');
    io.stdout(programHelp());
    return ExitCode.OK;
  }
  if (!('command' in found)) {
    io.stdout(groupHelp(found));
    return ExitCode.OK;
  }
  const { command, path, nameWords } = found;
  const specs = { ...globalFlags, ...command.flags };
  const { given, args, separator } = parsed(words, specs, ` ${path}`);
  const globals = pick(given, globalFlags, command.flags);
  const line = {
    args: args.slice(nameWords),
    separator: separator === null ? null : Math.max(0, separator - nameWords),
    flags: flagValues(command.flags, pick(given, command.flags, {}), path),
  };
  const context = new Context(
    io,
    withEnvironment(globals, io.env, (text) => io.stderr(`Warning: ${text}\n`)),
  );
  if (context.globals.bool('help')) {
    io.stdout(commandHelp(path, command));
    return ExitCode.OK;
  }
  if (context.globals.bool('debug')) io.stderr(describeEnvironment(context.globals));
  try {
    const work = await command.load();
    await work(context, line);
    return ExitCode.OK;
  } finally {
    context.close();
  }
}

/** The command that the words name: null for none at all, the group when only its name is there. */
function find(words: readonly string[]): Found | CommandGroup | null {
  // Flags of the command may stand before its second word, so both readings know what is known so far.
  const [first] = parseFlags(words, globalFlags, false).args;
  if (first === undefined) return null;
  const entry = findEntry(entries, first);
  if (!entry) return null;
  if (!isGroup(entry)) return { command: entry, path: entry.name, nameWords: 1 };
  const union: FlagSpecs = Object.assign({}, globalFlags, ...entry.commands.map((command) => command.flags));
  const second = parseFlags(words, union, false).args[1];
  const command = second === undefined ? undefined : findEntry(entry.commands, second);
  return command ? { command, path: `${entry.name} ${command.name}`, nameWords: 2 } : entry;
}

function unknownCommand(word: string): CommandError {
  const similar = entries.filter(({ name }) => name.startsWith(word)).map(({ name }) => `\t${name}\n`);
  const hint = similar.length > 0 ? `\n\nDid you mean this?\n${similar.join('')}` : '';
  return new CommandError(
    ExitCode.ERROR,
    `unknown command "${word}" for "${PROGRAM}"${hint}\nRun '${PROGRAM} --help' for usage.`,
  );
}

function parsed(words: readonly string[], specs: FlagSpecs, path: string): ReturnType<typeof parseFlags> {
  try {
    return parseFlags(words, specs);
  } catch (error) {
    throw flagProblem(error, path);
  }
}

function flagValues(specs: FlagSpecs, given: Map<string, string>, path: string): FlagValues {
  try {
    return new FlagValues(specs, given);
  } catch (error) {
    throw flagProblem(error, ` ${path}`);
  }
}

function flagProblem(error: unknown, path: string): unknown {
  if (!(error instanceof FlagError)) return error;
  return new CommandError(ExitCode.ERROR, `${error.message}\nRun '${PROGRAM}${path} --help' for usage.`);
}

/** The flags given that are in `specs` and not in `others`. */
function pick(given: Map<string, string>, specs: FlagSpecs, others: FlagSpecs): Map<string, string> {
  return new Map([...given].filter(([name]) => Object.hasOwn(specs, name) && !Object.hasOwn(others, name)));
}
