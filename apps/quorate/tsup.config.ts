import { packageBuild } from '../../tsup.base.ts';

// For programs that embed a server: workspace packages stay outside. The executable is built by program.tsup.config.ts.
export default packageBuild({ entry: ['src/index.ts', 'src/compiled-code.ts'] });
