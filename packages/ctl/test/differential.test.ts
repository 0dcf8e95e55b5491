/** quoratectl and Debian's etcdctl, the same command lines on servers with the same history. */
import { findProgram, type ServerProcess, startEtcd } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cases } from './cases.ts';
import { etcdctl, normaliser, ours } from './harness.ts';

const installed = findProgram('etcd') !== null && findProgram('etcdctl') !== null;
if (!installed)
  console.warn(
    'etcd and etcdctl are not installed (packages etcd-server, etcd-client): quoratectl is not compared with them',
  );

describe.skipIf(!installed)('quoratectl does what etcdctl does', () => {
  let theirServer: ServerProcess;
  let ourServer: ServerProcess;
  let theirText: (text: string) => string;
  let ourText: (text: string) => string;

  beforeAll(async () => {
    [theirServer, ourServer] = await Promise.all([startEtcd(), startEtcd()]);
    [theirText, ourText] = await Promise.all([normaliser(theirServer), normaliser(ourServer)]);
  });
  afterAll(async () => {
    await theirServer?.stop();
    await ourServer?.stop();
  });

  for (const [i, one] of cases.entries()) {
    const words = one.args.map((arg) => (arg === '' ? "''" : arg)).join(' ');
    test(`${i} ${words} ${one.stdin === undefined ? '' : JSON.stringify(one.stdin)}`, async () => {
      const at = (server: ServerProcess) => ({
        ...one,
        env: { ...one.env, ETCDCTL_ENDPOINTS: server.endpoint },
      });
      const [theirs, mine] = await Promise.all([etcdctl(at(theirServer)), ours(at(ourServer))]);
      const { differs } = one;
      const expected = {
        code: differs?.code ?? theirs.code,
        stdout: differs?.stdout ?? theirText(theirs.stdout),
        stderr: differs?.stderr ?? theirText(theirs.stderr),
      };
      const actual = { code: mine.code, stdout: ourText(mine.stdout), stderr: ourText(mine.stderr) };
      if (differs?.text === 'differs') expect(actual.code).toBe(expected.code);
      else expect(actual).toEqual(expected);
      // A difference that is none any more should not stand in the list.
      if (differs && differs.text === undefined)
        expect({
          code: theirs.code,
          stdout: theirText(theirs.stdout),
          stderr: theirText(theirs.stderr),
        }).not.toEqual(actual);
    });
  }
});
