/**
 * The response header: who answers, at which revision, in which term (sem-001).
 *
 * Cluster and member id never change while a member runs, so their bytes are made once; the term is asked of the
 * member for every answer. One instance serves all services of a member.
 *
 * What the header carries differs by service: KV and Lease answers have the revision, Cluster answers have none
 * (sem-003, pass 0), Defragment answers have no header at all.
 */
import { sizeNumberField, sizeUint64, WireWriter } from '../codec/wire-writer.ts';

export class ResponseHeader {
  /** Fields 1 and 2, encoded. */
  private readonly identity: Uint8Array;
  private readonly raft: { readonly term: number };

  /** @param raft whoever knows the current term */
  constructor(clusterId: bigint, memberId: bigint, raft: { readonly term: number }) {
    const writer = new WireWriter(
      (clusterId === 0n ? 0 : 1 + sizeUint64(clusterId)) + (memberId === 0n ? 0 : 1 + sizeUint64(memberId)),
    );
    if (clusterId !== 0n) {
      writer.byte(0x08);
      writer.uint64(clusterId);
    }
    if (memberId !== 0n) {
      writer.byte(0x10);
      writer.uint64(memberId);
    }
    this.identity = writer.buffer;
    this.raft = raft;
  }

  /** Encoded bytes at `revision`. Measure and write within one turn: the term must not change in between. */
  size(revision: number): number {
    return this.identity.length + sizeNumberField(revision) + sizeNumberField(this.raft.term);
  }

  write(writer: WireWriter, revision: number): void {
    writer.raw(this.identity);
    writer.numberField(0x18, revision);
    writer.numberField(0x20, this.raft.term);
  }

  /** The header message by itself: for services that use generated or own encoders. */
  encode(revision: number): Uint8Array {
    const writer = new WireWriter(this.size(revision));
    this.write(writer, revision);
    return writer.buffer;
  }
}
