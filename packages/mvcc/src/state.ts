/**
 * The store's own few values in table `state`, as short JSON texts: rarely read, and readable when something went wrong.
 *
 *   applied   what `log` and `meta` hold: written in the same transaction as their data
 *   heads     up to where `head`, `graves`, `blocks` and `lease_keys` are brought
 *   progress  flushes of heads that did not end: name, watermark, and the key (hex) below which all are done; absent otherwise
 *   removal   how far superseded records were removed
 *   sequence  number of the writer's last job
 */
import type { BackendReader, BackendTransaction } from './backend/backend.ts';
import { compareBytes } from './bytes.ts';
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

/** How far a flush of heads came: keys below `below` are on disk as of `watermark`. */
export interface HeadsProgress {
  readonly flushId: string;
  readonly watermark: number;
  readonly below: Uint8Array;
}

interface StoredProgress {
  readonly flush: string;
  readonly watermark: number;
  readonly below: string;
}

const storedProgress = (reader: Get): readonly StoredProgress[] => read(reader, 'progress', []);
const keyOf = ({ below }: StoredProgress): Uint8Array => new Uint8Array(Buffer.from(below, 'hex'));

/**
 * The flushes of heads that did not end: one that is under way, and those that crashes cut off, newest first. An older one matters for the keys
 * that no newer one came to: each goes further than the ones before it.
 */
export function readProgress(reader: Get): HeadsProgress[] {
  return storedProgress(reader).map((stored) => ({
    flushId: stored.flush,
    watermark: stored.watermark,
    below: keyOf(stored),
  }));
}

/** Below which key flush `flushId` is done; null when it is not under way. */
export function progressOf(reader: Get, flushId: string): Uint8Array | null {
  const [newest] = storedProgress(reader);
  return newest?.flush === flushId ? keyOf(newest) : null;
}

export function writeProgress(transaction: BackendTransaction, progress: HeadsProgress): void {
  const { flushId, watermark, below } = progress;
  const older = storedProgress(transaction).filter(
    (stored) => stored.flush !== flushId && compareBytes(keyOf(stored), below) > 0,
  );
  const newest: StoredProgress = { flush: flushId, watermark, below: Buffer.from(below).toString('hex') };
  write(transaction, 'progress', [newest, ...older]);
}

export function clearProgress(transaction: BackendTransaction): void {
  transaction.remove(STATE, Buffer.from('progress'));
}
