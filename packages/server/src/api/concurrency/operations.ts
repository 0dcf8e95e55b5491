/** The few operations that locks and elections are made of. */
import { Buffer } from 'node:buffer';
import type {
  Compare,
  DeleteRangeOperation,
  PutOperation,
  RangeOperation,
  TxnStep,
} from '../../operations.ts';

const NOTHING = new Uint8Array(0);
const SLASH = 0x2f;

/** Everything of one lock or election lies under `name/`. */
export function linePrefix(name: Uint8Array): Uint8Array {
  const prefix = new Uint8Array(name.length + 1);
  prefix.set(name);
  prefix[name.length] = SLASH;
  return prefix;
}

/** A prefix ends with a slash, and what follows a slash is a zero. */
export function lineEnd(prefix: Uint8Array): Uint8Array {
  const end = Uint8Array.from(prefix);
  end[end.length - 1] = SLASH + 1;
  return end;
}

/** `name/694d7e3a5f2b1c04`: the lease in hexadecimal without padding (sem-199). */
export function lineKey(prefix: Uint8Array, lease: bigint): Uint8Array {
  return Uint8Array.from(Buffer.concat([prefix, Buffer.from(lease.toString(16))]));
}

/** The key was created at `revision`; 0: it does not exist. */
export function createdAt(key: Uint8Array, revision: bigint): Compare {
  return { result: 0, target: 1, key, rangeEnd: NOTHING, number: revision, value: NOTHING };
}

export function putStep(key: Uint8Array, value: Uint8Array, lease: bigint): PutOperation {
  return { kind: 'put', key, value, lease, prevKv: false, ignoreValue: false, ignoreLease: false };
}

export function deleteStep(key: Uint8Array): DeleteRangeOperation {
  return { kind: 'delete-range', key, rangeEnd: NOTHING, prevKv: false };
}

export function getStep(key: Uint8Array): RangeOperation {
  return {
    kind: 'range',
    key,
    rangeEnd: NOTHING,
    limit: 0,
    revision: 0,
    sortOrder: 0,
    sortTarget: 0,
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}

/** `if compare then success else failure`. */
export function guarded(compare: Compare, success: TxnStep, failure: readonly TxnStep[] = []) {
  return { kind: 'txn', compare: [compare], success: [success], failure } as const;
}
