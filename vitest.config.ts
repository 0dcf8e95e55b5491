import { defineConfig } from 'vitest/config';

// Tests run from source: the `@quorate/source` export condition maps every workspace package to its
// src/index.ts, so no build stands between an edit and its test.
const conditions = ['@quorate/source', 'node', 'import', 'module', 'default'];

// QUORATE_LONG=1 runs the long tests (simulation, fault runs, crash images at full size) instead of the quick ones.
const long = process.env.QUORATE_LONG === '1';
const suffix = long ? '.long.test.ts' : '.test.ts';

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: [
      `{packages,apps,examples}/*/{src,test}/**/*${suffix}`,
      `benchmarks/{src,trials}/**/*${suffix}`,
      `tests/**/*${suffix}`,
    ],
    exclude: ['**/node_modules/**', '**/dist/**', ...(long ? [] : ['**/*.long.test.ts'])],
    pool: 'forks',
    execArgv: ['--conditions=@quorate/source', '--expose-gc'],
    // Bounds for a machine that is ten times slower than ours: no test is judged by its time.
    testTimeout: long ? 900_000 : 120_000,
    hookTimeout: 60_000,
    maxWorkers: 2,
  },
});
