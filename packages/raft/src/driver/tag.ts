/**
 * The tag in front of what a driver proposes: who proposed it (8 bytes) and which of its proposals it is (8 bytes),
 * so that the proposer recognises its own entry when it is applied.
 */
import type { NodeId } from '../types.ts';

export const TAG_BYTES = 16;

/** A copy of `data` with the tag in front. */
export function tag(node: NodeId, id: bigint, data: Uint8Array): Uint8Array {
  const tagged = new Uint8Array(TAG_BYTES + data.byteLength);
  const view = new DataView(tagged.buffer);
  view.setBigUint64(0, node);
  view.setBigUint64(8, id);
  tagged.set(data, TAG_BYTES);
  return tagged;
}

/** The id of a proposal of `node`; null when somebody else proposed it, or nobody did. */
export function idOf(tagged: Uint8Array, node: NodeId): bigint | null {
  if (tagged.byteLength < TAG_BYTES) return null;
  const view = new DataView(tagged.buffer, tagged.byteOffset, TAG_BYTES);
  return view.getBigUint64(0) === node ? view.getBigUint64(8) : null;
}
