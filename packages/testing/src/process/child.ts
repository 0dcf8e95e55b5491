/**
 * Child processes that do not outlive the process that started them, however it ends: a test that is killed, or whose runner gives
 * up on it, runs no hook of its own.
 *
 * On Linux the kernel is asked to do it: `setpriv` (util-linux) sets the parent-death signal and becomes the program, with the
 * same pid. Where it is missing, an exit hook ends what is left, which covers every end but a signal that is not handled.
 *
 * The kernel's parent is the *thread* that started the child: whoever starts one from a worker ends it with that worker.
 */
import {
  type ChildProcess,
  type ChildProcessByStdio,
  type ChildProcessWithoutNullStreams,
  type SpawnOptions,
  type SpawnOptionsWithoutStdio,
  type SpawnOptionsWithStdioTuple,
  type StdioNull,
  type StdioPipe,
  spawn,
  spawnSync,
} from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

/** What this process has started and must not leave behind. */
const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

const BINDING = ['--pdeathsig', 'KILL', '--'];
let canBind: boolean | null = null;

/** The same command, ended with this process by the kernel where it can; for `spawnSync` and the like. */
export function boundCommand(
  program: string,
  args: readonly string[],
): { readonly program: string; readonly args: readonly string[] } {
  canBind ??= process.platform === 'linux' && spawnSync('setpriv', [...BINDING, 'true']).status === 0;
  return canBind ? { program: 'setpriv', args: [...BINDING, program, ...args] } : { program, args };
}

/**
 * `spawn` of `node:child_process`, with a child that ends with this process. A program that is not there ends with code 127
 * where the kernel binds, instead of an 'error' event.
 */
export const spawnBound: SpawnWithArguments = (program: string, args: readonly string[], options = {}) => {
  const command = boundCommand(program, args);
  const child = spawn(command.program, command.args, options);
  children.add(child);
  child.once('exit', () => children.delete(child));
  child.once('error', () => children.delete(child));
  return child as never;
};

/** The forms of `spawn` that have arguments: which streams a child has follows from `stdio`. */
interface SpawnWithArguments {
  (
    program: string,
    args: readonly string[],
    options?: SpawnOptionsWithoutStdio,
  ): ChildProcessWithoutNullStreams;
  <In extends Stdio, Out extends Stdio, Err extends Stdio>(
    program: string,
    args: readonly string[],
    options: SpawnOptionsWithStdioTuple<In, Out, Err>,
  ): ChildProcessByStdio<
    In extends StdioPipe ? Writable : null,
    Out extends StdioPipe ? Readable : null,
    Err extends StdioPipe ? Readable : null
  >;
  (program: string, args: readonly string[], options: SpawnOptions): ChildProcess;
}
type Stdio = StdioPipe | StdioNull;
