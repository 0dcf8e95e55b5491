/** Clients in Python that we did not write: locks of python3-etcd3, and a generic client that learns the API by reflection. */
import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type ServerProcess, startQuorate } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** The system's Python: that is where distributions put the packages. */
const PYTHON = '/usr/bin/python3';

function has(module: string): boolean {
  try {
    execFileSync(PYTHON, ['-c', `import ${module}`], { stdio: 'ignore' });
    return true;
  } catch {
    console.warn(`SKIPPED: ${module} is not installed for ${PYTHON}`);
    return false;
  }
}

async function python(script: string, ...args: string[]): Promise<string> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return (await promisify(execFile)(PYTHON, [path, ...args], { timeout: 60_000 })).stdout;
}

describe('clients in Python', () => {
  let server: ServerProcess;
  beforeAll(async () => {
    server = await startQuorate();
  }, 60_000);
  afterAll(() => server?.stop());

  it.skipIf(!has('grpc, google.protobuf.message_factory'))(
    'reflection shows the API, and it works',
    async () => {
      expect(await python('reflection.py', server.endpoint)).toBe('v1 True True\nv1alpha True True\nfound\n');
    },
    60_000,
  );

  it.skipIf(!has('etcd3'))(
    'python3-etcd3 counts under its lock and loses nothing',
    async () => {
      const [host, port] = server.endpoint.split(':') as [string, string];
      expect(await python('lock.py', host, port)).toBe('20\n');
    },
    60_000,
  );
});
