/**
 * Everything that can go wrong with a log, by what the host should do.
 *
 *   WalFailedError      the disk failed under us: stop the member; a restart recovers what was acknowledged
 *   WalCorruptionError  durable bytes are damaged or missing: a human (or a fresh member) is needed; nothing was changed
 *   WalMetadataError    this is somebody else's log
 *   WalMissingError     there is no log here and `mustExist` was set
 *   DiskError (LOCKED)  another process has the log open
 */

/** A write or sync failed, or the writer died. Final for this process: nothing later can be trusted to be durable. */
export class WalFailedError extends Error {
  override readonly name = 'WalFailedError';
  readonly code = 'WAL_FAILED';

  constructor(message: string, cause: unknown) {
    super(message, { cause });
  }
}

export type CorruptionKind =
  /** A frame header fails its check where a frame was certainly written. */
  | 'damaged-header'
  /** A frame's body fails its check although every block of it was written. */
  | 'damaged-body'
  /** A frame that had been durable is missing: a later one is there. */
  | 'missing-frame'
  /** A file between two others is missing. */
  | 'missing-segment'
  /** The same segment is there twice, or a file is not the one its name says. */
  | 'wrong-segment'
  /** The checksum chain does not continue from the frame before. */
  | 'broken-chain'
  /** Checks pass, but the contents contradict what came before (an index gap, an unknown version, an impossible length). */
  | 'impossible-content';

/** Damage that an unfinished last write cannot explain. The log is left untouched. */
export class WalCorruptionError extends Error {
  override readonly name = 'WalCorruptionError';
  readonly code = 'WAL_CORRUPT';
  readonly kind: CorruptionKind;
  readonly file: string;
  /** Byte in `file` where the damaged or missing piece begins. */
  readonly offset: number;
  /** Last entry index that is intact before the damage; 0 when none. */
  readonly lastGoodIndex: number;
  /** What cannot be read any more, in words. */
  readonly lost: string;

  constructor(what: {
    kind: CorruptionKind;
    file: string;
    offset: number;
    lastGoodIndex: number;
    lost: string;
    detail: string;
  }) {
    super(
      `log is corrupt (${what.kind}) in ${what.file} at byte ${what.offset}: ${what.detail}; ` +
        `intact up to index ${what.lastGoodIndex}; lost: ${what.lost}`,
    );
    this.kind = what.kind;
    this.file = what.file;
    this.offset = what.offset;
    this.lastGoodIndex = what.lastGoodIndex;
    this.lost = what.lost;
  }
}

/** The log belongs to another member or cluster. */
export class WalMetadataError extends Error {
  override readonly name = 'WalMetadataError';
  readonly code = 'WAL_METADATA';
  readonly found: Uint8Array;
  readonly expected: Uint8Array;

  constructor(directory: string, found: Uint8Array, expected: Uint8Array) {
    super(
      `the log in ${directory} belongs to another member: found metadata ${hex(found)}, expected ${hex(expected)}`,
    );
    this.found = found;
    this.expected = expected;
  }
}

/** No log where one must be. */
export class WalMissingError extends Error {
  override readonly name = 'WalMissingError';
  readonly code = 'WAL_MISSING';

  constructor(directory: string) {
    super(`there is no log in ${directory}`);
  }
}

function hex(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 32)).toString('hex');
  return bytes.length > 32 ? `${text}... (${bytes.length} bytes)` : text || '(empty)';
}
