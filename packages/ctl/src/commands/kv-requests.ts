/** Words and flags of get, put and del as requests: shared by the commands and by the lines of a transaction. */
import { prefixEnd } from '@quorate/client';
import {
  type DeleteRangeRequest,
  EMPTY_BYTES,
  type Init,
  RangeRequest_SortOrder as Order,
  type PutRequest,
  type RangeRequest,
  RangeRequest_SortTarget as Target,
} from '@quorate/proto';
import { badArgs, CommandError, ExitCode } from '../exit.ts';
import type { FlagValues } from '../flags.ts';
import { parseInt64 } from '../go-values.ts';
import { encodeRaw } from '../raw-text.ts';

const ALL_FROM = Uint8Array.of(0);
const ORDERS: Record<string, number> = { '': Order.NONE, ASCEND: Order.ASCEND, DESCEND: Order.DESCEND };
const TARGETS: Record<string, number> = {
  '': Target.KEY,
  KEY: Target.KEY,
  VERSION: Target.VERSION,
  CREATE: Target.CREATE,
  MODIFY: Target.MOD,
  VALUE: Target.VALUE,
};

export function getRequest(args: readonly string[], flags: FlagValues): Init<RangeRequest> {
  if (args.length === 0)
    throw badArgs('get command needs one argument as key and an optional argument as range_end');
  oneOf(flags, 'prefix', 'from-key');
  oneOf(flags, 'keys-only', 'count-only');
  const consistency = flags.string('consistency');
  if (consistency !== 'l' && consistency !== 's')
    throw new CommandError(ExitCode.BAD_FEATURE, `unknown consistency flag ${JSON.stringify(consistency)}`);
  const range = keyRange(args, flags);
  const sortOrder = ORDERS[flags.string('order').toUpperCase()];
  if (sortOrder === undefined)
    throw new CommandError(ExitCode.BAD_FEATURE, `bad sort order ${flags.string('order')}`);
  const sortTarget = TARGETS[flags.string('sort-by').toUpperCase()];
  if (sortTarget === undefined)
    throw new CommandError(ExitCode.BAD_FEATURE, `bad sort target ${flags.string('sort-by')}`);
  return {
    ...range,
    limit: flags.int('limit'),
    revision: flags.int('rev'),
    // Ascending keys are what a server gives anyway, without having to sort.
    sortOrder: sortTarget === Target.KEY && sortOrder === Order.ASCEND ? Order.NONE : sortOrder,
    sortTarget,
    serializable: consistency === 's',
    keysOnly: flags.bool('keys-only'),
    countOnly: flags.bool('count-only'),
    minModRevision: flags.int('min-mod-rev'),
    maxModRevision: flags.int('max-mod-rev'),
    minCreateRevision: flags.int('min-create-rev'),
    maxCreateRevision: flags.int('max-create-rev'),
  };
}

/** @param readValue gives the value when there is no word for it; null where there is no standard input to read */
export async function putRequest(
  args: readonly string[],
  flags: FlagValues,
  readValue: (() => Promise<Uint8Array>) | null,
): Promise<Init<PutRequest>> {
  const [key, word] = args;
  const missing = badArgs('put command needs 1 argument and input from stdin or 2 arguments');
  if (key === undefined) throw missing;
  const ignoreValue = flags.bool('ignore-value');
  if (ignoreValue && args.length > 1)
    throw badArgs("put command needs only 1 argument when 'ignore-value' is set");
  let value: Uint8Array = EMPTY_BYTES;
  if (word !== undefined) value = encodeRaw(word);
  else if (!ignoreValue) {
    value = readValue === null ? EMPTY_BYTES : await readValue();
    if (value.length === 0) throw missing;
  }
  return {
    key: encodeRaw(key),
    value,
    lease: leaseOption(flags.string('lease')),
    prevKv: flags.bool('prev-kv'),
    ignoreValue,
    ignoreLease: flags.bool('ignore-lease'),
  };
}

export function deleteRequest(args: readonly string[], flags: FlagValues): Init<DeleteRangeRequest> {
  if (args.length === 0 || args.length > 2)
    throw badArgs('del command needs one argument as key and an optional argument as range_end');
  oneOf(flags, 'prefix', 'from-key');
  return { ...keyRange(args, flags), prevKv: flags.bool('prev-kv') };
}

/** `KEY [RANGE_END]` with `--prefix` and `--from-key`; an empty key with either means every key. */
export function keyRange(
  args: readonly string[],
  flags: FlagValues,
): { key: Uint8Array; rangeEnd: Uint8Array } {
  const [prefix, fromKey] = [flags.bool('prefix'), flags.bool('from-key')];
  const key = encodeRaw(args[0] ?? '');
  if (args.length > 1) {
    if (prefix || fromKey)
      throw badArgs('too many arguments, only accept one argument when `--prefix` or `--from-key` is set');
    return { key, rangeEnd: encodeRaw(args[1] ?? '') };
  }
  if ((prefix || fromKey) && key.length === 0) return { key: ALL_FROM, rangeEnd: ALL_FROM };
  if (prefix) return { key, rangeEnd: prefixEnd(key) };
  return { key, rangeEnd: fromKey ? ALL_FROM : EMPTY_BYTES };
}

function leaseOption(text: string): bigint {
  try {
    return parseInt64(text, 16);
  } catch (error) {
    throw badArgs(`bad lease ID (${(error as Error).message}), expecting ID in Hex`);
  }
}

function oneOf(flags: FlagValues, a: string, b: string): void {
  if (flags.bool(a) && flags.bool(b))
    throw badArgs(`\`--${a}\` and \`--${b}\` cannot be set at the same time, choose one`);
}
