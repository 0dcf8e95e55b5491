/**
 * A configuration change as the data of its entry.
 *
 *     version 1, transition byte, count varint, then for each step: kind byte, id varint64; context block
 */
import { ByteReader, ByteWriter } from '../codec/bytes.ts';
import { CodecError } from '../errors.ts';
import { type ConfChange, type ConfChangeStep, MAX_CONF_CHANGE_STEPS } from './types.ts';

const VERSION = 1;
const TRANSITIONS = ['auto', 'joint-auto-leave', 'joint-explicit'] as const;
const KINDS = ['add-voter', 'add-learner', 'remove-node'] as const;

/** A change as the data of its entry (thesis §4.1: configurations travel in the log). */
export function encodeConfChange(change: ConfChange): Uint8Array {
  const writer = new ByteWriter(16 + change.steps.length * 11 + change.context.byteLength);
  writer.byte(VERSION);
  writer.byte(TRANSITIONS.indexOf(change.transition));
  writer.varint(change.steps.length);
  for (const step of change.steps) {
    writer.byte(KINDS.indexOf(step.kind));
    writer.varint64(step.id);
  }
  writer.block(change.context);
  return writer.finish();
}

/**
 * The change that an entry holds (thesis §4.1).
 * @throws CodecError for anything that is not exactly one encoded change
 */
export function decodeConfChange(bytes: Uint8Array): ConfChange {
  const reader = new ByteReader(bytes);
  if (reader.byte() !== VERSION) throw new CodecError('unknown version of the configuration change format');
  const transition = TRANSITIONS[reader.byte()];
  if (transition === undefined) throw new CodecError('unknown transition');
  const count = reader.count(2);
  if (count > MAX_CONF_CHANGE_STEPS) throw new CodecError('too many steps in one configuration change');
  const steps: ConfChangeStep[] = [];
  for (let position = 0; position < count; position += 1) {
    const kind = KINDS[reader.byte()];
    if (kind === undefined) throw new CodecError('unknown kind of step');
    const id = reader.varint64();
    if (id === 0n) throw new CodecError('0 is not the id of a node');
    steps.push({ kind, id });
  }
  const context = reader.block();
  reader.end();
  return { transition, steps, context };
}
