/**
 * What clients of the simulation propose: a number of its own for each request, and padding.
 */
import { type Entry, EntryType } from '@quorate/raft';

/** Below the first bytes of whatever else is proposed. */
const REQUESTS = 0xff_00_00_00;
const NUMBER_BYTES = 4;

export function requestData(request: number, bytes: number): Uint8Array {
  const data = new Uint8Array(bytes);
  new DataView(data.buffer).setUint32(0, request);
  return data;
}

/** The request that an entry holds; null for what does not come from a client. */
export function requestOf({ type, data }: Entry): number | null {
  if (type !== EntryType.normal || data.byteLength < NUMBER_BYTES) return null;
  const request = new DataView(data.buffer, data.byteOffset, NUMBER_BYTES).getUint32(0);
  return request < REQUESTS ? request : null;
}
