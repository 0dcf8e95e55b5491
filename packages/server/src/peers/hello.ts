/** What a caller says of itself: the other half of `handshake.ts`. */
import { formatId } from '../membership/ids.ts';
import {
  type Channel,
  canBeNamed,
  type Identity,
  MAX_NAMED_URLS,
  MIN_SERVER_VERSION,
  PROTOCOL,
} from './handshake.ts';

export function helloMetadata(own: Identity, to: bigint, channel?: Channel): Map<string, string> {
  const metadata = new Map<string, string>();
  metadata.set('quorate-protocol', PROTOCOL);
  metadata.set('quorate-cluster-id', formatId(own.clusterId));
  metadata.set('quorate-from', formatId(own.memberId));
  metadata.set('quorate-to', formatId(to));
  metadata.set('quorate-version', own.serverVersion);
  metadata.set('quorate-min-version', MIN_SERVER_VERSION);
  if (channel !== undefined) {
    metadata.set('quorate-channel', channel);
    const urls = (own.peerUrls?.() ?? []).filter(canBeNamed).slice(0, MAX_NAMED_URLS);
    if (urls.length > 0) metadata.set('quorate-peer-urls', urls.join(','));
  }
  return metadata;
}
