/**
 * Encodings shared by messages, stored entries and snapshots: entry, configuration, snapshot.
 *
 *     entry      index varint, term varint, type byte, data block
 *     conf       four lists of ids (count, then varint64 each): voters, outgoing, learners, learners next; autoLeave
 *     snapshot   index varint, term varint, conf, data block
 */
import { canonicalConf } from '../confchange/conf.ts';
import { CodecError } from '../errors.ts';
import { type ConfState, type Entry, EntryType, type NodeId, type Snapshot } from '../types.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';

/** Fewest bytes an entry takes: index, term, type and an empty block. */
export const MIN_ENTRY_BYTES = 4;

export function writeEntry(writer: ByteWriter, entry: Entry): void {
  writer.varint(entry.index);
  writer.varint(entry.term);
  writer.byte(entry.type);
  writer.block(entry.data);
}

export function readEntry(reader: ByteReader): Entry {
  const index = reader.varint();
  const term = reader.varint();
  const type = reader.byte();
  if (type !== EntryType.normal && type !== EntryType.confChange)
    throw new CodecError('unknown type of entry');
  return { index, term, type, data: reader.block() };
}

export function writeConf(writer: ByteWriter, unordered: ConfState): void {
  const conf = canonicalConf(unordered);
  for (const ids of [conf.voters, conf.votersOutgoing, conf.learners, conf.learnersNext]) {
    writer.varint(ids.length);
    for (const id of ids) writer.varint64(id);
  }
  writer.byte(conf.autoLeave ? 1 : 0);
}

export function readConf(reader: ByteReader): ConfState {
  return {
    voters: readIds(reader),
    votersOutgoing: readIds(reader),
    learners: readIds(reader),
    learnersNext: readIds(reader),
    autoLeave: reader.boolean(),
  };
}

function readIds(reader: ByteReader): NodeId[] {
  const ids: NodeId[] = [];
  for (let count = reader.count(1); count > 0; count -= 1) {
    const id = reader.varint64();
    if (id === 0n) throw new CodecError('0 is not the id of a node');
    if (ids.length > 0 && id <= ids.at(-1)!) throw new CodecError('the ids of a configuration ascend');
    ids.push(id);
  }
  return ids;
}

export function writeSnapshot(writer: ByteWriter, snapshot: Snapshot): void {
  writer.varint(snapshot.meta.index);
  writer.varint(snapshot.meta.term);
  writeConf(writer, snapshot.meta.conf);
  writer.block(snapshot.data);
}

export function readSnapshot(reader: ByteReader): Snapshot {
  const index = reader.varint();
  const term = reader.varint();
  const conf = readConf(reader);
  return { meta: { index, term, conf }, data: reader.block() };
}
