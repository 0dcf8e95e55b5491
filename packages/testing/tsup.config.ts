import { packageBuild } from '../../tsup.base.ts';

export default {
  ...packageBuild({ entry: ['src/index.ts'] }),
  entry: {
    index: 'src/index.ts',
    'server-sim/index': 'src/server-sim/index.ts',
    'process/child': 'src/process/child.ts',
    'process/say': 'src/process/say.ts',
  },
};
