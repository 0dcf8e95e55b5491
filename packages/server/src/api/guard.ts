/**
 * What is asked of every call before its service sees it, from its metadata alone.
 *
 * Order as in etcd: the request is parsed, then the caller's declared API version must be text (sem-006), then a
 * caller that insists on a leader must not be served by a member that knows none (sem-007). Streams have the same
 * check at their start, and more while they run (sem-008).
 */
import type { CallContext } from '@quorate/grpc-server';
import { type ErrorCode, metadataKeys } from '@quorate/proto';

/** @returns why the call is refused, or null */
export function refuseByMetadata(call: CallContext, raft: { readonly leader: bigint }): ErrorCode | null {
  const version = call.metadata.get(metadataKeys.clientApiVersion);
  if (version !== undefined && !isUtf8Text(version)) return 'INVALID_CLIENT_API_VERSION';
  if (raft.leader === 0n && call.metadata.get(metadataKeys.hasLeader) === 'true') return 'NO_LEADER';
  return null;
}

const PLAIN_TEXT = /^[ -~]*$/;
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Header values are bytes; a transport that gives them as text gives one character per byte. */
function isUtf8Text(value: string | Uint8Array): boolean {
  if (typeof value === 'string' && PLAIN_TEXT.test(value)) return true;
  const bytes = typeof value === 'string' ? Buffer.from(value, 'latin1') : value;
  try {
    utf8.decode(bytes);
    return true;
  } catch {
    return false;
  }
}
