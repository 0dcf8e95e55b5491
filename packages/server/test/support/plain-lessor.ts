/** Leases without time: granted and revoked by applied operations, never expiring. For tests of everything else. */
import type { Store, WriteTransaction } from '@quorate/mvcc';
import { DomainError } from '../../src/errors.ts';
import type { Lessor } from '../../src/lease/lessor.ts';

const TABLE = 'leases';

export function plainLessor({ store }: { readonly store: Store }): Lessor {
  const ttls = new Map<bigint, number>();
  store.scanMeta(TABLE, (key, value) => {
    ttls.set(Buffer.from(key).readBigInt64BE(0), Buffer.from(value).readDoubleBE(0));
    return true;
  });
  const keyOf = (id: bigint) => {
    const key = Buffer.alloc(8);
    key.writeBigInt64BE(id);
    return key;
  };
  return {
    primary: true,
    exists: (id) => ttls.has(id),
    list: () => [...ttls.keys()],
    view: (id) =>
      ttls.has(id) ? { id, grantedTtlSec: ttls.get(id)!, remainingMs: ttls.get(id)! * 1000 } : null,
    applyGrant(transaction: WriteTransaction, id, ttlSec) {
      if (ttls.has(id)) throw new DomainError('LEASE_EXIST');
      const value = Buffer.alloc(8);
      value.writeDoubleBE(ttlSec);
      transaction.putMeta(TABLE, keyOf(id), value);
      ttls.set(id, ttlSec);
    },
    applyRevoke(transaction: WriteTransaction, id) {
      if (!ttls.has(id)) throw new DomainError('LEASE_NOT_FOUND');
      for (const key of store.leaseKeys(id)) transaction.deleteRange({ key, end: null });
      transaction.removeMeta(TABLE, keyOf(id));
      ttls.delete(id);
    },
    applyExpire() {},
    applyCheckpoint() {},
    renew: (id, done) => done(null, ttls.get(id) ?? 0),
    promote() {},
    demote() {},
    reload() {},
    close() {},
  };
}
