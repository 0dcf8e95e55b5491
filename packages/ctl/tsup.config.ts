import { packageBuild } from '../../tsup.base.ts';

// `main` is loaded by bin/quoratectl.mjs and has nothing to declare; commands are imported when they run and become
// chunks of their own.
export default packageBuild({ entry: ['src/index.ts', 'src/main.ts'] });
