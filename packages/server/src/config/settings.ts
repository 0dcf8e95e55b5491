/**
 * Settings: the value of every flag, and which of them were given rather than left at their default.
 *
 * Sources differ (command line, environment, file); all of them end here, and everything after reads from here.
 */
import { CHOICES, FLAGS, type Flag, findFlag } from './flags.ts';
import { type EndpointUrl, parseUrls } from './urls.ts';
import { parseBool, parseDuration, parseInteger, parseStrings, ValueError } from './values.ts';

/** Text, switch, number (durations in milliseconds), list of texts or of URLs, as the flag's kind says. */
export type FlagValue = string | boolean | number | readonly string[] | readonly EndpointUrl[];

const INT64 = 2n ** 63n;

/** @throws ValueError */
export function parseValue(flag: Flag, text: string): FlagValue {
  switch (flag.kind) {
    case 'string':
      return text;
    case 'strings':
      return flag.name === 'cors' ? corsOrigins(text) : parseStrings(text);
    case 'bool':
      return parseBool(text);
    case 'int':
      return parseInteger(text, -INT64, INT64 - 1n);
    case 'uint':
      return parseInteger(text, 0n, 2n * INT64 - 1n);
    case 'uint32':
      return parseInteger(text, 0n, 2n ** 32n - 1n);
    case 'duration':
      return parseDuration(text);
    case 'urls':
      return parseUrls(text);
    case 'choice':
      if (!CHOICES[flag.name]!.includes(text)) throw new ValueError('invalid value');
      return text;
  }
}

/** Origins are URLs with an explicit port, or `*`. */
function corsOrigins(text: string): string[] {
  const origins = parseStrings(text);
  if (!origins.includes('*')) parseUrls(text);
  return origins;
}

export class Settings {
  private readonly given: ReadonlyMap<string, FlagValue>;

  constructor(given: ReadonlyMap<string, FlagValue>) {
    this.given = given;
  }

  isGiven(name: string): boolean {
    return this.given.has(name);
  }

  string(name: string): string {
    return this.value(name) as string;
  }

  strings(name: string): readonly string[] {
    return this.value(name) as readonly string[];
  }

  bool(name: string): boolean {
    return this.value(name) as boolean;
  }

  number(name: string): number {
    return this.value(name) as number;
  }

  urls(name: string): readonly EndpointUrl[] {
    return this.value(name) as readonly EndpointUrl[];
  }

  /** Flags whose value is another than the default. */
  changed(): Flag[] {
    return FLAGS.filter((flag) => {
      const value = this.given.get(flag.name);
      return value !== undefined && !sameValue(value, parseValue(flag, flag.defaultText));
    });
  }

  private value(name: string): FlagValue {
    const value = this.given.get(name);
    if (value !== undefined) return value;
    const flag = findFlag(name);
    if (flag === undefined) throw new Error('a setting is asked for that is no flag');
    return parseValue(flag, flag.defaultText);
  }
}

function sameValue(a: FlagValue, b: FlagValue): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
