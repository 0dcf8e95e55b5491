/**
 * KV requests from wire bytes to operations, in one pass.
 *
 * These are the messages of nearly all traffic, so they are decoded by hand; a property test holds them equal to the
 * generated codecs of `@quorate/proto`. As protobuf has it, the last value of a scalar or a oneof wins, unknown
 * fields are skipped and missing ones are zero. Keys and values are views into the request: decode a copy when the
 * operation outlives the turn.
 *
 * Nothing is judged here; `api/validate.ts` does that next.
 */
import type {
  CompactOperation,
  Compare,
  DeleteRangeOperation,
  PutOperation,
  RangeOperation,
  TxnOperation,
  TxnStep,
} from '../operations.ts';
import { WireReader } from './wire-reader.ts';

const EMPTY: Uint8Array = new Uint8Array(0);
const NO_COMPARES: readonly Compare[] = [];
const NO_STEPS: readonly TxnStep[] = [];

/**
 * Deepest nesting of transactions that is decoded whatever `--max-txn-ops` says, so that no later recursion can
 * exhaust the stack. etcd's own limit with default flags is 128 levels.
 */
export const MAX_TXN_DEPTH = 1000;

/** Stands for a nested transaction below the decoded levels; refused by `api/validate.ts`. */
export const TOO_DEEP: TxnOperation = {
  kind: 'txn',
  compare: NO_COMPARES,
  success: NO_STEPS,
  failure: NO_STEPS,
};

const UNSET: TxnStep = { kind: 'none' };

export function decodeRangeRequest(bytes: Uint8Array): RangeOperation {
  return readRange(new WireReader(bytes));
}

export function decodePutRequest(bytes: Uint8Array): PutOperation {
  return readPut(new WireReader(bytes));
}

export function decodeDeleteRangeRequest(bytes: Uint8Array): DeleteRangeOperation {
  return readDeleteRange(new WireReader(bytes));
}

/** @param maxTxnOps a txn nested deeper than this many levels becomes `TOO_DEEP` */
export function decodeTxnRequest(bytes: Uint8Array, maxTxnOps: number): TxnOperation {
  return readTxn(new WireReader(bytes), Math.min(Math.max(maxTxnOps, 0), MAX_TXN_DEPTH));
}

// etcd's names of the fields by number, for error texts.
const RANGE = [
  undefined,
  'Key',
  'RangeEnd',
  'Limit',
  'Revision',
  'SortOrder',
  'SortTarget',
  'Serializable',
  'KeysOnly',
  'CountOnly',
  'MinModRevision',
  'MaxModRevision',
  'MinCreateRevision',
  'MaxCreateRevision',
];
const PUT = [undefined, 'Key', 'Value', 'Lease', 'PrevKv', 'IgnoreValue', 'IgnoreLease'];
const DELETE_RANGE = [undefined, 'Key', 'RangeEnd', 'PrevKv'];
const TXN = [undefined, 'Compare', 'Success', 'Failure'];
const REQUEST_OP = [undefined, 'RequestRange', 'RequestPut', 'RequestDeleteRange', 'RequestTxn'];
const COMPARE: (string | undefined)[] = [
  undefined,
  'Result',
  'Target',
  'Key',
  'Version',
  'CreateRevision',
  'ModRevision',
  'Value',
  'Lease',
];
COMPARE[64] = 'RangeEnd';
const COMPACTION = [undefined, 'Revision', 'Physical'];

function readRange(reader: WireReader): RangeOperation {
  let key = EMPTY;
  let rangeEnd = EMPTY;
  let limit = 0;
  let revision = 0;
  let sortOrder = 0;
  let sortTarget = 0;
  let serializable = false;
  let keysOnly = false;
  let countOnly = false;
  let minModRevision = 0;
  let maxModRevision = 0;
  let minCreateRevision = 0;
  let maxCreateRevision = 0;
  while (reader.more) {
    const tag = reader.tag('RangeRequest');
    switch (tag) {
      case 0x0a:
        key = reader.bytes();
        break;
      case 0x12:
        rangeEnd = reader.bytes();
        break;
      case 0x18:
        limit = reader.int64();
        break;
      case 0x20:
        revision = reader.int64();
        break;
      case 0x28:
        sortOrder = reader.enumeration();
        break;
      case 0x30:
        sortTarget = reader.enumeration();
        break;
      case 0x38:
        serializable = reader.bool();
        break;
      case 0x40:
        keysOnly = reader.bool();
        break;
      case 0x48:
        countOnly = reader.bool();
        break;
      case 0x50:
        minModRevision = reader.int64();
        break;
      case 0x58:
        maxModRevision = reader.int64();
        break;
      case 0x60:
        minCreateRevision = reader.int64();
        break;
      case 0x68:
        maxCreateRevision = reader.int64();
        break;
      default:
        reader.other(tag, RANGE);
    }
  }
  return {
    kind: 'range',
    key,
    rangeEnd,
    limit,
    revision,
    sortOrder,
    sortTarget,
    serializable,
    keysOnly,
    countOnly,
    minModRevision,
    maxModRevision,
    minCreateRevision,
    maxCreateRevision,
  };
}

function readPut(reader: WireReader): PutOperation {
  let key = EMPTY;
  let value = EMPTY;
  let lease = 0n;
  let prevKv = false;
  let ignoreValue = false;
  let ignoreLease = false;
  while (reader.more) {
    const tag = reader.tag('PutRequest');
    switch (tag) {
      case 0x0a:
        key = reader.bytes();
        break;
      case 0x12:
        value = reader.bytes();
        break;
      case 0x18:
        lease = reader.int64Exact();
        break;
      case 0x20:
        prevKv = reader.bool();
        break;
      case 0x28:
        ignoreValue = reader.bool();
        break;
      case 0x30:
        ignoreLease = reader.bool();
        break;
      default:
        reader.other(tag, PUT);
    }
  }
  return { kind: 'put', key, value, lease, prevKv, ignoreValue, ignoreLease };
}

function readDeleteRange(reader: WireReader): DeleteRangeOperation {
  let key = EMPTY;
  let rangeEnd = EMPTY;
  let prevKv = false;
  while (reader.more) {
    const tag = reader.tag('DeleteRangeRequest');
    switch (tag) {
      case 0x0a:
        key = reader.bytes();
        break;
      case 0x12:
        rangeEnd = reader.bytes();
        break;
      case 0x18:
        prevKv = reader.bool();
        break;
      default:
        reader.other(tag, DELETE_RANGE);
    }
  }
  return { kind: 'delete-range', key, rangeEnd, prevKv };
}

function readTxn(reader: WireReader, depthLeft: number): TxnOperation {
  let compare: Compare[] | undefined;
  let success: TxnStep[] | undefined;
  let failure: TxnStep[] | undefined;
  while (reader.more) {
    const tag = reader.tag('TxnRequest');
    switch (tag) {
      case 0x0a: {
        const outer = reader.enter();
        compare ??= [];
        compare.push(readCompare(reader));
        reader.leave(outer);
        break;
      }
      case 0x12: {
        const outer = reader.enter();
        success ??= [];
        success.push(readRequestOp(reader, depthLeft));
        reader.leave(outer);
        break;
      }
      case 0x1a: {
        const outer = reader.enter();
        failure ??= [];
        failure.push(readRequestOp(reader, depthLeft));
        reader.leave(outer);
        break;
      }
      default:
        reader.other(tag, TXN);
    }
  }
  return {
    kind: 'txn',
    compare: compare ?? NO_COMPARES,
    success: success ?? NO_STEPS,
    failure: failure ?? NO_STEPS,
  };
}

/** The oneof's last member wins; an earlier one is replaced whole, not merged with. */
function readRequestOp(reader: WireReader, depthLeft: number): TxnStep {
  let step = UNSET;
  while (reader.more) {
    const tag = reader.tag('RequestOp');
    if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a && tag !== 0x22) {
      reader.other(tag, REQUEST_OP);
      continue;
    }
    if (tag === 0x22 && depthLeft === 0) {
      reader.skipNested();
      step = TOO_DEEP;
      continue;
    }
    const outer = reader.enter();
    switch (tag) {
      case 0x0a:
        step = readRange(reader);
        break;
      case 0x12:
        step = readPut(reader);
        break;
      case 0x1a:
        step = readDeleteRange(reader);
        break;
      default:
        step = readTxn(reader, depthLeft - 1);
    }
    reader.leave(outer);
  }
  return step;
}

/** Numbers of `Compare.target_union` by target: version, create, mod, value, lease. */
const UNION_FIELD_OF_TARGET = [4, 5, 6, 7, 8];

function readCompare(reader: WireReader): Compare {
  let result = 0;
  let target = 0;
  let key = EMPTY;
  let rangeEnd = EMPTY;
  let unionField = 0;
  let number = 0n;
  let value = EMPTY;
  while (reader.more) {
    const tag = reader.tag('Compare');
    switch (tag) {
      case 0x08:
        result = reader.enumeration();
        break;
      case 0x10:
        target = reader.enumeration();
        break;
      case 0x1a:
        key = reader.bytes();
        break;
      case 0x20:
      case 0x28:
      case 0x30:
      case 0x40:
        unionField = tag >>> 3;
        number = reader.int64Exact();
        break;
      case 0x3a:
        unionField = 7;
        value = reader.bytes();
        break;
      case 0x202:
        rangeEnd = reader.bytes();
        break;
      default:
        reader.other(tag, COMPARE);
    }
  }
  // A union member that does not belong to the target counts as absent (sem-064).
  const fits = UNION_FIELD_OF_TARGET[target] === unionField;
  return {
    result,
    target,
    key,
    rangeEnd,
    number: fits && unionField !== 7 ? number : 0n,
    value: fits && unionField === 7 ? value : EMPTY,
  };
}

/** Compaction keeps the exact revision out of it: -1 and below are all refused alike. */
export function decodeCompactionRequest(bytes: Uint8Array): CompactOperation {
  const reader = new WireReader(bytes);
  let revision = 0;
  let physical = false;
  while (reader.more) {
    const tag = reader.tag('CompactionRequest');
    switch (tag) {
      case 0x08:
        revision = reader.int64();
        break;
      case 0x10:
        physical = reader.bool();
        break;
      default:
        reader.other(tag, COMPACTION);
    }
  }
  return { kind: 'compact', revision, physical };
}
