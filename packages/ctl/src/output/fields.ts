/** The `fields` format: `"Name" : value`, one a line, strings quoted. */
import type * as wire from '@quorate/proto';
import { quote } from '../go-values.ts';

export function field(name: string, value: string | number | bigint | boolean): string {
  return `"${name}" : ${value}\n`;
}

export function text(name: string, value: string | Uint8Array): string {
  return `"${name}" : ${quote(value)}\n`;
}

/** The revision line is left out where there is none: calls that do not concern the store. */
export function header(header: wire.ResponseHeader | undefined): string {
  return (
    field('ClusterID', header?.clusterId ?? 0n) +
    field('MemberID', header?.memberId ?? 0n) +
    (header && header.revision !== 0n ? field('Revision', header.revision) : '') +
    field('RaftTerm', header?.raftTerm ?? 0n)
  );
}

export function keyValue(prefix: string, kv: wire.KeyValue): string {
  return (
    text(`${prefix}Key`, kv.key) +
    field(`${prefix}CreateRevision`, kv.createRevision) +
    field(`${prefix}ModRevision`, kv.modRevision) +
    field(`${prefix}Version`, kv.version) +
    text(`${prefix}Value`, kv.value) +
    field(`${prefix}Lease`, kv.lease)
  );
}
