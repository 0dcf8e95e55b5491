import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { promptPassword } from './prompt.ts';

test.each([
  ['secret\nand more\n', 'secret'],
  ['secret', 'secret'],
  ['', ''],
])('a password is a line, or what there is when the input ends: %j', async (text, password) => {
  let stdout = '';
  const io = {
    stdin: Readable.from(text === '' ? [] : [Buffer.from(text)]),
    env: {},
    stdout: (bytes: string | Uint8Array) => {
      stdout += bytes;
    },
    stderr() {},
  };
  expect(await promptPassword(io, 'Password: ')).toBe(password);
  expect(stdout).toBe('Password: \n');
});
