import { type Entry, EntryType, encodeConfChange, ProtocolError } from '@quorate/raft';
import { describe, expect, test } from 'vitest';
import { encodeChange } from '../membership/change.ts';
import type { TxnOperation } from '../operations.ts';
import { checkPassedOn, encodeChecked } from './entry-check.ts';
import { EntryError } from './entry-codec.ts';

const entry = (data: Uint8Array, type: Entry['type'] = EntryType.normal): Entry => ({
  index: 0,
  term: 0,
  type,
  data,
});

describe('what gets into the log can be read from it', () => {
  test('case-65 an operation that has no encoding, or none that can be read back, is refused before', () => {
    const revision = 2 ** 60;
    expect(() => encodeChecked(1, 2, { kind: 'compact', revision, physical: false })).toThrow(EntryError);
    let txn: TxnOperation = { kind: 'txn', compare: [], success: [], failure: [] };
    for (let depth = 0; depth < 20_000; depth++)
      txn = { kind: 'txn', compare: [], success: [txn], failure: [] };
    expect(() => encodeChecked(1, 2, txn)).toThrow();
  });

  test('case-70 what another member passes on is looked at', () => {
    const good = encodeChecked(1, 2, { kind: 'lease-revoke', id: 7n });
    const change = encodeConfChange(encodeChange({ origin: 1, sequence: 2 }, { kind: 'remove', id: 7n }));
    checkPassedOn([entry(good), entry(new Uint8Array(0)), entry(change, EntryType.confChange)]);
    const unknownKind = Uint8Array.from(good);
    unknownKind[9] = 200;
    for (const bad of [
      entry(unknownKind),
      entry(good.subarray(0, -1)),
      entry(good, EntryType.confChange),
      entry(change),
    ]) {
      expect(() => checkPassedOn([entry(good), bad])).toThrow(ProtocolError);
    }
  });
});
