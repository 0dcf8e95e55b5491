/** defrag: member by member, never two at once, since a member may be deaf meanwhile. */
import type { Run } from '../command.ts';
import { CommandError, callErrorText, ExitCode } from '../exit.ts';
import { formatDuration } from '../go-values.ts';
import { endpointsOf } from './endpoint.ts';

export const defrag: Run = async (context, line) => {
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
