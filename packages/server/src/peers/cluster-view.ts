/** The cluster as one member describes it to who asks before being a member: JSON, every field checked when it is read. */

import type { MemberInfo } from '../member.ts';
import { formatId } from '../membership/ids.ts';
import { PeerError } from './errors.ts';
import { readJson } from './frames.ts';
import { parseId } from './handshake.ts';
import type { ClusterView } from './options.ts';

/** Far above what some dozens of members need. */
export const MAX_VIEW_BYTES = 1024 * 1024;

export function encodeCluster(view: ClusterView): Buffer {
  return Buffer.from(
    JSON.stringify({
      clusterId: formatId(view.clusterId),
      memberId: formatId(view.memberId),
      serverVersion: view.serverVersion,
      clusterVersion: view.clusterVersion,
      members: view.members.map((member) => ({ ...member, id: formatId(member.id) })),
    }),
    'utf8',
  );
}

/** @throws PeerError */
export function decodeCluster(bytes: Uint8Array): ClusterView {
  const value = readJson(bytes, MAX_VIEW_BYTES);
  if (!Array.isArray(value.members)) throw wrong('members');
  return {
    clusterId: id(value.clusterId),
    memberId: id(value.memberId),
    serverVersion: text(value.serverVersion),
    clusterVersion: value.clusterVersion === null ? null : text(value.clusterVersion),
    members: value.members.map(member),
  };
}

function member(value: unknown): MemberInfo {
  if (typeof value !== 'object' || value === null) throw wrong('member');
  const { id: memberId, name, peerUrls, clientUrls, isLearner } = value as Record<string, unknown>;
  if (typeof isLearner !== 'boolean') throw wrong('isLearner');
  return {
    id: id(memberId),
    name: text(name),
    peerUrls: texts(peerUrls),
    clientUrls: texts(clientUrls),
    isLearner,
  };
}

function id(value: unknown): bigint {
  const parsed = parseId(text(value));
  if (parsed === null) throw wrong('id');
  return parsed;
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw wrong('text');
  return value;
}

function texts(value: unknown): string[] {
  if (!Array.isArray(value)) throw wrong('list');
  return value.map(text);
}

function wrong(what: string): PeerError {
  return new PeerError('PEER_PROTOCOL', `the description of the cluster cannot be read (${what})`);
}
