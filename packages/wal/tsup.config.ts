import { packageBuild } from '../../tsup.base.ts';

// The writer thread is loaded by URL beside index.js.
export default packageBuild({ entry: ['src/index.ts', 'src/writer-worker.ts'] });
