import { packageBuild } from '../../tsup.base.ts';

export default {
  ...packageBuild({ entry: ['src/index.ts'] }),
  // The log's writer thread loads its failpoints by URL, beside index.js.
  entry: {
    index: 'src/index.ts',
    offline: 'src/offline/index.ts',
    testing: 'src/testing.ts',
    'image-worker': 'src/etcd-image/image-worker.ts',
    'failpoint-module': 'src/node/failpoint-module.ts',
  },
};
