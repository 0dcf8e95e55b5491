import { expect, test } from 'vitest';
import { endText } from './exit.ts';

test('the end of a program is told in the words of Go', () => {
  expect(endText(7, null)).toBe('exit status 7');
  expect(endText(null, 'SIGKILL')).toBe('signal: killed');
  expect(endText(null, 'SIGTERM')).toBe('signal: terminated');
  expect(endText(null, 'SIGUSR1')).toBe('signal: SIGUSR1');
});
