import type { Options } from 'tsup';

/**
 * One build for every package: ESM for Node >= 22.
 *
 * Relative imports name `.ts` files, so sources also run unbuilt (`node --conditions=@quorate/source`);
 * worker files must be listed as entries of their own, since they are loaded by URL and not by import.
 * Declarations are written by the compiler itself (`tsconfig.build.json`, the second half of each build script): the
 * bundler's own way needs a compiler API that TypeScript 7 does not have.
 */
export function packageBuild(options: { entry: string[] }): Options {
  return {
    entry: options.entry,
    format: 'esm',
    target: 'node22',
    platform: 'node',
    dts: false,
    sourcemap: true,
    clean: true,
    splitting: true,
    treeshake: true,
  };
}
