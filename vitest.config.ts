import { defineConfig } from 'vitest/config';

// Tests run from source: the `@quorate/source` export condition maps every workspace package to its
// src/index.ts, so no build stands between an edit and its test.
const conditions = ['@quorate/source', 'node', 'import', 'module', 'default'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: [
      '{packages,apps,examples}/*/{src,test}/**/*.test.ts',
      'benchmarks/src/**/*.test.ts',
      'tests/**/*.test.ts',
    ],
    exclude: ['**/node_modules/**', '**/dist/**'],
    pool: 'forks',
    execArgv: ['--conditions=@quorate/source', '--expose-gc'],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    maxWorkers: 2,
  },
});
