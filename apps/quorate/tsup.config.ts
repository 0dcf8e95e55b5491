import { packageBuild } from '../../tsup.base.ts';

// Workspace packages stay outside: their worker files and native parts are found from where they are installed.
export default packageBuild({ entry: ['src/index.ts', 'src/main.ts'] });
