/**
 * How the executable's bundle differs from what a bundler makes by itself.
 *
 * - *Workers.* Code finds a worker beside itself, as `./writer-worker.js` seen from `import.meta.url`. All of it lies in one folder
 *   here, so each package's code looks in a folder of its own: `wal/writer-worker.js`.
 * - *Node's modules* are got, not imported. An import reads every export of `node:fs` or `node:crypto`, also those that
 *   load more when they are read.
 * - *Native packages* stay outside, and are required: their CommonJS half is one file instead of twenty.
 * - *Licences* of what is bundled go into a file beside it.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Options } from 'tsup';

type Plugin = NonNullable<Options['esbuildPlugins']>[number];

/** Packages with workers or other files that are found by URL. */
const HOSTS = /\/packages\/(wal|mvcc|server)\/src\/[^?]*\.ts$/;
const NATIVE = /^(lmdb|@node-rs\/crc32)$/;
/** For CommonJS inside of an ES module. */
export const BANNER =
  "import { createRequire as programRequire } from 'node:module'; const require = programRequire(import.meta.url);";

export function programPlugin(licencesFile: string): Plugin {
  return {
    name: 'quorate-program',
    setup(build) {
      build.initialOptions.metafile = true;
      build.onLoad({ filter: HOSTS }, ({ path }) => {
        const text = readFileSync(path, 'utf8');
        if (!text.includes('import.meta.url')) return undefined;
        const folder = HOSTS.exec(path)![1];
        const url = `new URL('./${folder}/index.js', import.meta.url).href`;
        return { contents: text.replaceAll('import.meta.url', url), loader: 'ts' };
      });
      build.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
        kind === 'require-call' ? undefined : { path, namespace: 'builtin', sideEffects: false },
      );
      build.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({ contents: builtin(path) }));
      build.onResolve({ filter: NATIVE }, ({ path, namespace }) =>
        namespace === 'native' ? { path, external: true } : { path, namespace: 'native' },
      );
      build.onLoad({ filter: /.*/, namespace: 'native' }, ({ path }) => ({
        contents: `module.exports = require(${JSON.stringify(path)});`,
      }));
      build.onEnd(({ metafile }) => {
        if (metafile !== undefined) writeFileSync(licencesFile, licences(Object.keys(metafile.inputs)));
      });
    },
  };
}

/** Exports that are there without more being loaded; an import of any other fails the build. */
function builtin(name: string): string {
  const properties = Object.getOwnPropertyDescriptors(process.getBuiltinModule(name) ?? {});
  const names = Object.entries(properties)
    .filter(([key, { get }]) => get === undefined && /^[A-Za-z]\w*$/.test(key) && key !== 'default')
    .map(([key]) => key);
  return `const all = process.getBuiltinModule('${name}');\nexport default all;\nexport const { ${names.join(', ')} } = all;\n`;
}

/** @param inputs all files of the bundle */
function licences(inputs: readonly string[]): string {
  const folders = new Set<string>();
  for (const path of inputs) {
    const folder = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
    if (folder !== undefined) folders.add(folder);
  }
  const texts = new Map<string, string>();
  for (const folder of folders) {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      name: string;
      version: string;
      license?: string;
    };
    const file = readdirSync(folder).find((each) => /^(licen[cs]e|copying)/i.test(each));
    const text = file === undefined ? `Licence: ${license}\n` : readFileSync(join(folder, file), 'utf8');
    texts.set(`${name} ${version}`, text);
  }
  return [...texts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([title, text]) => `${title}\n${'='.repeat(title.length)}\n\n${text.trim()}\n`)
    .join('\n\n');
}
