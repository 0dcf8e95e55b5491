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
import { parseInt64, quote, unquote } from '../go-values.ts';
import { splitWords } from '../words.ts';
import { delFlags, getFlags, putFlags } from './kv-flags.ts';
import { deleteRequest, getRequest, putRequest } from './kv-requests.ts';

const RELATIONS: Record<string, number> = {
  '=': Result.EQUAL,
  '!=': Result.NOT_EQUAL,
  '<': Result.LESS,
  '>': Result.GREATER,
};

function invalid(message: string): CommandError {
  return new CommandError(ExitCode.INVALID_INPUT, message);
}

/** `mod("key") > "0"` */
export function parseCompare(line: string): Init<Compare> {
  const [, target, rest] = /^([^(]*)\((.*)$/s.exec(line) ?? [];
  if (target === undefined || rest === undefined) throw invalid(`malformed comparison: ${line}`);
  // Matched piece by piece, to say how far the line made sense.
  const [keyPart, keyText] = /^\s*"((?:[^"\\]|\\.)*)"/.exec(rest) ?? [];
  const afterKey = keyPart === undefined ? '' : rest.slice(keyPart.length);
  const [relationPart, relation] = /^\)\s+(\S+)/.exec(afterKey) ?? [];
  const afterRelation = relationPart === undefined ? '' : afterKey.slice(relationPart.length);
  const [, operandText] = /^\s+"((?:[^"\\]|\\.)*)"/.exec(afterRelation) ?? [];
  const key = keyText === undefined ? null : unquote(keyText);
  const operand = operandText === undefined ? null : unquote(operandText);
  if (key === null || relation === undefined || operand === null)
    throw invalid(
      `malformed comparison: ${line}; got ${target}(${quote(key ?? '')}) ${relation ?? ''} ${quote(operand ?? '')}`,
    );
  const result = RELATIONS[relation];
  if (result === undefined) throw invalid(`malformed comparison: ${line} (unknown operator ${relation})`);
  return { key, result, ...operandOf(target, operand, line) };
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
