/**
 * Settings from a configuration file, YAML or JSON.
 *
 * Keys are those of the flag table, nested where it says so, in any case of letters; unknown ones are ignored, as
 * etcd does. Values have the types of the format: durations are whole nanoseconds, lists of URLs one text with
 * commas, `log-outputs` a list. A file replaces every other source.
 */
import { readFileSync } from 'node:fs';
import type { Tags } from 'yaml';
import { ConfigError } from './errors.ts';
import { FLAGS, type Flag } from './flags.ts';
import { type FlagValue, parseValue } from './settings.ts';
import { ValueError } from './values.ts';

/** A configuration file is a page of text; what is much larger is something else. */
const MAX_FILE_BYTES = 1024 * 1024;

/** @throws ConfigError */
export async function readConfigFile(path: string): Promise<ReadonlyMap<string, FlagValue>> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`open ${path}: ${systemText(error)}`, { cause: error });
  }
  if (text.length > MAX_FILE_BYTES)
    throw new ConfigError(`${path} is larger than a configuration file can be`);
  return settingsOf(path, await parseDocument(path, text));
}

async function parseDocument(path: string, text: string): Promise<unknown> {
  // Loaded only now: most members have no file, and starting quickly matters to all.
  const yaml = await import('yaml');
  try {
    return yaml.parse(text, {
      // As Go's reader: `yes` and `off` are switches, 0100 is octal, the last of two equal keys counts.
      version: '1.1',
      customTags: (tags) => tags.filter((tag) => !isTime(tag)),
      uniqueKeys: false,
      intAsBigInt: true,
      maxAliasCount: 100,
      logLevel: 'error',
    });
  } catch (error) {
    throw new ConfigError(`${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** YAML 1.1 reads 12:30 as a number and 2001-12-14 as a date; Go leaves both as text. */
function isTime(tag: Tags[number]): boolean {
  return typeof tag === 'object' && (tag.format === 'TIME' || tag.tag.endsWith(':timestamp'));
}

/** @param document what the file holds, as plain values */
export function settingsOf(path: string, document: unknown): ReadonlyMap<string, FlagValue> {
  const values = new Map<string, FlagValue>();
  if (document === null || document === undefined) return values;
  if (typeof document !== 'object' || Array.isArray(document)) {
    throw new ConfigError(`${path} does not hold a map of settings`);
  }
  for (const flag of FLAGS) {
    if (flag.filePath === null) continue;
    const found = lookUp(path, document, flag.filePath);
    if (found === undefined || found === null) continue;
    try {
      values.set(flag.name, fromDocument(flag, found));
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      throw new ConfigError(`${path}: setting ${flag.filePath.join('.')}: ${error.message}`);
    }
  }
  return values;
}

function lookUp(file: string, document: object, path: readonly string[]): unknown {
  let value: unknown = document;
  for (const [depth, step] of path.entries()) {
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'object' || Array.isArray(value)) {
      throw new ConfigError(`${file}: setting ${path.slice(0, depth).join('.')}: must be a map`);
    }
    const entry: [string, unknown] | undefined =
      Object.entries(value).find(([key]) => key === step) ??
      Object.entries(value).find(([key]) => key.toLowerCase() === step);
    value = entry?.[1];
  }
  return value;
}

const NANOSECONDS_PER_MS = 1e6;

function fromDocument(flag: Flag, value: unknown): FlagValue {
  switch (flag.kind) {
    case 'bool':
      if (typeof value !== 'boolean') throw new ValueError('must be true or false');
      return value;
    case 'int':
    case 'uint':
    case 'uint32':
      return parseValue(flag, wholeNumber(value, 'must be a whole number').toString());
    case 'duration':
      return Number(wholeNumber(value, 'must be a whole number of nanoseconds')) / NANOSECONDS_PER_MS;
    case 'strings':
      if (Array.isArray(value) && value.every((item) => typeof item === 'string')) {
        return parseValue(flag, value.join(','));
      }
      if (typeof value !== 'string') throw new ValueError('must be a list of texts');
      return parseValue(flag, value);
    default:
      if (typeof value !== 'string') throw new ValueError('must be text');
      return parseValue(flag, value);
  }
}

/** `1e3` is read as a fraction, and whole all the same. */
function wholeNumber(value: unknown, complaint: string): bigint {
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value);
  throw new ValueError(complaint);
}

function systemText(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'no such file or directory';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'is a directory';
  return code ?? String(error);
}
