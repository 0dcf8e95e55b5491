/**
 * Flags as etcdctl takes them, over `util.parseArgs`: the tokens are Node's, the types and the words of the
 * complaints are ours. (A flag library would bring its own texts; scripts match on these.)
 */
import { parseArgs } from 'node:util';
import { parseBool, parseDurationMs, parseFlagInt64 } from './go-values.ts';

export type FlagType = 'bool' | 'string' | 'int' | 'duration' | 'list';

export interface FlagSpec {
  readonly type: FlagType;
  readonly short?: string;
  /** What `--help` says. */
  readonly help: string;
  /** In the notation of the command line. */
  readonly default: string;
}

export type FlagSpecs = Readonly<Record<string, FlagSpec>>;

export class FlagError extends Error {
  override readonly name = 'FlagError';
}

/** Values of flags by type; asking for a flag that is not declared is a bug here, not the user's. */
export class FlagValues {
  private readonly specs: FlagSpecs;
  private readonly given: Map<string, string>;

  constructor(specs: FlagSpecs, given: Map<string, string>) {
    this.specs = specs;
    this.given = given;
    for (const [name, text] of given) this.check(name, text);
  }

  /** Whether it was on the command line or in the environment. */
  has(name: string): boolean {
    return this.given.has(name);
  }

  bool(name: string): boolean {
    return parseBool(this.text(name));
  }

  string(name: string): string {
    return this.text(name);
  }

  int(name: string): bigint {
    return parseFlagInt64(this.text(name));
  }

  durationMs(name: string): number {
    return parseDurationMs(this.text(name));
  }

  list(name: string): string[] {
    return this.text(name)
      .split(',')
      .filter((item) => item !== '');
  }

  /** As it was given, or its default. */
  text(name: string): string {
    const spec = this.specs[name];
    if (!spec) throw new TypeError(`flag --${name} is not declared`);
    return this.given.get(name) ?? spec.default;
  }

  private check(name: string, text: string): void {
    const spec = this.specs[name];
    try {
      if (spec?.type === 'bool') parseBool(text);
      else if (spec?.type === 'int') parseFlagInt64(text);
      else if (spec?.type === 'duration') parseDurationMs(text);
    } catch (error) {
      const reason = (error as Error).message;
      const flag = spec?.short ? `-${spec.short}, --${name}` : `--${name}`;
      throw new FlagError(`invalid argument ${JSON.stringify(text)} for "${flag}" flag: ${reason}`);
    }
  }
}

export interface Parsed {
  readonly given: Map<string, string>;
  readonly args: readonly string[];
  /** Where in `args` the words after `--` begin; null when there was no `--`. */
  readonly separator: number | null;
}

/**
 * Splits a command line into flags and words, which may stand in any order.
 * @param strict false: flags that are not in `specs` are passed over, for finding the command's name
 */
export function parseFlags(words: readonly string[], specs: FlagSpecs, strict = true): Parsed {
  const options: Record<string, { type: 'boolean' | 'string'; short?: string }> = {};
  for (const [name, spec] of Object.entries(specs)) {
    const type = spec.type === 'bool' ? 'boolean' : 'string';
    options[name] = spec.short === undefined ? { type } : { type, short: spec.short };
  }
  const { tokens } = parseArgs({
    args: [...words],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given = new Map<string, string>();
  const args: string[] = [];
  let separator: number | null = null;
  let assigned = -1;
  for (const token of tokens) {
    if (token.index === assigned) continue;
    if (token.kind === 'positional') args.push(token.value);
    else if (token.kind === 'option-terminator') separator = args.length;
    else {
      const value = assignedToShort(token, words, specs);
      if (value !== null) assigned = token.index;
      addFlag(value === null ? token : { ...token, value }, specs, given, strict);
    }
  }
  return { given, args, separator };
}

interface OptionToken {
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

/** `-i=false`, which Node takes for a row of short flags: `-i`, `-=`, `-f` and so on, all of one word. */
function assignedToShort(
  token: OptionToken & { readonly index: number },
  words: readonly string[],
  specs: FlagSpecs,
): string | null {
  const isBool = Object.hasOwn(specs, token.name) && specs[token.name]?.type === 'bool';
  if (!isBool || token.rawName.startsWith('--')) return null;
  const word = words[token.index] ?? '';
  const at = word.indexOf('=');
  return at > 1 && word[at - 1] === token.rawName[1] ? word.slice(at + 1) : null;
}

function addFlag(token: OptionToken, specs: FlagSpecs, given: Map<string, string>, strict: boolean): void {
  // `--constructor` is nobody's flag.
  const spec = Object.hasOwn(specs, token.name) ? specs[token.name] : undefined;
  const long = token.rawName.startsWith('--');
  if (!spec) {
    if (!strict) return;
    throw new FlagError(
      long
        ? `unknown flag: ${token.rawName}`
        : `unknown shorthand flag: ${quoteChar(token.name)} in ${token.rawName}`,
    );
  }
  if (spec.type === 'bool') {
    given.set(token.name, token.value ?? 'true');
    return;
  }
  if (token.value === undefined) {
    if (!strict) return;
    const flag = long ? token.rawName : `${quoteChar(token.rawName.slice(1))} in ${token.rawName}`;
    throw new FlagError(`flag needs an argument: ${flag}`);
  }
  // `-w=json`: Node keeps the equals sign of a short flag.
  const value = !long && token.inlineValue ? token.value.replace(/^=/, '') : token.value;
  const before = given.get(token.name);
  given.set(token.name, spec.type === 'list' && before !== undefined ? `${before},${value}` : value);
}

function quoteChar(char: string): string {
  return `'${char}'`;
}
