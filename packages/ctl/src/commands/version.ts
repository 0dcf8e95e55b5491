/** version: ours, and the release of the API that is spoken. */
import { readFileSync } from 'node:fs';
import { etcdApi } from '@quorate/proto';
import type { Run } from '../command.ts';

export const version: Run = async (context) => {
  context.io.stdout(`quoratectl version: ${packageVersion()}\nAPI version: ${etcdApi.apiVersion}\n`);
};

/** From package.json, which stands one folder above both the sources and the build. */
export function packageVersion(): string {
  // The build keeps this file's code in a chunk beside main.js, so the folder above is the package either way.
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const found: unknown = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (isPackage(found)) return found.version;
    } catch {
      // Not there: the other one is.
    }
  }
  return 'unknown';
}

function isPackage(value: unknown): value is { version: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    value.name === '@quorate/ctl' &&
    'version' in value
  );
}
