/**
 * Maintenance.Snapshot: the member's state as a bbolt image, such as etcd's own tools read (sem-191..193).
 *
 * The image is written to a temporary file first (`etcd-image/`), then sent in blobs of 32 KiB with the bytes that remain, at last the SHA-256 of all
 * of it. Writes go on meanwhile: the image is the state at one entry. A caller that does not read holds up nobody but itself, and one that
 * goes away takes its file along. Any member answers, learners too.
 */
import { createHash } from 'node:crypto';
import { Status, type StreamCall, type StreamHandler } from '@quorate/grpc-server';
import { SnapshotRequest, SnapshotResponse } from '@quorate/proto';
import { DomainError } from '../errors.ts';
import type { ImageFolder, OpenImageFile } from '../etcd-image/image-folder.ts';
import { STORAGE_VERSION } from '../etcd-image/schema.ts';
import type { Member } from '../member.ts';
import { statusOfCode, statusOfError } from './error-map.ts';
import { refuseByMetadata } from './guard.ts';
import type { Upkeep } from './upkeep.ts';

const BLOB_BYTES = 32 * 1024;
/** Read, hashed and handed over in one turn. */
const SLICE_BLOBS = 16;
/** Each takes disk space for a whole image. */
const MAX_AT_ONCE = 4;

export interface SnapshotService {
  readonly handler: StreamHandler;
  /** Ends the streams under way. */
  close(): void;
}

export function createSnapshotService(member: Member, images: ImageFolder, upkeep: Upkeep): SnapshotService {
  const running = new Set<SnapshotStream>();
  let closed = false;
  const refusalOf = (call: StreamCall) => {
    if (closed || member.ended) return 'SERVER_STOPPED';
    if (running.size >= MAX_AT_ONCE) return 'TOO_MANY_REQUESTS';
    return refuseByMetadata(call, member);
  };
  return {
    handler: {
      kind: 'stream',
      open(call) {
        let started = false;
        return {
          onMessage(bytes) {
            if (started) return;
            started = true;
            try {
              SnapshotRequest.decode(bytes);
            } catch (error) {
              endWith(call, error as Error);
              return;
            }
            const refusal = refusalOf(call);
            if (refusal !== null) {
              const { status, message } = statusOfCode(refusal);
              call.end(status, message);
              return;
            }
            const sent = upkeep.snapshot();
            const stream = new SnapshotStream(member, images, call, (isWhole) => {
              running.delete(stream);
              if (isWhole) sent();
            });
            running.add(stream);
            stream.start();
          },
          onHalfClose() {
            // What etcd's server says to a call that ends before its request came.
            if (!started) call.end(Status.UNKNOWN, 'EOF');
          },
        };
      },
    },
    close() {
      closed = true;
      for (const stream of [...running]) stream.fail(new DomainError('SERVER_STOPPED'));
    },
  };
}

function endWith(call: StreamCall, error: Error): void {
  const { status, message } = statusOfError(error);
  call.end(status, message);
}

class SnapshotStream {
  readonly #member: Member;
  readonly #images: ImageFolder;
  readonly #call: StreamCall;
  readonly #onEnd: (isWhole: boolean) => void;
  readonly #hash = createHash('sha256');
  #release = (): void => {};
  #ended = false;
  #remaining = 0;

  constructor(member: Member, images: ImageFolder, call: StreamCall, onEnd: (isWhole: boolean) => void) {
    this.#member = member;
    this.#images = images;
    this.#call = call;
    this.#onEnd = onEnd;
  }

  start(): void {
    this.#call.onCancel(() => this.#end(false));
    if (this.#ended) return;
    const { store, env } = this.#member;
    const job = this.#images.create(store, (error, file) => {
      if (file === null) {
        env.log.log('warn', 'snapshot failed', { error });
        this.fail(error ?? new Error('no image'));
        return;
      }
      env.log.log('info', 'sending snapshot', { bytes: file.sizeBytes, to: this.#call.peer });
      this.#remaining = file.sizeBytes;
      this.#next(file);
    });
    this.#release = () => job.close();
  }

  fail(error: Error): void {
    if (this.#ended) return;
    endWith(this.#call, error);
    this.#end(false);
  }

  #next(file: OpenImageFile): void {
    if (this.#ended) return;
    if (this.#remaining === 0) {
      this.#send(this.#hash.digest());
      this.#call.end();
      this.#end(true);
      return;
    }
    file.next(SLICE_BLOBS * BLOB_BYTES, (error, bytes) => {
      if (this.#ended) return;
      if (error !== null) {
        this.fail(error);
        return;
      }
      this.#hash.update(bytes);
      let hasRoom = true;
      for (let at = 0; at < bytes.length; at += BLOB_BYTES) {
        const blob = bytes.subarray(at, at + BLOB_BYTES);
        this.#remaining -= blob.length;
        hasRoom = this.#send(blob);
      }
      if (hasRoom) this.#next(file);
      else this.#call.onDrain(() => this.#next(file));
    });
  }

  #send(blob: Uint8Array): boolean {
    return this.#call.write(
      SnapshotResponse.encode({ remainingBytes: this.#remaining, blob, version: STORAGE_VERSION }),
    );
  }

  #end(isWhole: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#release();
    this.#onEnd(isWhole);
  }
}
