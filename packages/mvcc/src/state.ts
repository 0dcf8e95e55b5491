/**
 * The store's own few values in table `state`, as short JSON texts: rarely read, and readable when something went wrong.
 *
 *   applied   what `log` and `meta` hold: written in the same transaction as their data
 *   heads     up to where `head`, `graves`, `blocks` and `lease_keys` are brought
 *   progress  while a flush of heads is under way: keys below this one are done, with the flush's name; absent otherwise
 *   removal   how far superseded records were removed
 *   sequence  number of the writer's last job
 */
import type { BackendReader, BackendTransaction } from './backend/backend.ts';
import { copyBytes } from './bytes.ts';
import { STATE } from './tables.ts';

export const FORMAT = 1;

export interface AppliedState {
  readonly format: number;
  readonly index: number;
  readonly term: number;
  readonly revision: number;
  readonly compactRevision: number;
}

export interface HeadsState {
  /** Main revision up to which heads are on disk. */
  readonly watermark: number;
  /** Whether `head` ever held a key over 1,900 bytes: native counts see its bucket as one key. */
  readonly longKeys: boolean;
}

export interface RemovalState {
  /** Everything superseded at or below this compact revision is gone; -1 before the first compaction. */
  readonly finished: number;
  /** Compaction under way, 0: none; and the revision to go on from. */
  readonly target: number;
  readonly fromMain: number;
  readonly fromSub: number;
}

export const INITIAL_APPLIED: AppliedState = {
  format: FORMAT,
  index: 0,
  term: 0,
  revision: 1,
  compactRevision: -1,
};
export const INITIAL_HEADS: HeadsState = { watermark: 0, longKeys: false };
export const INITIAL_REMOVAL: RemovalState = { finished: -1, target: 0, fromMain: 0, fromSub: 0 };

type Get = Pick<BackendReader, 'get'>;

function read<T>(reader: Get, name: string, initial: T): T {
  const bytes = reader.get(STATE, Buffer.from(name));
  return bytes === undefined ? initial : (JSON.parse(Buffer.from(bytes).toString()) as T);
}

function write(transaction: BackendTransaction, name: string, value: unknown): void {
  transaction.put(STATE, Buffer.from(name), Buffer.from(JSON.stringify(value)));
}

export const readApplied = (reader: Get): AppliedState => read(reader, 'applied', INITIAL_APPLIED);
export const readHeads = (reader: Get): HeadsState => read(reader, 'heads', INITIAL_HEADS);
export const readRemoval = (reader: Get): RemovalState => read(reader, 'removal', INITIAL_REMOVAL);
export const writeApplied = (tx: BackendTransaction, state: AppliedState): void =>
  write(tx, 'applied', state);
export const writeHeads = (tx: BackendTransaction, state: HeadsState): void => write(tx, 'heads', state);
export const writeRemoval = (tx: BackendTransaction, state: RemovalState): void =>
  write(tx, 'removal', state);
export const readSequence = (reader: Get): number => read(reader, 'sequence', 0);
export const writeSequence = (tx: BackendTransaction, sequence: number): void =>
  write(tx, 'sequence', sequence);

const PROGRESS = Buffer.from('progress');

/**
 * Keys below the returned one were brought to disk by flush `flushId`. A mark of another flush is what a crash left: then null.
 */
export function readProgress(reader: Get, flushId: string): Uint8Array | null {
  const bytes = reader.get(STATE, PROGRESS);
  if (bytes === undefined) return null;
  const key = bytes.subarray(1 + bytes[0]!);
  return Buffer.from(bytes.subarray(1, 1 + bytes[0]!)).toString('latin1') === flushId ? copyBytes(key) : null;
}

/** Whether a flush of heads began and did not end: some heads are newer than the watermark. */
export function hasProgress(reader: Get): boolean {
  return reader.get(STATE, PROGRESS) !== undefined;
}

export function writeProgress(transaction: BackendTransaction, flushId: string, key: Uint8Array): void {
  const value = new Uint8Array(1 + flushId.length + key.length);
  value[0] = flushId.length;
  value.set(Buffer.from(flushId, 'latin1'), 1);
  value.set(key, 1 + flushId.length);
  transaction.put(STATE, PROGRESS, value);
}

export function clearProgress(transaction: BackendTransaction): void {
  transaction.remove(STATE, PROGRESS);
}
