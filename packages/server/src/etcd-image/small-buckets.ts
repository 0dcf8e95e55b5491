/** All buckets of an image but the keys, from the small tables of the store. */
import type { StoreImage } from '@quorate/mvcc';
import { decodeConf } from '@quorate/raft';
import {
  ALARMS_TABLE,
  alarmRow,
  Bucket,
  encodeConfState,
  encodeRevisionKey,
  encodeUint64,
  LEASES_TABLE,
  leaseRowOfEtcd,
  MetaKey,
  memberRow,
  type Row,
  removedMemberRow,
  STORAGE_VERSION,
  VERBATIM_TABLES,
} from './schema.ts';

export interface SmallBucket {
  readonly name: string;
  /** In key order. */
  readonly rows: readonly Row[];
}

/** In order of name; the bucket of keys goes between `cluster` and `lease`. */
export function smallBuckets(image: StoreImage): SmallBucket[] {
  const table = (name: string, translate: (key: Uint8Array, value: Uint8Array) => Row): Row[] => {
    const rows: Row[] = [];
    image.scanMeta(name, (key, value) => {
      rows.push(translate(key, value));
      return true;
    });
    return rows;
  };
  const buckets: SmallBucket[] = [
    { name: Bucket.alarm, rows: table(ALARMS_TABLE, alarmRow) },
    // The cluster version is left out: whoever starts from the image agrees on one anew, and an older server could not start with ours.
    { name: Bucket.cluster, rows: [] },
    { name: Bucket.lease, rows: table(LEASES_TABLE, leaseRowOfEtcd) },
    { name: Bucket.members, rows: table('members', memberRow) },
    { name: Bucket.membersRemoved, rows: table('members_removed', removedMemberRow) },
    { name: Bucket.meta, rows: metaRows(image) },
    ...VERBATIM_TABLES.map((name) => ({ name, rows: table(name, (key, value) => ({ key, value })) })),
  ];
  return buckets
    .map(({ name, rows }) => ({ name, rows: rows.toSorted((a, b) => Buffer.compare(a.key, b.key)) }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function metaRows(image: StoreImage): Row[] {
  const rows: Row[] = [];
  const add = (name: string, value: Uint8Array): void => void rows.push({ key: Buffer.from(name), value });
  image.scanMeta('cluster', (key, value) => {
    if (Buffer.from(key).toString() === 'conf') add(MetaKey.confState, encodeConfState(decodeConf(value)));
    return true;
  });
  add(MetaKey.consistentIndex, encodeUint64(image.appliedIndex));
  add(MetaKey.term, encodeUint64(image.appliedTerm));
  add(MetaKey.storageVersion, Buffer.from(STORAGE_VERSION));
  if (image.compactRevision > 0) {
    const revision = encodeRevisionKey(image.compactRevision, 0, false);
    add(MetaKey.scheduledCompact, revision);
    add(MetaKey.finishedCompact, revision);
  }
  return rows;
}
