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
import { DomainError } from '../errors.ts';
import type { MemberInfo } from '../member.ts';
import type { DecodedChange } from './change.ts';

const MEMBERS = 'members';
const REMOVED = 'members_removed';
const CLUSTER = 'cluster';
const CONF_KEY = Buffer.from('conf');
const VERSION_KEY = Buffer.from('version');
const DOWNGRADE_KEY = Buffer.from('downgrade');
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
  #downgradeTarget: string | null = null;
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
    this.reload();
  }

  /** Reads the tables again: another state took the store's place. */
  reload(): void {
    const store = this.#store;
    this.#members.clear();
    this.#removed.clear();
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
    this.#conf = conf === null ? null : decodeConf(conf);
    this.#version = textOf(store.getMeta(CLUSTER, VERSION_KEY));
    this.#downgradeTarget = textOf(store.getMeta(CLUSTER, DOWNGRADE_KEY));
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

  /** Ids that are never used again, in no order. */
  removed(): readonly bigint[] {
    return [...this.#removed];
  }

  /** Raft's configuration as of the applied index; null before the first entry. */
  get conf(): ConfState | null {
    return this.#conf;
  }

  /** Null until the members agreed on one. */
  get clusterVersion(): string | null {
    return this.#version;
  }

  /** Release that a downgrade under way leads to; null when there is none. */
  get downgradeTarget(): string | null {
    return this.#downgradeTarget;
  }

  /**
   * Whether an entry may change the list so; the same on every member (sem-161, sem-162, sem-166, sem-167).
   * @throws DomainError
   */
  check(change: NonNullable<DecodedChange['change']>): void {
    const { kind, id } = change;
    if (this.#removed.has(id)) throw new DomainError('MEMBER_NOT_FOUND');
    const member = this.#members.get(id);
    if (kind === 'add') {
      if (member !== undefined) throw new DomainError('MEMBER_EXIST');
      this.#checkPeerUrls(id, change.peerUrls);
      if (change.isLearner && this.#learnerCount() >= change.maxLearners) {
        throw new DomainError('TOO_MANY_LEARNERS');
      }
    } else if (kind !== 'bootstrap') {
      if (member === undefined) throw new DomainError('MEMBER_NOT_FOUND');
      if (kind === 'promote' && !member.isLearner) throw new DomainError('MEMBER_NOT_LEARNER');
    }
  }

  /** After `check`, and once raft has put the change into force. */
  apply(transaction: WriteTransaction, change: NonNullable<DecodedChange['change']>): void {
    const { id } = change;
    switch (change.kind) {
      case 'bootstrap':
        this.#put(transaction, { id, ...change.member });
        return;
      case 'add': {
        const { peerUrls, isLearner } = change;
        this.#put(transaction, { id, name: '', peerUrls, clientUrls: [], isLearner });
        return;
      }
      case 'promote':
        // Name and URLs stay what they are: it has started long ago.
        this.#put(transaction, { ...this.#members.get(id)!, isLearner: false });
        return;
      case 'remove':
        this.applyRemove(transaction, id);
    }
  }

  applyRemove(transaction: WriteTransaction, id: bigint): void {
    this.#members.delete(id);
    this.#removed.add(id);
    transaction.removeMeta(MEMBERS, encodeId(id));
    transaction.putMeta(REMOVED, encodeId(id), NOTHING);
  }

  /** Other addresses between members. Nothing else of the member changes: a learner stays one. @throws DomainError */
  applyPeerUrls(transaction: WriteTransaction, id: bigint, peerUrls: readonly string[]): void {
    const member = this.#members.get(id);
    if (member === undefined) throw new DomainError('MEMBER_NOT_FOUND');
    this.#checkPeerUrls(id, peerUrls);
    this.#put(transaction, { ...member, peerUrls });
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

  /** @param target null ends the downgrade */
  applyDowngrade(transaction: WriteTransaction, target: string | null): void {
    this.#downgradeTarget = target;
    if (target === null) transaction.removeMeta(CLUSTER, DOWNGRADE_KEY);
    else transaction.putMeta(CLUSTER, DOWNGRADE_KEY, Buffer.from(target, 'utf8'));
  }

  #learnerCount(): number {
    let count = 0;
    for (const member of this.#members.values()) if (member.isLearner) count++;
    return count;
  }

  #checkPeerUrls(id: bigint, peerUrls: readonly string[]): void {
    for (const other of this.#members.values()) {
      if (other.id === id) continue;
      if (other.peerUrls.some((url) => peerUrls.includes(url))) throw new DomainError('PEER_URL_EXIST');
    }
  }

  #put(transaction: WriteTransaction, member: MemberInfo): void {
    this.#members.set(member.id, member);
    transaction.putMeta(MEMBERS, encodeId(member.id), encodeMember(member));
  }
}

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('utf8');
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
