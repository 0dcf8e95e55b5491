import { packageBuild } from '../../tsup.base.ts';

// Declarations are written by the compiler itself (`tsconfig.build.json`), see packages/raft.
export default {
  ...packageBuild({ entry: ['src/index.ts'], dts: false }),
  // The log's writer thread loads its failpoints by URL, beside index.js.
  entry: { index: 'src/index.ts', 'failpoint-module': 'src/node/failpoint-module.ts' },
};
