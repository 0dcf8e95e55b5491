/**
 * The command line, by the rules of Go's flag package, which etcd's users know.
 *
 *     -name x    --name x    -name=x    --name=x      the same
 *     --pre-vote      --pre-vote=false                switches take a value only after `=`
 *     --                                              ends the flags
 *
 * The last of several wins. Parsing stops at the first argument that is no flag; the server takes none.
 */
import { type Flag, FORGOTTEN_FLAGS, findFlag } from './flags.ts';
import { type FlagValue, parseValue } from './settings.ts';
import { ValueError } from './values.ts';

/** The command line cannot be understood: exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface CommandLine {
  readonly values: ReadonlyMap<string, FlagValue>;
  readonly warnings: readonly string[];
  /** Ask for help: nothing after it was looked at. */
  readonly help: boolean;
  /** First argument that is no flag. */
  readonly positional: string | null;
}

const forgotten = new Set(FORGOTTEN_FLAGS);

/** @throws UsageError */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const values = new Map<string, FlagValue>();
  const warnings: string[] = [];
  let index = 0;
  while (index < args.length) {
    const argument = args[index]!;
    if (argument === '--') {
      index++;
      break;
    }
    const match = /^--?([^=]*)(?:=(.*))?$/s.exec(argument);
    if (match === null || argument === '-') break;
    index++;
    const name = match[1]!;
    const attached = match[2];
    if (name === '' || name.startsWith('-')) throw new UsageError(`bad flag syntax: ${argument}`);
    if (forgotten.has(name)) {
      warnings.push(`flag "-${name}" is no longer supported - ignoring`);
      continue;
    }
    const flag = findFlag(name);
    if (flag === undefined) {
      if (name === 'help' || name === 'h') return { values, warnings, help: true, positional: null };
      throw new UsageError(`flag provided but not defined: -${name}`);
    }
    let text = attached;
    if (text === undefined) {
      text = flag.kind === 'bool' ? 'true' : args[index++];
      if (text === undefined) throw new UsageError(`flag needs an argument: -${name}`);
    }
    values.set(name, flagValue(flag, text));
  }
  return { values, warnings, help: false, positional: args[index] ?? null };
}

function flagValue(flag: Flag, text: string): FlagValue {
  try {
    return parseValue(flag, text);
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new UsageError(
      flag.kind === 'bool'
        ? `invalid boolean value "${text}" for -${flag.name}: ${error.message}`
        : `invalid value "${text}" for flag -${flag.name}: ${error.message}`,
    );
  }
}
