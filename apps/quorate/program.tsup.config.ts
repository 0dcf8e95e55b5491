/**
 * The executable as few files: our packages and their dependencies in pure JavaScript. Finding, reading and compiling some hundred
 * files had been half of a start. What is loaded late (HTTP, peers, YAML) is in chunks of its own.
 */
import { packageBuild } from '../../tsup.base.ts';
import { BANNER, programPlugin } from './build/program-plugin.ts';

export default {
  ...packageBuild({ entry: [] }),
  entry: {
    main: 'src/main.ts',
    'wal/writer-worker': '../../packages/wal/src/writer-worker.ts',
    'mvcc/writer-worker': '../../packages/mvcc/src/writer-worker.ts',
    'mvcc/receiver-worker': '../../packages/mvcc/src/receiver-worker.ts',
    'server/image-worker': '../../packages/server/src/etcd-image/image-worker.ts',
    'server/failpoint-module': '../../packages/server/src/node/failpoint-module.ts',
  },
  // The library's files are there already.
  clean: false,
  sourcemap: false,
  // The bundler's own shaking does; a second one over this much takes minutes.
  treeshake: false,
  removeNodeProtocol: false,
  noExternal: [/./],
  banner: { js: BANNER },
  esbuildPlugins: [programPlugin('dist/LICENCES.txt')],
  esbuildOptions: (options: { conditions?: string[] }) => {
    options.conditions = ['@quorate/source'];
  },
};
