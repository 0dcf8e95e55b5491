import { expect, test } from 'vitest';
import { watchDescriptors } from './descriptor-watch.ts';

/** Looks once for each of `codes`, null: a descriptor was there. @returns what was logged at each look */
function looks(codes: readonly (string | null)[]): string[] {
  let look = (): void => {};
  let cancelled = 0;
  let code: string | null = null;
  let logged = '';
  const watch = watchDescriptors(
    {
      setTimer: (_, callback) => {
        look = callback;
        return { cancel: () => cancelled++ };
      },
      log: { log: (level) => (logged += level) },
    },
    () => {
      if (code !== null) throw Object.assign(new Error(code), { code });
    },
  );
  const told = codes.map((next) => {
    code = next;
    logged = '';
    look();
    return logged;
  });
  watch.stop();
  expect(cancelled).toBe(1);
  return told;
}

test.each([
  [
    'none left, told once; then some again',
    [null, 'EMFILE', 'EMFILE', null, null],
    ['', 'warn', '', 'info', ''],
  ],
  ['none left in the whole system', ['ENFILE', null], ['warn', 'info']],
  ['another error says nothing about descriptors', ['EACCES', null], ['', '']],
])('case-69 %s', (_, codes, told) => {
  expect(looks(codes)).toEqual(told);
});
