/**
 * Images as temporary files in the data folder: made for one caller, gone when it is.
 *
 * The folder is emptied when the member starts, since a crash leaves what it was writing.
 */
import { close, mkdirSync, open, read, rmSync, unlink } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Store } from '@quorate/mvcc';
import { type ImageEnv, ImageFile } from './image-file.ts';

export interface OpenImageFile {
  readonly sizeBytes: number;
  /** The next bytes, at most `maxBytes`; empty at the end. One call at a time. */
  next(maxBytes: number, done: (error: Error | null, bytes: Uint8Array) => void): void;
}

export interface ImageJob {
  /** Stops what is under way, lets the store go on removing, and deletes the file. Also after the end; twice changes nothing. */
  close(): void;
}

export class ImageFolder {
  readonly #path: string;
  readonly #env: ImageEnv;
  #made = 0;

  /** Empties `path`: nobody else may use it. */
  constructor(path: string, env: ImageEnv) {
    this.#path = path;
    this.#env = env;
    rmSync(path, { recursive: true, force: true });
  }

  /**
   * Writes the store's state as of now into a file.
   * @param done when the file is whole and open for reading; not after `close`
   */
  create(store: Store, done: (error: Error | null, file: OpenImageFile | null) => void): ImageJob {
    const path = join(this.#path, `${++this.#made}.db`);
    let closed = false;
    let release = (): void => {};
    const fail = (error: Error): void => {
      if (!closed) done(error, null);
    };
    store.openImage((error, image) => {
      if (image === null) {
        fail(error ?? new Error('the store gave no image'));
        return;
      }
      if (closed) {
        image.close();
        return;
      }
      try {
        mkdirSync(this.#path, { recursive: true, mode: 0o700 });
      } catch (failure) {
        image.close();
        fail(failure as Error);
        return;
      }
      const file = new ImageFile(
        { image, path, appliedIndex: () => store.appliedIndex, env: this.#env },
        (failure, sizeBytes) => {
          image.close();
          if (failure !== null) fail(failure);
          else {
            openForReading(path, sizeBytes, (problem, opened) => {
              if (opened === null) {
                fail(problem!);
                return;
              }
              release = opened.release;
              if (closed) release();
              else done(null, opened);
            });
          }
        },
      );
      release = () => {
        image.close();
        void file.cancel().then(() => rm(path, { force: true }));
      };
    });
    return {
      close() {
        if (closed) return;
        closed = true;
        release();
      },
    };
  }
}

function openForReading(
  path: string,
  sizeBytes: number,
  done: (error: Error | null, file: (OpenImageFile & { release(): void }) | null) => void,
): void {
  open(path, 'r', (error, descriptor) => {
    if (error !== null) {
      done(error, null);
      return;
    }
    let offset = 0;
    let reading = false;
    let released = false;
    const closeNow = (): void => close(descriptor);
    // The name is not needed any more; the bytes go with the descriptor.
    unlink(path, (failure) => {
      if (failure === null) done(null, file);
      else {
        file.release();
        done(failure, null);
      }
    });
    const file: OpenImageFile & { release(): void } = {
      sizeBytes,
      next(maxBytes, callback) {
        reading = true;
        const wanted = Math.min(maxBytes, sizeBytes - offset);
        read(descriptor, Buffer.allocUnsafeSlow(wanted), 0, wanted, offset, (failure, count, bytes) => {
          reading = false;
          if (released) {
            closeNow();
            return;
          }
          offset += count;
          const short =
            failure === null && count < wanted ? new Error('the image file was cut short') : failure;
          callback(short, bytes);
        });
      },
      release() {
        if (released) return;
        released = true;
        if (!reading) closeNow();
      },
    };
  });
}
