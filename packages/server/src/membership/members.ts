/**
 * Who is in the cluster: one truth, changed by applied entries only, kept in the store and mirrored here.
 *
 * A cluster begins with one configuration-change entry for each of its first members (`bootstrap.ts`), so that the list
 * follows from the log alone, whether a member replays it or gets it as part of a snapshot. Removed ids are remembered
 * and never used again (sem-162). Beside the members, the `cluster` table holds raft's configuration as of the applied
 * index, and the cluster version.
 */
import type { Store, WriteTransaction } from '@quorate/mvcc';
import { type ConfState, decodeConf, encodeConf } from '@quorate/raft';
import type { MemberInfo } from '../member.ts';

const MEMBERS = 'members';
const REMOVED = 'members_removed';
const CLUSTER = 'cluster';
const CONF_KEY = Buffer.from('conf');
const VERSION_KEY = Buffer.from('version');
const NOTHING = new Uint8Array(0);

/** What a member is known by besides its id. */
export interface MemberAttributes {
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
}

export class Members {
  readonly #members = new Map<bigint, MemberInfo>();
  readonly #removed = new Set<bigint>();
  #conf: ConfState | null = null;
  #version: string | null = null;

  constructor(store: Store) {
    store.scanMeta(MEMBERS, (key, value) => {
      const id = decodeId(key);
      this.#members.set(id, { id, ...decodeMember(value) });
      return true;
    });
    store.scanMeta(REMOVED, (key) => {
      this.#removed.add(decodeId(key));
      return true;
    });
    const conf = store.getMeta(CLUSTER, CONF_KEY);
    if (conf !== null) this.#conf = decodeConf(conf);
    const version = store.getMeta(CLUSTER, VERSION_KEY);
    if (version !== null) this.#version = Buffer.from(version).toString('utf8');
  }

  /** In order of id. */
  list(): readonly MemberInfo[] {
    return [...this.#members.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  get(id: bigint): MemberInfo | null {
    return this.#members.get(id) ?? null;
  }

  isRemoved(id: bigint): boolean {
    return this.#removed.has(id);
  }

  /** Raft's configuration as of the applied index; null before the first entry. */
  get conf(): ConfState | null {
    return this.#conf;
  }

  /** Null until the members agreed on one. */
  get clusterVersion(): string | null {
    return this.#version;
  }

  applyAdd(transaction: WriteTransaction, member: MemberInfo): void {
    this.#put(transaction, member);
  }

  applyRemove(transaction: WriteTransaction, id: bigint): void {
    this.#members.delete(id);
    this.#removed.add(id);
    transaction.removeMeta(MEMBERS, encodeId(id));
    transaction.putMeta(REMOVED, encodeId(id), NOTHING);
  }

  /** A member says its name and where clients reach it. Unknown ids are ignored: it may have been removed meanwhile. */
  applyAttributes(
    transaction: WriteTransaction,
    id: bigint,
    name: string,
    clientUrls: readonly string[],
  ): void {
    const member = this.#members.get(id);
    if (member !== undefined) this.#put(transaction, { ...member, name, clientUrls });
  }

  applyConf(transaction: WriteTransaction, conf: ConfState): void {
    this.#conf = conf;
    transaction.putMeta(CLUSTER, CONF_KEY, encodeConf(conf));
  }

  applyVersion(transaction: WriteTransaction, version: string): void {
    this.#version = version;
    transaction.putMeta(CLUSTER, VERSION_KEY, Buffer.from(version, 'utf8'));
  }

  #put(transaction: WriteTransaction, member: MemberInfo): void {
    this.#members.set(member.id, member);
    transaction.putMeta(MEMBERS, encodeId(member.id), encodeMember(member));
  }
}

function encodeId(id: bigint): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(id);
  return bytes;
}

function decodeId(key: Uint8Array): bigint {
  return Buffer.from(key).readBigUInt64BE(0);
}

/** JSON: read and written rarely, and easy on the eyes of whoever opens the table. Property order is part of it: equal members, equal bytes. */
export function encodeMember(member: MemberAttributes & { readonly isLearner: boolean }): Uint8Array {
  const { name, peerUrls, clientUrls, isLearner } = member;
  return Buffer.from(JSON.stringify({ name, peerUrls, clientUrls, isLearner }), 'utf8');
}

export function decodeMember(bytes: Uint8Array): MemberAttributes & { readonly isLearner: boolean } {
  const { name, peerUrls, clientUrls, isLearner } = JSON.parse(Buffer.from(bytes).toString('utf8'));
  return { name, peerUrls, clientUrls, isLearner };
}
