/**
 * Says so when there are no file descriptors left. The event loop then closes new connections by itself and tells nobody, so
 * the only way to know is to ask for one.
 */
import { closeSync, openSync } from 'node:fs';
import type { Env, Timer } from '../env.ts';

/** Errors of a process, and of a system, that has none left. */
const NONE_LEFT = new Set(['EMFILE', 'ENFILE']);
const INTERVAL_MS = 1_000;

/** @param open takes a file descriptor and gives it back; throws the system's error */
export function watchDescriptors(
  { setTimer, log }: Pick<Env, 'setTimer' | 'log'>,
  open: () => void = () => closeSync(openSync('/', 'r')),
): { stop(): void } {
  let noneLeft = false;
  let timer: Timer;
  const look = (): void => {
    const code = codeOf(open);
    const none = code !== null && NONE_LEFT.has(code);
    if (none && !noneLeft) {
      log.log('warn', 'no file descriptors left: new connections are closed, open ones are served', { code });
    } else if (!none && noneLeft) {
      log.log('info', 'there are file descriptors again: new connections are served');
    }
    noneLeft = none;
    timer = setTimer(INTERVAL_MS, look);
  };
  timer = setTimer(INTERVAL_MS, look);
  return { stop: () => timer.cancel() };
}

function codeOf(open: () => void): string | null {
  try {
    open();
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? '';
  }
}
