/**
 * Who is calling: said in the metadata of every stream and call, and judged before anything else is read.
 *
 *     quorate-protocol      version of this protocol; both sides must speak the same
 *     quorate-cluster-id    hexadecimal, as are the ids
 *     quorate-from          the caller
 *     quorate-to            whom it means to reach
 *     quorate-version       its server version
 *     quorate-min-version   oldest server version it works with
 *     quorate-channel       on a stream of messages: `control` or `log`
 *     quorate-peer-urls     there too: where the caller is reached, as far as it has applied that itself; may be absent
 *
 * A caller of this cluster whose addition is not applied here may lead it by now, and only what it sends brings that entry. So
 * it introduces itself by its URLs, and gets answers there (`peer-network.ts`).
 *
 * A refusal is a frame with a code for the machine, and ends the call with a status for people. Versions are judged as
 * by etcd: each side names the oldest it works with, and refuses who is older or asks for newer.
 */
import { type Metadata as RequestMetadata, Status } from '@quorate/grpc-server';
import { parseUrl } from '../config/urls.ts';
import { formatId } from '../membership/ids.ts';
import type { RefusalCode } from './errors.ts';
import { type Frame, FrameKind, frame, jsonFrame } from './frames.ts';

export const PROTOCOL = '1';
/** The one before ours: a cluster is upgraded member by member. */
export const MIN_SERVER_VERSION = '3.6.0';

/** More or longer ones are not named, and not taken from anybody. */
export const MAX_NAMED_URLS = 8;
const MAX_NAMED_URL_LENGTH = 256;

export const Path = {
  messages: '/quorate.peer.v1.Peer/Messages',
  snapshot: '/quorate.peer.v1.Peer/Snapshot',
  call: '/quorate.peer.v1.Peer/Call',
  cluster: '/quorate.peer.v1.Peer/Cluster',
} as const;

/** Votes and heartbeats, or the log: streams of their own connections. */
export type Channel = 'control' | 'log';

export interface Identity {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly serverVersion: string;
  /** Where peers reach this member, as applied. Default: nowhere yet. */
  readonly peerUrls?: () => readonly string[];
}

export interface Caller {
  readonly from: bigint;
  readonly serverVersion: string;
  readonly channel: string;
  /** Where it says that it is reached; empty when it does not say so. */
  readonly peerUrls: readonly string[];
}

export interface Refusal {
  readonly code: RefusalCode;
  readonly message: string;
  /** As said, for the log; null when it cannot be read. */
  readonly from: bigint | null;
}

/**
 * @param membership who gets in without an introduction, and who was a member once
 * @param mayIntroduceItself whether others get in here who say where they are reached
 */
export function judge(
  metadata: RequestMetadata,
  own: Identity,
  membership: { isKnown(id: bigint): boolean; isRemoved(id: bigint): boolean },
  mayIntroduceItself: boolean,
): Caller | Refusal {
  const text = (name: string): string => {
    const value = metadata.get(name);
    return typeof value === 'string' ? value : '';
  };
  const from = parseId(text('quorate-from'));
  const to = parseId(text('quorate-to'));
  const clusterId = parseId(text('quorate-cluster-id'));
  const refuse = (code: RefusalCode, message: string): Refusal => ({ code, message, from });
  const protocol = text('quorate-protocol');
  if (protocol === '' || from === null || to === null || clusterId === null) {
    return refuse('PEER_HANDSHAKE', 'the caller does not say who it is');
  }
  if (protocol !== PROTOCOL) {
    return refuse('PEER_VERSION', `peer protocol ${cut(protocol)} is not spoken here, ${PROTOCOL} is`);
  }
  if (clusterId !== own.clusterId) {
    return refuse(
      'PEER_OTHER_CLUSTER',
      `cluster ID mismatch: this is ${formatId(own.clusterId)}, the caller's is ${formatId(clusterId)}`,
    );
  }
  if (to !== own.memberId) {
    return refuse('PEER_OTHER_MEMBER', `this is member ${formatId(own.memberId)}, not ${formatId(to)}`);
  }
  if (membership.isRemoved(from)) {
    return refuse('PEER_REMOVED', `member ${formatId(from)} has been removed from the cluster`);
  }
  const peerUrls = mayIntroduceItself ? readUrls(text('quorate-peer-urls')) : [];
  if (peerUrls === null) return refuse('PEER_HANDSHAKE', 'the peer URLs of the caller cannot be read');
  if (from === own.memberId || (!membership.isKnown(from) && peerUrls.length === 0)) {
    return refuse('PEER_UNKNOWN', `${formatId(from)} is not known as a member of this cluster`);
  }
  const serverVersion = text('quorate-version');
  const versions = judgeVersions(serverVersion, text('quorate-min-version'), own.serverVersion);
  if (versions !== null) return refuse('PEER_VERSION', versions);
  return { from, serverVersion, channel: text('quorate-channel'), peerUrls };
}

/** @returns why two servers do not work together, or null */
export function judgeVersions(theirs: string, theirMinimum: string, own: string): string | null {
  const [their, minimum] = [majorMinor(theirs), majorMinor(theirMinimum)];
  if (their === null || minimum === null) return 'the server version cannot be read';
  if (their < majorMinor(MIN_SERVER_VERSION)!) {
    return `server version ${theirs} is too low: ${MIN_SERVER_VERSION} is the oldest that works with ${own}`;
  }
  if ((majorMinor(own) ?? 0) < minimum) {
    return `server version ${theirs} is too high: it works with ${theirMinimum} and later, this is ${own}`;
  }
  return null;
}

export function welcomeFrame(own: Identity): Frame {
  return jsonFrame(FrameKind.welcome, {
    memberId: formatId(own.memberId),
    serverVersion: own.serverVersion,
  });
}

/** Says who refuses, so that a stranger's word does not count. */
export function refusalFrame(own: Identity, { code, message }: Refusal): Frame {
  return jsonFrame(FrameKind.refusal, {
    code,
    message,
    clusterId: formatId(own.clusterId),
    memberId: formatId(own.memberId),
  });
}

export function statusOfRefusal({ code }: Refusal): Status {
  switch (code) {
    case 'PEER_HANDSHAKE':
      return Status.INVALID_ARGUMENT;
    case 'PEER_VERSION':
    case 'PEER_OTHER_CLUSTER':
    case 'PEER_OTHER_MEMBER':
      return Status.FAILED_PRECONDITION;
    case 'PEER_REMOVED':
    case 'PEER_UNKNOWN':
      return Status.PERMISSION_DENIED;
    case 'PEER_BUSY':
      return Status.RESOURCE_EXHAUSTED;
  }
}

export function isRefusal(result: Caller | Refusal): result is Refusal {
  return 'code' in result;
}

export const PONG = (ping: Frame): Frame => frame(FrameKind.pong, ping.bytes);

function readUrls(text: string): readonly string[] | null {
  if (text === '') return [];
  const urls = text.split(',', MAX_NAMED_URLS + 1);
  return urls.length <= MAX_NAMED_URLS && urls.every(canBeNamed) ? urls : null;
}

/** Lists of members may hold anything; metadata is visible ASCII, and a comma separates. */
export function canBeNamed(url: string): boolean {
  if (url.length > MAX_NAMED_URL_LENGTH || !/^[!-+\--~]+$/.test(url)) return false;
  try {
    parseUrl(url);
    return true;
  } catch {
    return false;
  }
}

/** Hexadecimal of at most 64 bits. */
export function parseId(text: string): bigint | null {
  return /^[0-9a-f]{1,16}$/.test(text) ? BigInt(`0x${text}`) : null;
}

/** 3.7.1 becomes 3007. */
function majorMinor(version: string): number | null {
  const match = /^(\d{1,3})\.(\d{1,3})(?:\.|$)/.exec(version);
  return match === null ? null : Number(match[1]) * 1_000 + Number(match[2]);
}

function cut(text: string): string {
  return text.slice(0, 32);
}
