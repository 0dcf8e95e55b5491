import { packageBuild } from '../../tsup.base.ts';

// Declarations are written by the compiler itself, file by file (`tsconfig.build.json`): the bundler of declarations
// needs a compiler API that TypeScript 7 does not have.
export default packageBuild({ entry: ['src/index.ts', 'src/testing.ts'], dts: false });
