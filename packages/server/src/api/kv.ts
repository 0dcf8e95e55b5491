/**
 * The KV service: Range, RangeStream, Put, DeleteRange, Txn, Compact.
 *
 * A request is decoded, checked, and either proposed (which encodes it before returning) or read. Writes answer from the outcome of applying them. Reads wait for `confirmRead` unless the caller asked for
 * local data (sem-034), and a transaction of reads alone is a read (sem-069). What is small is answered in the turn
 * in which it is ready; what is large is sorted and encoded in slices.
 *
 * Next: `validate.ts` for what is refused, `apply/range.ts` for what a range means, `codec/` for the bytes.
 */
import type { Handler, UnaryCall } from '@quorate/grpc-server';
import { StoreReplacedError } from '@quorate/mvcc';
import { services } from '@quorate/proto';
import { isPage, rangeOptions, rangePageOptions, shapeRange } from '../apply/range.ts';
import {
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
} from '../codec/requests.ts';
import {
  encodeDeleteRangeResponse,
  encodeHeaderResponse,
  encodePutResponse,
  encodeRangeResponse,
  encodeRangeResponseSliced,
  encodeTxnResponse,
  rangePageParts,
} from '../codec/responses.ts';
import type { Member } from '../member.ts';
import type { CompactOperation, Operation, RangeOperation, TxnOperation } from '../operations.ts';
import type { Outcome, RangeOutcome } from '../results.ts';
import type { ResponseHeader } from './header.ts';
import { shapeRangeSliced } from './range-slices.ts';
import { rangeStreamMethod } from './range-stream.ts';
import { isReadOnly, isSerializable, readTxn } from './read-txn.ts';
import { runSliced } from './slices.ts';
import { endIfAbandoned, fail, refuse, unaryMethod } from './unary.ts';
import { checkDeleteRange, checkPut, checkRange, checkTxn } from './validate.ts';

/** Results up to both of these are finished and encoded in one go, well under a millisecond. */
const SMALL_RECORDS = 512;
const SMALL_BYTES = 256 * 1024;

export function kvHandlers(member: Member, header: ResponseHeader): [path: string, handler: Handler][] {
  const { limits } = member;

  function propose<Kind extends Outcome['kind']>(
    operation: Operation,
    encodedBytes: number,
    call: UnaryCall,
    kind: Kind,
    encode: (outcome: Extract<Outcome, { kind: Kind }>) => Uint8Array,
  ): void {
    member.propose(operation, encodedBytes, call.deadlineMs, (error, outcome) => {
      if (error !== null) fail(call, error);
      else if (outcome?.kind !== kind) throw new Error('an operation gave an outcome of another kind');
      else answer(call, () => encode(outcome as Extract<Outcome, { kind: Kind }>));
    });
  }

  function range(operation: RangeOperation, call: UnaryCall): void {
    const refusal = checkRange(operation);
    if (refusal !== null) refuse(call, refusal);
    else if (operation.serializable) readRange(member, header, operation, call);
    else {
      member.confirmRead(call.deadlineMs, (error) => {
        if (error !== null) fail(call, error);
        else readRange(member, header, operation, call);
      });
    }
  }

  function txn(operation: TxnOperation, call: UnaryCall, encodedBytes: number): void {
    const refusal = checkTxn(operation, limits.maxTxnOps);
    if (refusal !== null) {
      refuse(call, refusal);
      return;
    }
    if (!isReadOnly(operation)) {
      propose(operation, encodedBytes, call, 'txn', (outcome) => encodeTxnResponse(header, outcome));
      return;
    }
    const read = (): void =>
      readTxn(member.store, operation, (error, outcome) => {
        if (error !== null) fail(call, error);
        else answer(call, () => encodeTxnResponse(header, outcome!));
      });
    if (isSerializable(operation)) read();
    else {
      member.confirmRead(call.deadlineMs, (error) => {
        if (error !== null) fail(call, error);
        else read();
      });
    }
  }

  function compact(operation: CompactOperation, call: UnaryCall, encodedBytes: number): void {
    member.propose(operation, encodedBytes, call.deadlineMs, (error, outcome) => {
      if (error !== null) {
        fail(call, error);
        return;
      }
      if (outcome?.kind !== 'compact') throw new Error('an operation gave an outcome of another kind');
      const reply = (): void => call.reply(encodeHeaderResponse(header, outcome.revision));
      if (!operation.physical) reply();
      else {
        member.store.whenCompacted(operation.revision, (removalError) => {
          if (removalError !== null) fail(call, removalError);
          else reply();
        });
      }
    });
  }

  return [
    [
      services['etcdserverpb.KV'].Range.path,
      unaryMethod(member, (bytes) => decodeRangeRequest(copy(bytes)), range),
    ],
    [services['etcdserverpb.KV'].RangeStream.path, rangeStreamMethod(member, header)],
    [
      services['etcdserverpb.KV'].Put.path,
      unaryMethod(member, decodePutRequest, (operation, call, encodedBytes) => {
        const refusal = checkPut(operation);
        if (refusal !== null) refuse(call, refusal);
        else propose(operation, encodedBytes, call, 'put', (outcome) => encodePutResponse(header, outcome));
      }),
    ],
    [
      services['etcdserverpb.KV'].DeleteRange.path,
      unaryMethod(member, decodeDeleteRangeRequest, (operation, call, encodedBytes) => {
        const refusal = checkDeleteRange(operation);
        if (refusal !== null) refuse(call, refusal);
        else {
          propose(operation, encodedBytes, call, 'delete-range', (outcome) =>
            encodeDeleteRangeResponse(header, outcome),
          );
        }
      }),
    ],
    [
      services['etcdserverpb.KV'].Txn.path,
      unaryMethod(member, (bytes) => decodeTxn(bytes, limits.maxTxnOps), txn),
    ],
    [services['etcdserverpb.KV'].Compact.path, unaryMethod(member, decodeCompactionRequest, compact)],
  ];
}

/**
 * A request is a view into a socket chunk, gone after this turn. What is proposed is encoded within it; what is read
 * after waiting needs a copy.
 */
function copy(bytes: Uint8Array): Uint8Array {
  return Buffer.from(bytes);
}

function decodeTxn(bytes: Uint8Array, maxTxnOps: number): TxnOperation {
  const operation = decodeTxnRequest(bytes, maxTxnOps);
  return isReadOnly(operation) ? decodeTxnRequest(copy(bytes), maxTxnOps) : operation;
}

/** Replies with what `encode` makes, or fails when that cannot be sent. */
function answer(call: UnaryCall, encode: () => Uint8Array): void {
  let response: Uint8Array;
  try {
    response = encode();
  } catch (error) {
    fail(call, error as Error);
    return;
  }
  call.reply(response);
}

/** Reads from this member's store as it is now, and answers. */
function readRange(member: Member, header: ResponseHeader, operation: RangeOperation, call: UnaryCall): void {
  if (endIfAbandoned(call)) return;
  if (isPage(operation)) {
    readPage(member, header, operation, call);
    return;
  }
  member.store.range(rangeOptions(operation), (error, result) => {
    // Another state took the store's place, one that is newer: what it holds is as good an answer.
    if (error instanceof StoreReplacedError) {
      readRange(member, header, operation, call);
      return;
    }
    if (error !== null) {
      fail(call, error);
      return;
    }
    if (result!.records.length <= SMALL_RECORDS) {
      replyRange(member, header, shapeRange(operation, result!), call);
      return;
    }
    runSliced(
      member.env,
      shapeRangeSliced(operation, result!),
      () => endIfAbandoned(call),
      (sliceError, outcome) => {
        if (sliceError !== null) fail(call, sliceError);
        else replyRange(member, header, outcome!, call);
      },
    );
  });
}

/** The same for what the store gives as bytes: nothing looks at the records. */
function readPage(member: Member, header: ResponseHeader, operation: RangeOperation, call: UnaryCall): void {
  member.store.rangePage(rangePageOptions(operation), (error, page) => {
    if (error instanceof StoreReplacedError) {
      readRange(member, header, operation, call);
      return;
    }
    if (error !== null) {
      fail(call, error);
      return;
    }
    const more = operation.limit > 0 && page!.count > operation.limit;
    let parts: readonly Uint8Array[];
    try {
      parts = rangePageParts(header, { ...page!, more });
    } catch (tooLarge) {
      fail(call, tooLarge as Error);
      return;
    }
    if (call.replyParts === undefined) call.reply(Buffer.concat(parts));
    else call.replyParts(parts);
  });
}

function replyRange(member: Member, header: ResponseHeader, outcome: RangeOutcome, call: UnaryCall): void {
  if (outcome.records.length <= SMALL_RECORDS && encodedBytesOf(outcome) <= SMALL_BYTES) {
    call.reply(encodeRangeResponse(header, outcome));
    return;
  }
  runSliced(
    member.env,
    encodeRangeResponseSliced(header, outcome),
    () => endIfAbandoned(call),
    (error, response) => {
      if (error !== null) fail(call, error);
      else call.reply(response!);
    },
  );
}

function encodedBytesOf(outcome: RangeOutcome): number {
  let bytes = 0;
  for (const record of outcome.records) bytes += record.encoded.length;
  return bytes;
}
