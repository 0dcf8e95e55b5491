/**
 * What clients do while things break. Each worker is one sequential client that repeats a small task; all of them write
 * into one history. Keys are few, so that calls meet; values are unique, so that every write is found again.
 *
 * | worker   | does                                                                                  |
 * |----------|---------------------------------------------------------------------------------------|
 * | register | puts, reads (linearizable, serializable, old revisions), deletes, swaps on a few keys   |
 * | bank     | transfers between accounts in one txn, lists all accounts                              |
 * | set      | appends an element by compare-and-swap                                                |
 * | lock     | takes a lock (a key with a lease), writes under it with its create revision as fence    |
 * | lease    | grants, renews for a while, lets expire or revokes; asks for the time to live           |
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { amountOf, BANK_PREFIX, FENCED_PREFIX, LOCK_KEY, SET_KEY } from '../checkers/conservation.ts';
import type {
  RangeCall,
  RecordedAnswer,
  RecordedCall,
  RecordedKeyValue,
  TxnCall,
} from '../checkers/history.ts';
import { type HistoryRecorder, isDefinite, type RecordingClient } from '../checkers/recorder.ts';
import { Connection } from '../cluster/connection.ts';
import type { ClusterMember } from '../cluster/member.ts';
import type { Random } from '../sim/random.ts';
import { sendCall } from './wire-calls.ts';

export interface WorkloadOptions {
  /** Of one call, before its outcome is unknown. */
  readonly timeoutMs: number;
  /** Longest pause between two calls of a client. */
  readonly thinkMs: number;
  readonly bankAccounts: number;
  readonly bankTotal: number;
}

export const WORKLOAD: WorkloadOptions = { timeoutMs: 1500, thinkMs: 20, bankAccounts: 4, bankTotal: 400 };

const KEYS = Array.from({ length: 8 }, (_, index) => `k${index}`);
/** At least a second of etcd's; short, so that many expire in a run. */
const LEASE_TTL_SEC = 3;

export type WorkerKind = 'register' | 'bank' | 'set' | 'lock' | 'lease';

/** One client: pinned to a member, or going to the next one whenever a call fails. */
export class Worker {
  readonly #kind: WorkerKind;
  readonly #client: RecordingClient;
  readonly #random: Random;
  readonly #options: WorkloadOptions;
  readonly #members: readonly ClusterMember[];
  readonly #connections = new Map<ClusterMember, Connection>();
  #at: number;
  #stopping = false;
  #lastRevision = 1;
  /** Leases need ids that no other client draws. */
  #leases = 0n;
  readonly #leaseBase: bigint;

  constructor(
    kind: WorkerKind,
    number: number,
    members: readonly ClusterMember[],
    recorder: HistoryRecorder,
    random: Random,
    options: WorkloadOptions,
  ) {
    this.#kind = kind;
    this.#client = recorder.client(`${kind}${number}`);
    this.#members = members;
    this.#random = random;
    this.#options = options;
    this.#at = random.int(members.length);
    this.#leaseBase = BigInt(number + 1) * 1_000_000n;
  }

  stop(): void {
    this.#stopping = true;
  }

  async run(): Promise<void> {
    while (!this.#stopping) {
      await this.#task();
      await sleep(this.#random.int(this.#options.thinkMs + 1));
    }
    this.close();
  }

  close(): void {
    for (const connection of this.#connections.values()) connection.close();
  }

  /** Never the same twice. */
  uniqueValue(): string {
    return this.#client.uniqueValue();
  }

  /** Calls, and records the call. Null: it failed, or nobody knows. */
  async call(call: RecordedCall): Promise<{ answer: RecordedAnswer; revision: number } | null> {
    const member = this.#members[this.#at]!;
    const connection = this.#connections.get(member) ?? new Connection(member.endpoint);
    this.#connections.set(member, connection);
    const open = this.#client.begin(call, member.endpoint);
    const incarnation = member.incarnation;
    const sent = await sendCall(connection, call, this.#options.timeoutMs);
    if (sent.ok) {
      this.#lastRevision = Math.max(this.#lastRevision, sent.header.revision);
      // Whoever answered lived when it was asked; between two lives a connection does not survive.
      open.ok(sent.answer, { ...sent.header, incarnation });
      return { answer: sent.answer, revision: sent.header.revision };
    }
    open.error(sent.error);
    const refused = isDefinite(sent.error) && sent.error.startsWith('etcdserver:');
    if (!refused) {
      this.#at = (this.#at + 1) % this.#members.length;
      await sleep(this.#random.between(10, 60));
    }
    return null;
  }

  #task(): Promise<unknown> {
    switch (this.#kind) {
      case 'register':
        return this.call(this.#registerCall());
      case 'bank':
        return this.#transfer();
      case 'set':
        return this.#append();
      case 'lock':
        return this.#fencedWrite();
      case 'lease':
        return this.#leaseLife();
    }
  }

  #registerCall(): RecordedCall {
    const key = this.#random.pick(KEYS);
    const value = this.#client.uniqueValue();
    const kind = this.#random.weighted({
      put: 6,
      get: 6,
      serializable: 2,
      list: 2,
      old: 1,
      delete: 1,
      rangeDelete: 0.2,
      txn: 3,
    });
    switch (kind) {
      case 'put':
        return { kind: 'put', key, value, prevKv: this.#random.chance(0.3) };
      case 'get':
        return { kind: 'range', key, end: '' };
      case 'serializable':
        return { kind: 'range', key, end: '', serializable: true };
      case 'list':
        return { kind: 'range', key: 'k', end: 'l', limit: this.#random.int(4) };
      case 'old':
        return {
          kind: 'range',
          key,
          end: '',
          revision: Math.max(1, this.#lastRevision - this.#random.int(40)),
        };
      case 'delete':
        return { kind: 'delete', key, end: '', prevKv: this.#random.chance(0.5) };
      case 'rangeDelete':
        return { kind: 'delete', key: 'k5', end: 'l' };
      case 'txn':
        return {
          kind: 'txn',
          compare: [{ key, target: 'version', result: 'greater', operand: this.#random.int(3) }],
          success: [
            { kind: 'put', key, value },
            { kind: 'put', key: `${key}'`, value: `${value}'` },
            { kind: 'range', key: 'k', end: 'l' },
          ],
          failure: [{ kind: 'put', key, value: `${value}"` }],
        };
    }
  }

  async #transfer(): Promise<void> {
    const { bankAccounts, bankTotal } = this.#options;
    const listed = await this.#list({ kind: 'range', key: BANK_PREFIX, end: 'bank0' });
    if (listed === null) return;
    if (listed.length < bankAccounts) {
      // The first one opens all accounts at once.
      const names = Array.from({ length: bankAccounts }, (_, index) => `${BANK_PREFIX}${index}`);
      const value = this.#client.uniqueValue();
      await this.call({
        kind: 'txn',
        compare: names.map((key) => ({ key, target: 'version', result: 'equal', operand: 0 })),
        success: names.map((key) => ({ kind: 'put', key, value: `${bankTotal / bankAccounts} ${value}` })),
        failure: [],
      });
      return;
    }
    const [from, to] = this.#random.shuffle(listed) as [RecordedKeyValue, RecordedKeyValue];
    const amount = this.#random.between(1, 10);
    const value = this.#client.uniqueValue();
    await this.call({
      kind: 'txn',
      compare: [from, to].map((kv) => ({
        key: kv.key,
        target: 'mod',
        result: 'equal',
        operand: kv.modRevision,
      })),
      success: [
        { kind: 'put', key: from.key, value: `${amountOf(from.value) - amount} ${value}` },
        { kind: 'put', key: to.key, value: `${amountOf(to.value) + amount} ${value}` },
      ],
      failure: [],
    });
  }

  async #append(): Promise<void> {
    const listed = await this.#list({ kind: 'range', key: SET_KEY, end: '' });
    if (listed === null) return;
    const [old] = listed;
    const element = this.#client.uniqueValue();
    const value = old === undefined ? element : `${old.value},${element}`;
    await this.call(swap(SET_KEY, old?.modRevision ?? 0, value));
    // Elements that grow without end would make the run slow, not better.
    await sleep(50);
  }

  async #fencedWrite(): Promise<void> {
    const lease = await this.#grant();
    if (lease === null) return;
    const taken = await this.call({
      kind: 'txn',
      compare: [{ key: LOCK_KEY, target: 'create', result: 'equal', operand: 0 }],
      success: [{ kind: 'put', key: LOCK_KEY, value: this.#client.uniqueValue(), lease }],
      failure: [],
    });
    if (taken?.answer.kind === 'txn' && taken.answer.succeeded) {
      const fence = taken.revision;
      for (let write = this.#random.between(1, 4); write > 0; write--) {
        await this.call({
          kind: 'txn',
          compare: [{ key: LOCK_KEY, target: 'create', result: 'equal', operand: fence }],
          success: [
            { kind: 'put', key: `${FENCED_PREFIX}x`, value: `${fence} ${this.#client.uniqueValue()}` },
          ],
          failure: [],
        });
      }
    }
    // Now and then the holder forgets: then the lease has to free the lock.
    if (this.#random.chance(0.8)) await this.call({ kind: 'lease-revoke', lease });
  }

  async #leaseLife(): Promise<void> {
    const lease = await this.#grant();
    if (lease === null) return;
    const keys = this.#random.between(1, 3);
    for (let key = 0; key < keys; key++)
      await this.call({
        kind: 'put',
        key: `lease/${lease}/${key}`,
        value: this.#client.uniqueValue(),
        lease,
      });
    for (let renewal = this.#random.int(4); renewal > 0 && !this.#stopping; renewal--) {
      await sleep(this.#random.between(200, (LEASE_TTL_SEC * 1000) / 3));
      await this.call({ kind: 'lease-keepalive', lease });
      if (this.#random.chance(0.5)) await this.call({ kind: 'lease-time-to-live', lease });
    }
    if (this.#random.chance(0.3)) await this.call({ kind: 'lease-revoke', lease });
  }

  async #grant(): Promise<bigint | null> {
    const lease = this.#leaseBase + ++this.#leases;
    return (await this.call({ kind: 'lease-grant', lease, ttlSec: LEASE_TTL_SEC })) === null ? null : lease;
  }

  async #list(call: RangeCall): Promise<readonly RecordedKeyValue[] | null> {
    const result = await this.call(call);
    return result?.answer.kind === 'range' ? result.answer.kvs : null;
  }
}

function swap(key: string, mod: number, value: string): TxnCall {
  return {
    kind: 'txn',
    compare: [{ key, target: 'mod', result: 'equal', operand: mod }],
    success: [{ kind: 'put', key, value }],
    failure: [],
  };
}
