/**
 * Compiled code kept from one start to the next, in the user's cache folder.
 *
 * V8 runs what it finds there without comparing it with the source, so the folder must be one that nobody else can write to: it
 * and every folder above it belong to this user or to root, and only sticky ones (`/tmp`) may be writable for others.
 * Where that is not so, or cannot be known, or nothing can be written, nothing is kept and starts are slower.
 *
 * `NODE_COMPILE_CACHE=FOLDER` names another folder, unjudged; `NODE_DISABLE_COMPILE_CACHE=1` turns it off.
 */

import { lstatSync, mkdirSync, realpathSync } from 'node:fs';
import { enableCompileCache, flushCompileCache, getCompileCacheDir } from 'node:module';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

/** After the start: what is loaded by then is written. Then what came late, such as HTTP. */
const WRITE_AT_MS = [2_000, 60_000];

/** Call it before anything large is imported. Never throws. */
export function keepCompiledCode(environment: NodeJS.ProcessEnv): void {
  try {
    if (!environment.NODE_COMPILE_CACHE) {
      const folder = cacheFolder(environment);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      if (!isOursAlone(folder)) return;
      enableCompileCache(folder);
    }
    const inUse = getCompileCacheDir();
    if (inUse === undefined) return;
    // At exit it would be too late: a server is ended by signals.
    for (const delayMs of WRITE_AT_MS) setTimeout(flushCompileCache, delayMs).unref();
  } catch {
    // No home, no room, no permission: a cache is a convenience.
  }
}

/** As systemd, or the XDG base directory specification, or custom has it. */
export function cacheFolder(environment: NodeJS.ProcessEnv): string {
  const given = [environment.CACHE_DIRECTORY, environment.XDG_CACHE_HOME].find(
    (path) => path !== undefined && isAbsolute(path),
  );
  return join(given ?? join(homedir(), '.cache'), 'quorate', 'compiled');
}

export function isOursAlone(folder: string): boolean {
  const uid = process.geteuid?.();
  if (uid === undefined) return false;
  const own = realpathSync(folder);
  for (let path = own; ; path = dirname(path)) {
    const { uid: owner, mode } = lstatSync(path);
    if (owner !== uid && owner !== 0) return false;
    const isSticky = path !== own && (mode & 0o1000) !== 0;
    if ((mode & 0o022) !== 0 && !isSticky) return false;
    if (path === dirname(path)) return true;
  }
}
