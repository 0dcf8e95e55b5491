/**
 * Nothing gets into the log that cannot be read from it: an entry that was committed and cannot be decoded ends every member
 * at every start, for good.
 *
 * What this member proposes is decoded once before raft gets it, and so is what others pass on to it as their leader: a
 * member of a newer release may know operations that this one does not.
 */
import { decodeConfChange, type Entry, EntryType, ProtocolError } from '@quorate/raft';
import { decodeChange } from '../membership/change.ts';
import type { Operation } from '../operations.ts';
import { decodeEntry, encodeEntry } from './entry-codec.ts';

/** @throws EntryError for an operation that has no encoding, or none that can be read back */
export function encodeChecked(origin: number, sequence: number, operation: Operation): Uint8Array {
  const data = encodeEntry(origin, sequence, operation);
  // Bytes with their lengths, and flags: there is nothing in those two that could be refused.
  if (operation.kind !== 'put' && operation.kind !== 'delete-range') decodeEntry(data);
  return data;
}

/** Proposals of another member. @throws ProtocolError */
export function checkPassedOn(entries: readonly Entry[]): void {
  for (const { type, data } of entries) {
    try {
      if (type === EntryType.confChange) checkChange(data);
      else if (data.length > 0) decodeEntry(data);
    } catch (error) {
      throw new ProtocolError(`a proposal that cannot be decoded: ${(error as Error).message}`);
    }
  }
}

/** Of the changes only those that a member passes on: nobody proposes the first members or raft's own changes to another. */
function checkChange(data: Uint8Array): void {
  const { change } = decodeChange(decodeConfChange(data));
  const isKnown =
    change?.kind === 'remove' ||
    change?.kind === 'promote' ||
    (change?.kind === 'add' &&
      Array.isArray(change.peerUrls) &&
      change.peerUrls.every((url) => typeof url === 'string'));
  if (!isKnown) throw new Error('no change of members that is known here');
}
