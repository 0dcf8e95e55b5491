/** Commands that hold something until the user ends them: Ctrl-C, SIGTERM, or `io.interrupt` where there is no process to signal. */
import type { Context } from './context.ts';

/** @returns a signal that is aborted at the first of these, and a way to stop listening */
export function interruption(context: Context): { readonly signal: AbortSignal; stop(): void } {
  const aborter = new AbortController();
  const abort = (): void => aborter.abort(new Error('interrupted'));
  const { interrupt } = context.io;
  if (interrupt !== undefined) {
    if (interrupt.aborted) abort();
    interrupt.addEventListener('abort', abort, { once: true });
    return { signal: aborter.signal, stop: () => interrupt.removeEventListener('abort', abort) };
  }
  process.once('SIGINT', abort);
  process.once('SIGTERM', abort);
  return {
    signal: aborter.signal,
    stop() {
      process.removeListener('SIGINT', abort);
      process.removeListener('SIGTERM', abort);
    },
  };
}
