import { packageBuild } from '../../tsup.base.ts';

export default packageBuild({ entry: ['src/index.ts', 'src/writer-worker.ts', 'src/receiver-worker.ts'] });
