/**
 * What a command is. Its description is data, so that finding a command and printing help load nothing else; what it
 * does is loaded when it runs.
 *
 * A new command: write `commands/name.ts`, add its description to `registry.ts`.
 */

import type { Context } from './context.ts';
import type { FlagSpecs, FlagValues } from './flags.ts';

export interface CommandLine {
  readonly args: readonly string[];
  /** How many of `args` stood before `--`; null when there was no `--`. */
  readonly separator: number | null;
  readonly flags: FlagValues;
}

export type Run = (context: Context, line: CommandLine) => Promise<void>;

export interface Command {
  readonly name: string;
  /** Behind the name in the usage line: `[options] <key> [range_end]`. */
  readonly usage: string;
  readonly summary: string;
  readonly description?: string;
  readonly flags: FlagSpecs;
  /** Not found by the beginning of its name: `comp` has always been `compaction`. */
  readonly wholeNameOnly?: boolean;
  readonly load: () => Promise<Run>;
}

/** A word that only leads to other commands: `lease grant`. */
export interface CommandGroup {
  readonly name: string;
  readonly wholeNameOnly?: boolean;
  readonly summary: string;
  readonly commands: readonly Command[];
}

export interface Section {
  readonly title: string;
  readonly entries: readonly (Command | CommandGroup)[];
}

export function isGroup(entry: Command | CommandGroup): entry is CommandGroup {
  return 'commands' in entry;
}

/** The entry called `word`, or the only one whose name begins with it. */
export function findEntry<T extends { readonly name: string; readonly wholeNameOnly?: boolean }>(
  entries: readonly T[],
  word: string,
): T | undefined {
  const exact = entries.find((entry) => entry.name === word);
  if (exact) return exact;
  const matches = entries.filter((entry) => entry.name.startsWith(word) && !entry.wholeNameOnly);
  return matches.length === 1 ? matches[0] : undefined;
}
