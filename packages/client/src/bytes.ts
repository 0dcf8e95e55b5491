/** Keys and values: text on the outside where that is handy, bytes on the wire. */

/** A key or a value. Text is sent as UTF-8. */
export type Bytes = Uint8Array | string;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function toBytes(value: Bytes): Uint8Array {
  return typeof value === 'string' ? encoder.encode(value) : value;
}

/** Reads UTF-8; bytes that are none become replacement characters. */
export function toText(value: Uint8Array): string {
  return decoder.decode(value);
}

/**
 * Revisions, versions and counts are numbers here: a store would need centuries at a million writes a second to
 * leave the safe integers. Ids stay `bigint`.
 */
export function toCount(value: bigint): number {
  return Number(value);
}
