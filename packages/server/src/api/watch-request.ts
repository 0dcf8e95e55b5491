/**
 * `WatchRequest` from wire bytes, by hand, in one pass; a property test holds it equal to the generated codec.
 *
 * As everywhere: the last member of the oneof wins whole, unknown fields are skipped, missing ones are zero. What no
 * case of `WatchRequest` covers (an empty message, a future member) is `none` and gets no answer (sem-103).
 */
import type { WatchId } from '@quorate/mvcc';
import { WireReader } from '../codec/wire-reader.ts';

export interface WatchCreate {
  readonly kind: 'create';
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  /** Saturated to the safe integers, which orders it with every revision as before. */
  readonly startRevision: number;
  readonly progressNotify: boolean;
  /** Of `WatchCreateRequest.FilterType`; numbers that are no filter are left out. */
  readonly withoutPuts: boolean;
  readonly withoutDeletes: boolean;
  readonly prevKv: boolean;
  readonly watchId: WatchId;
  readonly fragment: boolean;
}

export type WatchRequest =
  | WatchCreate
  | { readonly kind: 'cancel'; readonly watchId: WatchId }
  | { readonly kind: 'progress' }
  | { readonly kind: 'none' };

const NONE: WatchRequest = { kind: 'none' };
const PROGRESS: WatchRequest = { kind: 'progress' };
const EMPTY: Uint8Array = new Uint8Array(0);
const NOPUT = 0;
const NODELETE = 1;

// etcd's names of the fields by number, for error texts.
const REQUEST = [undefined, 'CreateRequest', 'CancelRequest', 'ProgressRequest'];
const CREATE = [
  undefined,
  'Key',
  'RangeEnd',
  'StartRevision',
  'ProgressNotify',
  'Filters',
  'PrevKv',
  'WatchId',
  'Fragment',
];
const CANCEL = [undefined, 'WatchId'];
const PROGRESS_FIELDS: readonly undefined[] = [];

/** @throws WireError for bytes that are no such message */
export function decodeWatchRequest(bytes: Uint8Array): WatchRequest {
  const reader = new WireReader(bytes);
  let request = NONE;
  while (reader.more) {
    const tag = reader.tag('WatchRequest');
    if (tag !== 0x0a && tag !== 0x12 && tag !== 0x1a) {
      reader.other(tag, REQUEST);
      continue;
    }
    const outer = reader.enter();
    if (tag === 0x0a) request = readCreate(reader);
    else if (tag === 0x12) request = readCancel(reader);
    else request = readProgress(reader);
    reader.leave(outer);
  }
  return request;
}

function readCreate(reader: WireReader): WatchCreate {
  let key = EMPTY;
  let rangeEnd = EMPTY;
  let startRevision = 0;
  let progressNotify = false;
  let withoutPuts = false;
  let withoutDeletes = false;
  let prevKv = false;
  let watchId: WatchId = 0;
  let fragment = false;
  const filter = (): void => {
    const type = reader.enumeration();
    if (type === NOPUT) withoutPuts = true;
    else if (type === NODELETE) withoutDeletes = true;
  };
  while (reader.more) {
    const tag = reader.tag('WatchCreateRequest');
    switch (tag) {
      case 0x0a:
        key = reader.bytes();
        break;
      case 0x12:
        rangeEnd = reader.bytes();
        break;
      case 0x18:
        startRevision = reader.int64();
        break;
      case 0x20:
        progressNotify = reader.bool();
        break;
      case 0x28:
        filter();
        break;
      case 0x2a: {
        // Packed.
        const outer = reader.enter();
        while (reader.more) filter();
        reader.leave(outer);
        break;
      }
      case 0x30:
        prevKv = reader.bool();
        break;
      case 0x38:
        watchId = narrowId(reader.int64Exact());
        break;
      case 0x40:
        fragment = reader.bool();
        break;
      default:
        reader.other(tag, CREATE);
    }
  }
  return {
    kind: 'create',
    key,
    rangeEnd,
    startRevision,
    progressNotify,
    withoutPuts,
    withoutDeletes,
    prevKv,
    watchId,
    fragment,
  };
}

function readCancel(reader: WireReader): WatchRequest {
  let watchId: WatchId = 0;
  while (reader.more) {
    const tag = reader.tag('WatchCancelRequest');
    if (tag === 0x08) watchId = narrowId(reader.int64Exact());
    else reader.other(tag, CANCEL);
  }
  return { kind: 'cancel', watchId };
}

function readProgress(reader: WireReader): WatchRequest {
  while (reader.more) reader.other(reader.tag('WatchProgressRequest'), PROGRESS_FIELDS);
  return PROGRESS;
}

/** One form for each id, so that ids compare with `===`. */
function narrowId(id: bigint): WatchId {
  const narrow = Number(id);
  return Number.isSafeInteger(narrow) ? narrow : id;
}
