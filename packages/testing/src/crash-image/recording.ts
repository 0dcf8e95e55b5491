/**
 * A recorded history of file operations, and the folders a power loss could have left at any step of it.
 *
 * What is durable at a step: writes recorded before a sync of their file began that had ended by then, writes through synchronous
 * descriptors, names whose folder was synced. Everything later is, by a seeded choice, dropped, kept or torn at 512 bytes:
 * the rule of the simulated disk, on real histories (ALICE, Pillai et al. 2014).
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import {
  applyName,
  crashNames,
  type DiskTally,
  emptyTally,
  Inode,
  type NameOperation,
  parentOf,
} from '../sim/disk-image.ts';
import { Random } from '../sim/random.ts';

const HEADER_BYTES = 40;
const MAGIC = 0x43524551;
const Kind = {
  open: 1,
  write: 2,
  truncate: 3,
  syncBegin: 4,
  syncEnd: 5,
  rename: 6,
  remove: 7,
  makeFolder: 8,
  grow: 9,
} as const;
const FLAG_SYNCHRONOUS = 1;
const FLAG_TRUNCATED = 2;
const FLAG_FOLDER = 4;

interface RecordedStep {
  readonly kind: number;
  readonly flags: number;
  readonly process: number;
  readonly inode: number;
  readonly offset: number;
  /** File length for `truncate` and `grow`. */
  readonly length: number;
  readonly path: string;
  readonly second: string;
  readonly data: Buffer;
  /** Place in the log after this record. */
  readonly end: number;
}

export interface ImageOptions {
  /**
   * Whether syncing a file makes its name durable, as ext4, XFS and btrfs do for new files. POSIX does not promise it; false is
   * the strict reading, for code that syncs its folders itself. Default false.
   */
  readonly fileSyncKeepsName?: boolean;
}

export interface CrashImage {
  /** How much the crash did. */
  readonly tally: DiskTally;
  /** Files by path relative to the root. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Writes the image below an existing or new folder. */
  writeTo(directory: string): void;
}

export interface Recording {
  /** Number of recorded operations. */
  readonly stepCount: number;
  /** Syncs that ended: a history without any proves nothing. */
  readonly syncCount: number;
  /** The first step for which everything recorded in the first `bytes` of the log has happened. */
  stepAt(bytes: number): number;
  /** A folder after a power loss right after the first `steps` operations. */
  image(steps: number, seed: number | string, options?: ImageOptions): CrashImage;
}

/** Reads a log. What was below `root` before the recording began is not part of the images: begin with an empty folder. */
export function readRecording(logFile: string, root: string): Recording {
  const steps = parseLog(readFileSync(logFile));
  return {
    stepCount: steps.length,
    syncCount: steps.filter((step) => step.kind === Kind.syncEnd).length,
    stepAt(bytes) {
      let count = steps.findIndex((step) => step.end > bytes);
      if (count < 0) count = steps.length;
      return count;
    },
    image(count, seed, options = {}) {
      const replay = new Replay(options.fileSyncKeepsName ?? false);
      for (const step of steps.slice(0, count)) replay.apply(step);
      return replay.crash(root, new Random(seed, 'crash image'));
    },
  };
}

/** A log that ends within a record is whole up to there: the process was killed while recording. */
function parseLog(log: Buffer): RecordedStep[] {
  const steps: RecordedStep[] = [];
  for (let at = 0; at + HEADER_BYTES <= log.length; ) {
    if (log.readUInt32LE(at) !== MAGIC) throw new Error(`the recording is damaged at byte ${at}`);
    const kind = log[at + 4]!;
    const pathBytes = log.readUInt16LE(at + 6);
    const secondBytes = log.readUInt16LE(at + 8);
    const length = Number(log.readBigUInt64LE(at + 32));
    const pathAt = at + HEADER_BYTES;
    const dataAt = pathAt + pathBytes + secondBytes;
    const end = dataAt + (kind === Kind.write ? length : 0);
    if (end > log.length) break;
    steps.push({
      kind,
      flags: log[at + 5]!,
      process: log.readUInt32LE(at + 12),
      inode: Number(log.readBigUInt64LE(at + 16)),
      offset: Number(log.readBigInt64LE(at + 24)),
      length,
      path: log.toString('utf8', pathAt, pathAt + pathBytes),
      second: log.toString('utf8', pathAt + pathBytes, dataAt),
      data: log.subarray(dataAt, end),
      end,
    });
    at = end;
  }
  return steps;
}

class Replay {
  readonly #fileSyncKeepsName: boolean;
  readonly #inodes = new Map<number, Inode>();
  readonly #folders = new Map<number, string>();
  readonly #visible = new Map<string, Inode>();
  readonly #durable = new Map<string, Inode>();
  /** Folders that were made: durable at once, as in the simulated disk. */
  readonly #made = new Set<string>();
  #names: NameOperation[] = [];
  /** What waited when a sync began, by process and inode. */
  readonly #begun = new Map<string, number>();

  constructor(fileSyncKeepsName: boolean) {
    this.#fileSyncKeepsName = fileSyncKeepsName;
  }

  apply(step: RecordedStep): void {
    if (step.kind === Kind.open) this.#open(step);
    else if (step.kind === Kind.write) this.#write(step);
    else if (step.kind === Kind.truncate) this.#change(step, 'truncate');
    else if (step.kind === Kind.grow) this.#change(step, 'grow');
    else if (step.kind === Kind.syncBegin) this.#begin(step);
    else if (step.kind === Kind.syncEnd) this.#sync(step);
    else if (step.kind === Kind.makeFolder) this.#made.add(step.path);
    else if (step.kind === Kind.remove) this.#remove(step.path);
    else this.#name({ kind: 'rename', from: step.path, to: step.second });
  }

  crash(root: string, random: Random): CrashImage {
    const tally = emptyTally();
    tally.crashes = 1;
    crashNames(this.#durable, this.#names, random, tally);
    for (const inode of new Set(this.#durable.values())) inode.crash(random, tally);
    const files = new Map<string, Uint8Array>();
    for (const [path, inode] of this.#durable) {
      files.set(relative(root, path), inode.durable.slice(0, inode.durable.length));
    }
    const folders = [...this.#made].map((path) => relative(root, path));
    return {
      tally,
      files,
      writeTo(directory) {
        for (const folder of folders) mkdirSync(join(directory, folder), { recursive: true, mode: 0o700 });
        for (const [path, bytes] of files) {
          mkdirSync(dirname(join(directory, path)), { recursive: true, mode: 0o700 });
          writeFileSync(join(directory, path), bytes, { mode: 0o600 });
        }
      },
    };
  }

  #open(step: RecordedStep): void {
    if ((step.flags & FLAG_FOLDER) !== 0) {
      this.#folders.set(step.inode, step.path);
      return;
    }
    const known = this.#visible.get(step.path);
    if (known !== undefined && this.#inodes.get(step.inode) === known) {
      if ((step.flags & FLAG_TRUNCATED) !== 0) known.apply({ kind: 'truncate', length: 0 });
      return;
    }
    // A path not seen before is a new file, also when the system gives it a number it has used before.
    const file = new Inode();
    this.#inodes.set(step.inode, file);
    this.#name({ kind: 'create', path: step.path, file });
  }

  #write(step: RecordedStep): void {
    const inode = this.#inodes.get(step.inode);
    if (inode === undefined) return;
    const operation = { kind: 'write', offset: step.offset, data: step.data } as const;
    if ((step.flags & FLAG_SYNCHRONOUS) === 0) {
      inode.apply(operation);
      return;
    }
    inode.visible.apply(operation);
    inode.durable.apply(operation);
  }

  #change(step: RecordedStep, kind: 'truncate' | 'grow'): void {
    this.#inodes.get(step.inode)?.apply({ kind, length: step.length });
  }

  #begin(step: RecordedStep): void {
    const waiting =
      (step.flags & FLAG_FOLDER) !== 0 ? this.#names.length : this.#inodes.get(step.inode)?.waiting.length;
    this.#begun.set(`${step.process}/${step.inode}`, waiting ?? 0);
  }

  #sync(step: RecordedStep): void {
    const count = this.#begun.get(`${step.process}/${step.inode}`) ?? 0;
    if ((step.flags & FLAG_FOLDER) !== 0) {
      const folder = this.#folders.get(step.inode);
      this.#settleNames(count, (operation) => parentOf(targetOf(operation)) === folder);
      return;
    }
    const inode = this.#inodes.get(step.inode);
    if (inode === undefined) return;
    inode.sync(Math.min(count, inode.waiting.length));
    if (this.#fileSyncKeepsName) {
      this.#settleNames(
        this.#names.length,
        (operation) => operation.kind === 'create' && operation.file === inode,
      );
    }
  }

  /** Makes those of the first `count` waiting names durable that `chosen` says. */
  #settleNames(count: number, chosen: (operation: NameOperation) => boolean): void {
    this.#names = this.#names.filter((operation, at) => {
      if (at >= count || !chosen(operation)) return true;
      applyName(this.#durable, operation);
      return false;
    });
  }

  #remove(path: string): void {
    if (this.#visible.has(path)) this.#name({ kind: 'remove', path });
    else this.#made.delete(path);
  }

  #name(operation: NameOperation): void {
    applyName(this.#visible, operation);
    this.#names.push(operation);
  }
}

function targetOf(operation: NameOperation): string {
  return operation.kind === 'rename' ? operation.to : operation.path;
}
