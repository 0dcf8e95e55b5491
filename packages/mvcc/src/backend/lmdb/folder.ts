/** Names and lasting changes of names in the store's folder. */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Whether the folder holds a store. */
export function holdsStore(directory: string): boolean {
  return existsSync(directory) && storeFiles(directory).some((name) => name.endsWith('.mdb'));
}

/** Makes the folder and its parents, so that their names survive a power loss too. */
export function makeDirectory(directory: string): void {
  const first = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = resolve(directory); ; made = dirname(made)) {
    syncPath(dirname(made));
    if (made === resolve(first) || made === dirname(made)) return;
  }
}

export const fileName = (generation: number): string => `store-${String(generation).padStart(6, '0')}`;

export const freshPath = (directory: string, name: string): string => join(directory, `fresh-${name}.tmp`);

export function storeFiles(directory: string): string[] {
  return readdirSync(directory).filter((name) => /^(store-\d{6}\.|fresh-\w+\.tmp)/.test(name));
}

/** The generation to open. */
export function newestOf(names: readonly string[]): number {
  let newest = 1;
  for (const name of names) if (name.endsWith('.mdb')) newest = Math.max(newest, Number(name.slice(6, 12)));
  return newest;
}

export function removeFiles(path: string): void {
  rmSync(path, { force: true });
  rmSync(`${path}-lock`, { force: true });
}

export function syncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
