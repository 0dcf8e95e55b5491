/**
 * Opening a log: lock, read, repair, hand over to a writer.
 *
 *   1 make the folder, take its lock
 *   2 read every frame (`recovery.ts`); refuse what is corrupt or somebody else's
 *   3 clear an unfinished last write; make what was read durable
 *   4 create the first segment where there is none
 *   5 start the writer after the last frame
 *
 * Everything but the start of the thread is synchronous, so `openWalInline` is the same code without a promise.
 */
import type { Disk } from './disk.ts';
import { WalFailedError, WalMetadataError, WalMissingError } from './errors.ts';
import { NO_FAILPOINTS } from './failpoints.ts';
import { MAX_METADATA_BYTES } from './frame-body.ts';
import { InlineLane } from './inline-lane.ts';
import { WriteAheadLog } from './log.ts';
import { nodeDisk } from './node/disk.ts';
import { type LogContents, readLog, repairTail } from './recovery.ts';
import { joinPath, LOCK_NAME } from './segment-name.ts';
import { SegmentWriter, type WriterOptions } from './segment-writer.ts';
import { WriterThread } from './thread-lane.ts';
import type { OpenedWal, Recovered, WalOptions } from './wal.ts';

export const WAL_DEFAULTS = {
  /** Small enough that little is kept past what is needed and replay is short, large enough that cutting does not count. */
  segmentBytes: 16 * 1024 * 1024,
  spareSegments: 2,
} as const;

/** Smallest segment: a header with the largest metadata, and something to hold. */
const MIN_SEGMENT_BYTES = 4096;

/**
 * Opens or creates a log. Without `disk` it writes on a thread of its own.
 * @throws DiskError with code LOCKED while another process has it open
 * @throws WalCorruptionError | WalMetadataError | WalMissingError; nothing was changed then
 */
export async function openWal(options: WalOptions): Promise<OpenedWal> {
  if (options.disk !== undefined) return openWalInline({ ...options, disk: options.disk });
  const settings = settingsOf(options, nodeDisk);
  // The thread starts while the log is being read.
  const thread = new WriterThread({
    directory: settings.directory,
    segmentBytes: settings.segmentBytes,
    spareSegments: settings.spareSegments,
    noSync: settings.noSync,
    failpointModule: options.failpointModule ?? null,
  });
  let prepared: Prepared | null = null;
  try {
    prepared = prepare(options, settings);
    const lane = await thread.begin(prepared.contents.writer, prepared.log.events);
    prepared.log.attach(lane);
    return { wal: prepared.log, recovered: prepared.recovered };
  } catch (error) {
    prepared?.lock.release();
    await thread.abandon();
    throw error;
  }
}

/** The same on the caller's thread over a given disk, at once: for simulation and tools. */
export function openWalInline(options: WalOptions & { readonly disk: Disk }): OpenedWal {
  const settings = settingsOf(options, options.disk);
  const { contents, log, recovered, lock } = prepare(options, settings);
  try {
    const schedule = options.schedule ?? queueMicrotask;
    log.attach(new InlineLane(settings, contents.writer, log.events, schedule));
    return { wal: log, recovered };
  } catch (error) {
    lock.release();
    throw error;
  }
}

interface Prepared {
  readonly contents: LogContents;
  readonly log: WriteAheadLog;
  readonly recovered: Recovered;
  readonly lock: { release(): void };
}

function settingsOf(options: WalOptions, disk: Disk): WriterOptions {
  const segmentBytes = options.segmentBytes ?? WAL_DEFAULTS.segmentBytes;
  const spareSegments = options.spareSegments ?? WAL_DEFAULTS.spareSegments;
  if (!Number.isSafeInteger(segmentBytes) || segmentBytes % 4096 !== 0 || segmentBytes < MIN_SEGMENT_BYTES) {
    throw new RangeError(`segmentBytes must be a multiple of 4096, got ${segmentBytes}`);
  }
  if (!Number.isSafeInteger(spareSegments) || spareSegments < 0) {
    throw new RangeError(`spareSegments must be 0 or more, got ${spareSegments}`);
  }
  if (options.metadata.length > MAX_METADATA_BYTES) {
    throw new RangeError(`metadata is at most ${MAX_METADATA_BYTES} bytes, got ${options.metadata.length}`);
  }
  return {
    disk,
    directory: options.directory,
    segmentBytes,
    spareSegments,
    noSync: options.unsafeNoSync ?? false,
    failpoint: options.failpoint ?? NO_FAILPOINTS,
  };
}

function prepare(options: WalOptions, settings: WriterOptions): Prepared {
  const { disk, directory } = settings;
  if (options.mustExist === true && !disk.exists(directory)) throw new WalMissingError(directory);
  disk.makeDirectory(directory);
  const lock = disk.lock(joinPath(directory, LOCK_NAME));
  try {
    const found = readLog(disk, directory);
    if (found === null && options.mustExist === true) throw new WalMissingError(directory);
    const contents = found === null ? create(options, settings) : reopen(options, settings, found);
    const { index, hardState, snapshot, torn } = contents;
    const log = new WriteAheadLog({
      disk,
      directory,
      index,
      hardState,
      lock,
      onFatal: options.onFatal ?? (() => {}),
    });
    const metadata = contents.writer.metadata;
    return {
      contents,
      log,
      lock,
      recovered: { metadata, hardState, snapshot, created: found === null, repaired: torn },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function create(options: WalOptions, settings: WriterOptions): LogContents {
  const none = new Uint8Array(0);
  const writer = new SegmentWriter(settings, {
    segments: [],
    offset: 0,
    sequence: 1,
    chain: 0,
    lastIndex: 0,
    lastTerm: 0,
    hardState: none,
    marker: none,
    metadata: options.metadata,
  });
  try {
    writer.cut();
  } finally {
    writer.close();
  }
  const created = readLog(settings.disk, settings.directory);
  if (created === null) throw new WalFailedError('a log just created is not there', undefined);
  return created;
}

function reopen(options: WalOptions, settings: WriterOptions, found: LogContents): LogContents {
  const { metadata } = found.writer;
  const equal = Buffer.from(metadata).equals(options.metadata);
  if (!equal && options.acceptMetadata?.(metadata) !== true) {
    throw new WalMetadataError(settings.directory, metadata, options.metadata);
  }
  repairTail(settings.disk, found, settings);
  return found;
}
