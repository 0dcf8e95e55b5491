/** Whose log this is: the metadata that a member's log is created with. Format version, cluster id, member id. */
const VERSION = 1;
const BYTES = 17;

export interface LogOwner {
  readonly clusterId: bigint;
  readonly memberId: bigint;
}

export function encodeLogMetadata(owner: LogOwner): Uint8Array {
  const bytes = Buffer.alloc(BYTES);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeBigUInt64BE(owner.clusterId, 1);
  bytes.writeBigUInt64BE(owner.memberId, 9);
  return bytes;
}

export function isLogMetadata(bytes: Uint8Array): boolean {
  return bytes.length === BYTES && bytes[0] === VERSION;
}

/** @param metadata for which `isLogMetadata` holds */
export function decodeLogMetadata(metadata: Uint8Array): LogOwner {
  const bytes = Buffer.from(metadata.buffer, metadata.byteOffset, metadata.byteLength);
  return { clusterId: bytes.readBigUInt64BE(1), memberId: bytes.readBigUInt64BE(9) };
}
