/**
 * The last line: errors that nothing caught. The state of the process is unknown then, so the member stops answering at
 * once and the process ends with an error; what was acknowledged is in the log.
 */
import type { Logger } from '../env.ts';

/** @param onUncaught stops the member at once; the caller then exits. @returns a function that takes the guard away */
export function guardProcess(log: Logger, onUncaught: (error: Error) => void): () => void {
  const uncaught = (reason: unknown) => {
    const error = reason instanceof Error ? reason : new Error(String(reason));
    log.log('fatal', 'an error was not caught', { error, stack: error.stack });
    onUncaught(error);
  };
  process.on('uncaughtException', uncaught);
  process.on('unhandledRejection', uncaught);
  return () => {
    process.off('uncaughtException', uncaught);
    process.off('unhandledRejection', uncaught);
  };
}
