/**
 * Alarms: replicated flags that take abilities away from the whole cluster until somebody clears them.
 *
 * A set of (member, kind), kept in the store's `alarms` table and mirrored here. Nothing clears one but a request: freed
 * space does not (sem-179). What an active alarm forbids is decided in `apply/applier.ts`.
 */
import type { Store, WriteTransaction } from '@quorate/mvcc';

export const AlarmKind = { none: 0, noSpace: 1, corrupt: 2 } as const;

export interface Alarm {
  readonly memberId: bigint;
  /** One of `AlarmKind`, or a number from a newer protocol. */
  readonly alarm: number;
}

const TABLE = 'alarms';
const NOTHING = new Uint8Array(0);

export class Alarms {
  /** In order of member and kind, as the table has them. */
  #active: readonly Alarm[] = [];
  #noSpace = false;
  #corrupt = false;

  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
    this.reload();
  }

  /** Reads the table again: another state took the store's place. */
  reload(): void {
    const found: Alarm[] = [];
    this.#store.scanMeta(TABLE, (key) => {
      found.push(decodeKey(key));
      return true;
    });
    this.#replace(found);
  }

  /** Whether any member raised it. Asked for every write. */
  get noSpace(): boolean {
    return this.#noSpace;
  }

  get corrupt(): boolean {
    return this.#corrupt;
  }

  list(): readonly Alarm[] {
    return this.#active;
  }

  has(memberId: bigint, alarm: number): boolean {
    return this.#active.some((one) => one.memberId === memberId && one.alarm === alarm);
  }

  /** @returns the alarm, also when it was active before (sem-182); empty for kind NONE, which is no alarm */
  applyActivate(transaction: WriteTransaction, memberId: bigint, alarm: number): readonly Alarm[] {
    if (alarm === AlarmKind.none) return [];
    const raised = { memberId, alarm };
    if (!this.has(memberId, alarm)) {
      transaction.putMeta(TABLE, encodeKey(raised), NOTHING);
      this.#replace([...this.#active, raised]);
    }
    return [raised];
  }

  /** @returns the alarm, or nothing when it was not active (sem-182) */
  applyDeactivate(transaction: WriteTransaction, memberId: bigint, alarm: number): readonly Alarm[] {
    if (!this.has(memberId, alarm)) return [];
    const cleared = { memberId, alarm };
    transaction.removeMeta(TABLE, encodeKey(cleared));
    this.#replace(this.#active.filter((one) => one.memberId !== memberId || one.alarm !== alarm));
    return [cleared];
  }

  #replace(alarms: Alarm[]): void {
    alarms.sort((a, b) => (a.memberId < b.memberId ? -1 : a.memberId > b.memberId ? 1 : a.alarm - b.alarm));
    this.#active = alarms;
    this.#noSpace = alarms.some((one) => one.alarm === AlarmKind.noSpace);
    this.#corrupt = alarms.some((one) => one.alarm === AlarmKind.corrupt);
  }
}

function encodeKey(alarm: Alarm): Uint8Array {
  const key = Buffer.alloc(12);
  key.writeBigUInt64BE(alarm.memberId, 0);
  key.writeInt32BE(alarm.alarm | 0, 8);
  return key;
}

function decodeKey(key: Uint8Array): Alarm {
  const view = Buffer.from(key);
  return { memberId: view.readBigUInt64BE(0), alarm: view.readInt32BE(8) };
}
