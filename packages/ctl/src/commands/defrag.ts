/** defrag: member by member, never two at once, since a member may be deaf meanwhile; or a folder that no server uses. */
import type { Run } from '../command.ts';
import { CommandError, callErrorText, ExitCode } from '../exit.ts';
import { formatDuration } from '../go-values.ts';
import { endpointsOf } from './endpoint.ts';
import { offline } from './offline.ts';

export const defrag: Run = async (context, line) => {
  const directory = line.flags.string('data-dir');
  if (directory !== '') {
    await offline((door) => door.defragmentFolder(directory)).catch((error) => {
      throw new CommandError(
        ExitCode.ERROR,
        `Failed to defragment etcd data[${directory}] (${(error as Error).message})`,
        { cause: error },
      );
    });
    return;
  }
  let failed = false;
  for (const endpoint of await endpointsOf(context, line)) {
    const client = await context.client([endpoint]);
    const start = performance.now();
    const took = (): string => formatDuration(performance.now() - start);
    try {
      await client.maintenance.defragment();
      context.io.stdout(`Finished defragmenting etcd member[${endpoint}]. took ${took()}\n`);
    } catch (error) {
      failed = true;
      context.io.stderr(
        `Failed to defragment etcd member[${endpoint}]. took ${took()}. (${callErrorText(error)})\n`,
      );
    }
  }
  if (failed) throw new CommandError(ExitCode.ERROR, '');
};
