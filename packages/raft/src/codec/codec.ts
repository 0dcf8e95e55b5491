/**
 * Messages and entries as bytes.
 *
 *     message   version 1, type, flags (1 reject, 2 has snapshot), from, to, term, index, logTerm, commit,
 *               rejectHint, context, entries (count, then each), snapshot when flagged
 *
 * The format is strict: one value has one encoding, and whatever does not decode to a message that could have been
 * sent is a `CodecError`. No checksum: the transport or the log around it has one. Framing is the transport's part.
 */
import { checkConf } from '../confchange/conf.ts';
import { CodecError, InvariantError } from '../errors.ts';
import { type Message, MessageType } from '../message.ts';
import type { ConfState, Entry, Snapshot } from '../types.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import {
  MIN_ENTRY_BYTES,
  readConf,
  readEntry,
  readSnapshot,
  writeConf,
  writeEntry,
  writeSnapshot,
} from './parts.ts';

const VERSION = 1;
const FLAG_REJECT = 1;
const FLAG_SNAPSHOT = 2;
const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(MessageType));

/** Encodes a message. Thesis figure 3.1. */
export function encodeMessage(message: Message): Uint8Array {
  let size = 128 + (message.snapshot?.data.byteLength ?? 0);
  for (const entry of message.entries) size += entry.data.byteLength + 24;
  const writer = new ByteWriter(size);
  writer.byte(VERSION);
  writer.byte(message.type);
  writer.byte((message.reject ? FLAG_REJECT : 0) | (message.snapshot === null ? 0 : FLAG_SNAPSHOT));
  writer.varint64(message.from);
  writer.varint64(message.to);
  writer.varint(message.term);
  writer.varint(message.index);
  writer.varint(message.logTerm);
  writer.varint(message.commit);
  writer.varint(message.rejectHint);
  writer.varint64(message.context);
  writer.varint(message.entries.length);
  for (const entry of message.entries) writeEntry(writer, entry);
  if (message.snapshot !== null) writeSnapshot(writer, message.snapshot);
  return writer.finish();
}

/**
 * Decodes a message.
 * Thesis figure 3.1.
 * @param bytes copied once: entries that are kept neither pin a larger network buffer nor change with it
 * @throws CodecError for anything that is not exactly one encoded message
 */
export function decodeMessage(bytes: Uint8Array): Message {
  // `slice` of a Node Buffer would be a view.
  const reader = new ByteReader(new Uint8Array(bytes));
  if (reader.byte() !== VERSION) throw new CodecError('unknown version of the message format');
  const type = reader.byte();
  if (!KNOWN_TYPES.has(type)) throw new CodecError('unknown type of message');
  const flags = reader.byte();
  if (flags > (FLAG_REJECT | FLAG_SNAPSHOT)) throw new CodecError('unknown flag');
  const from = reader.varint64();
  const to = reader.varint64();
  const term = reader.varint();
  const index = reader.varint();
  const logTerm = reader.varint();
  const commit = reader.varint();
  const rejectHint = reader.varint();
  const context = reader.varint64();
  const entries: Entry[] = [];
  for (let count = reader.count(MIN_ENTRY_BYTES); count > 0; count -= 1) entries.push(readEntry(reader));
  const snapshot = (flags & FLAG_SNAPSHOT) === 0 ? null : checkedSnapshot(readSnapshot(reader));
  reader.end();
  if ((type === MessageType.snapshot) !== (snapshot !== null)) {
    throw new CodecError('a snapshot travels in a snapshot message, and only there');
  }
  return {
    type: type as Message['type'],
    from,
    to,
    term,
    index,
    logTerm,
    entries,
    commit,
    reject: (flags & FLAG_REJECT) !== 0,
    rejectHint,
    snapshot,
    context,
  };
}

/** Encodes an entry, for logs. Thesis §3.5, §3.8. */
export function encodeEntry(entry: Entry): Uint8Array {
  const writer = new ByteWriter(entry.data.byteLength + 24);
  writeEntry(writer, entry);
  return writer.finish();
}

/**
 * Decodes an entry. Its data is a view of `bytes`, not a copy.
 * Thesis §3.5.
 * @throws CodecError for anything that is not exactly one encoded entry
 */
export function decodeEntry(bytes: Uint8Array): Entry {
  const reader = new ByteReader(bytes);
  const entry = readEntry(reader);
  reader.end();
  return entry;
}

/** Encodes a configuration, for snapshots and state machines. Thesis §5. */
export function encodeConf(conf: ConfState): Uint8Array {
  const writer = new ByteWriter();
  writeConf(writer, conf);
  return writer.finish();
}

/**
 * @throws CodecError for anything that is not exactly one encoded configuration that keeps the rules
 * Thesis §5: a snapshot names the configuration as of its last entry.
 */
export function decodeConf(bytes: Uint8Array): ConfState {
  const reader = new ByteReader(bytes);
  const conf = readConf(reader);
  reader.end();
  return checkedConf(conf);
}

function checkedSnapshot(snapshot: Snapshot): Snapshot {
  return { ...snapshot, meta: { ...snapshot.meta, conf: checkedConf(snapshot.meta.conf) } };
}

/** A configuration from outside: breaking the rules is the sender's fault, not ours. */
function checkedConf(conf: ConfState): ConfState {
  try {
    checkConf(conf);
  } catch (error) {
    if (error instanceof InvariantError) throw new CodecError(error.message);
    throw error;
  }
  return conf;
}
