/**
 * The text of a transaction: compares, success operations and failure operations, each block ended by an empty line.
 *
 *   mod("key") > "0"          target("key") relation "operand"
 *                             (empty line)
 *   put key "new value"       the commands get, put and del with their flags
 *
 *   get key
 *
 */
import {
  type Compare,
  type Init,
  type RequestOp,
  Compare_CompareResult as Result,
  Compare_CompareTarget as Target,
} from '@quorate/proto';
import { CommandError, ExitCode } from '../exit.ts';
import { FlagError, type FlagSpecs, FlagValues, parseFlags } from '../flags.ts';
import { parseInt64, quote, SPACE, unquote } from '../go-values.ts';
import { encodeRaw } from '../raw-text.ts';
import { splitWords } from '../words.ts';
import { delFlags, getFlags, putFlags } from './kv-flags.ts';
import { deleteRequest, getRequest, putRequest } from './kv-requests.ts';

const RELATIONS: ReadonlyMap<string, number> = new Map([
  ['=', Result.EQUAL],
  ['!=', Result.NOT_EQUAL],
  ['<', Result.LESS],
  ['>', Result.GREATER],
]);

function invalid(message: string): CommandError {
  return new CommandError(ExitCode.INVALID_INPUT, message);
}

/** `mod("key") > "0"` */
export function parseCompare(line: string): Init<Compare> {
  const [, target, rest] = /^([^(]*)\((.*)$/s.exec(line) ?? [];
  if (target === undefined || rest === undefined) throw invalid(`malformed comparison: ${line}`);
  const { key, relation, operand } = scanComparison(rest);
  if (key === null || relation === null || operand === null)
    throw invalid(
      `malformed comparison: ${line}; got ${target}(${quote(key ?? '')}) ${relation ?? ''} ${quote(operand ?? '')}`,
    );
  const compared = operandOf(target, operand, line);
  const result = RELATIONS.get(relation);
  if (result === undefined) throw invalid(`malformed comparison: ${line} (unknown operator ${relation})`);
  return { key, result, ...compared };
}

/** `"with \n escapes"`, or as it is between backquotes. */
const QUOTED = new RegExp(`^${SPACE}*(?:"((?:[^"\\\\]|\\\\[^])*)"|\`([^\`]*)\`)`);
const CLOSED = new RegExp(`^\\)${SPACE}+`);
const RELATION = new RegExp(`^[^${SPACE.slice(1)}+`);

interface Comparison {
  readonly key: Uint8Array | null;
  readonly relation: string | null;
  readonly operand: Uint8Array | null;
}

/** `"key") relation "operand"`, as Go's `Sscanf` reads `%q) %s %q`. @returns null for what was not reached, to say how far it made sense */
function scanComparison(text: string): Comparison {
  let rest = text;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    const match = pattern.exec(rest);
    rest = rest.slice(match?.[0].length ?? 0);
    return match;
  };
  const quoted = (): Uint8Array | null => {
    const [, escaped, raw] = take(QUOTED) ?? [];
    if (raw !== undefined) return encodeRaw(raw);
    return escaped === undefined ? null : unquote(escaped);
  };
  const key = quoted();
  const relation = key !== null && take(CLOSED) !== null ? (take(RELATION)?.[0] ?? null) : null;
  return { key, relation, operand: relation === null ? null : quoted() };
}

function operandOf(target: string, operand: Uint8Array, line: string): Init<Compare> {
  const integer = (base: 10 | 16): bigint => {
    try {
      return parseInt64(Buffer.from(operand).toString(), base);
    } catch {
      throw invalid(`invalid txn compare request: ${line}`);
    }
  };
  switch (target) {
    case 'ver':
    case 'version':
      return { target: Target.VERSION, version: integer(10) };
    case 'c':
    case 'create':
      return { target: Target.CREATE, createRevision: integer(10) };
    case 'm':
    case 'mod':
      return { target: Target.MOD, modRevision: integer(10) };
    case 'val':
    case 'value':
      return { target: Target.VALUE, value: operand };
    case 'lease':
      return { target: Target.LEASE, lease: integer(16) };
    default:
      throw invalid(`malformed comparison: ${line} (unknown target ${target})`);
  }
}

/** `put key value`, `get key`, `del key`, with their flags. */
export async function parseOperation(line: string): Promise<Init<RequestOp>> {
  const words = splitWords(line);
  if (words === null) throw invalid(`invalid txn request: ${line}`);
  const [name, ...rest] = words;
  if (name === undefined || rest.length === 0) throw invalid(`invalid txn compare request: ${line}`);
  const read = (specs: FlagSpecs): { args: readonly string[]; flags: FlagValues } => {
    try {
      const { given, args } = parseFlags(rest, specs);
      return { args, flags: new FlagValues(specs, given) };
    } catch (error) {
      if (error instanceof FlagError) throw invalid(`invalid txn request: ${line}`);
      throw error;
    }
  };
  switch (name) {
    case 'get': {
      const { args, flags } = read(getFlags);
      return { requestRange: getRequest(args, flags) };
    }
    case 'put': {
      const { args, flags } = read(putFlags);
      return { requestPut: await putRequest(args, flags, null) };
    }
    case 'del': {
      const { args, flags } = read(delFlags);
      return { requestDeleteRange: deleteRequest(args, flags) };
    }
    default:
      throw invalid(`invalid txn request: ${line}`);
  }
}
