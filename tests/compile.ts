/** The compiler over files of a folder, as a program that uses the packages would call it. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const TSC = new URL('../node_modules/.bin/tsc', import.meta.url).pathname;

/** What the compiler says of these files, line by line; nothing when it takes them. `options` are added to a strict program's. */
export function complaints(
  folder: string,
  files: readonly string[],
  options: Readonly<Record<string, unknown>>,
): string[] {
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2024', 'esnext.disposable'],
    strict: true,
    noEmit: true,
    types: ['node'],
    ...options,
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
  try {
    execFileSync(TSC, ['-p', 'tsconfig.json'], { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
    return [];
  } catch (error) {
    const { stdout } = error as { readonly stdout?: string };
    if (!stdout) throw error;
    return stdout.split('\n');
  }
}
