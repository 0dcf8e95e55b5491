/** How a command ends: etcdctl's exit codes, and the one error that carries them out. */
import { getSystemErrorMessage } from 'node:util';
import { ClientError } from '@quorate/client';
import { quote } from './go-values.ts';

export const ExitCode = {
  OK: 0,
  /** Server or call failure, unknown command or flag, unhealthy cluster. */
  ERROR: 1,
  BAD_CONNECTION: 2,
  INVALID_INPUT: 3,
  /** Output format or option value that the command does not know. */
  BAD_FEATURE: 4,
  INTERRUPTED: 5,
  IO: 6,
  BAD_ARGS: 128,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Ends the program with `code`, after `Error: message` on standard error (nothing for an empty message). */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

export function badArgs(message: string): CommandError {
  return new CommandError(ExitCode.BAD_ARGS, message);
}

/** What the system refused, in Go's words: `open FILE: no such file or directory`. @returns null for other errors */
export function systemErrorText(error: unknown): string | null {
  if (!(error instanceof Error) || !('syscall' in error) || !('errno' in error)) return null;
  const { syscall, errno, path = '', dest } = error as NodeJS.ErrnoException & { readonly dest?: string };
  const where = dest === undefined ? path : `${path} ${dest}`;
  return `${syscall}${where === '' ? '' : ` ${where}`}: ${getSystemErrorMessage(errno!)}`;
}

/** Why a program did not start. Only a name without a slash is looked for in $PATH. */
export function startProblem(program: string, error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT' && !program.includes('/'))
    return `exec: ${quote(program)}: executable file not found in $PATH`;
  return `fork/exec ${program}: ${error.errno === undefined ? error.message : getSystemErrorMessage(error.errno)}`;
}

const SIGNAL_NAMES: Partial<Record<NodeJS.Signals, string>> = {
  SIGABRT: 'aborted',
  SIGHUP: 'hangup',
  SIGINT: 'interrupt',
  SIGKILL: 'killed',
  SIGPIPE: 'broken pipe',
  SIGQUIT: 'quit',
  SIGSEGV: 'segmentation fault',
  SIGTERM: 'terminated',
};

/** How a program ended, in Go's words. */
export function endText(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal === null) return `exit status ${code}`;
  return `signal: ${SIGNAL_NAMES[signal] ?? signal}`;
}

/** The text of a failed call, as etcdctl prints it. */
export function callErrorText(error: unknown): string {
  if (!(error instanceof ClientError))
    return systemErrorText(error) ?? (error instanceof Error ? error.message : String(error));
  if (error.code === 'DEADLINE_EXCEEDED' || error.code === 'CONNECTION_FAILED')
    return 'context deadline exceeded';
  if (error.code === 'CANCELLED') return 'context canceled';
  if (error.code === 'STATUS' || error.code === 'CONNECTION_LOST')
    return `rpc error: code = ${goStatusName(error.status)} desc = ${error.message}`;
  return error.message;
}

/** `FAILED_PRECONDITION` is `FailedPrecondition` in Go; the one exception is spelled with one l. */
function goStatusName(name: string): string {
  if (name === 'CANCELLED') return 'Canceled';
  return name.toLowerCase().replace(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
