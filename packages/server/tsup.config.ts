import { packageBuild } from '../../tsup.base.ts';

export default {
  ...packageBuild({ entry: ['src/index.ts'] }),
  // The log's writer thread loads its failpoints by URL, beside index.js.
  entry: {
    index: 'src/index.ts',
    testing: 'src/testing.ts',
    'failpoint-module': 'src/node/failpoint-module.ts',
  },
};
