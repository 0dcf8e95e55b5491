/**
 * A wall clock that jumps, for one process: libfaketime reads the offset from a file, so that it changes while the process
 * runs; the monotonic clock stays true. Only for programs that ask libc for the time (Node does, Go does not).
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const LIBRARIES = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map(
  (machine) => `/usr/lib/${machine}/faketime/libfaketimeMT.so.1`,
);

export class WallClocks {
  readonly #folder = mkdtempSync(join(tmpdir(), 'quorate-clocks-'));

  /** Why clocks cannot jump here; null: they can. */
  static unable(): string | null {
    return LIBRARIES.some(existsSync) ? null : 'libfaketime is not installed';
  }

  /** Variables for the process called `name`. */
  env(name: string): Record<string, string> {
    this.jump(name, 0);
    return {
      LD_PRELOAD: LIBRARIES.find(existsSync) ?? '',
      FAKETIME_TIMESTAMP_FILE: this.#file(name),
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      // Seconds between two looks at the file.
      FAKETIME_CACHE_DURATION: '1',
    };
  }

  /** From now on its wall clock is so many seconds off. */
  jump(name: string, seconds: number): void {
    writeFileSync(this.#file(name), `${seconds < 0 ? '' : '+'}${seconds}\n`);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }
}
