import type { Options } from 'tsup';

/**
 * One build for every package: ESM for Node >= 22, with bundled type declarations.
 *
 * Relative imports name `.ts` files, so sources also run unbuilt (`node --conditions=@quorate/source`);
 * worker files must be listed as entries of their own, since they are loaded by URL and not by import.
 */
export function packageBuild(options: { entry: string[]; dts?: boolean }): Options {
  return {
    entry: options.entry,
    format: 'esm',
    target: 'node22',
    platform: 'node',
    dts: options.dts === false ? false : { entry: options.entry, compilerOptions: { customConditions: [] } },
    sourcemap: true,
    clean: true,
    splitting: true,
    treeshake: true,
  };
}
