/** migrate from-etcd: the data folder of an etcd server becomes one of ours. The source is read, never changed. */
import type { Run } from '../command.ts';
import { badArgs } from '../exit.ts';
import { clusterPlan, offline } from './offline.ts';
import { targetOf, tell } from './snapshot.ts';

export const fromEtcd: Run = async (context, line) => {
  if (line.args.length > 0) throw badArgs('migrate from-etcd takes no arguments');
  const etcdDirectory = line.flags.string('etcd-data-dir');
  if (etcdDirectory === '') throw badArgs('--etcd-data-dir is required');
  const etcdWalDirectory = line.flags.string('etcd-wal-dir');
  const target = targetOf(line);
  const migrated = await offline(async (door) =>
    door.migrateFromEtcd({
      ...target,
      ...clusterPlan(door, line),
      etcdDirectory,
      etcdWalDirectory: etcdWalDirectory === '' ? null : etcdWalDirectory,
    }),
  );
  const { replayedEntries } = migrated;
  const replayed = replayedEntries === 0 ? '' : ` (${replayedEntries} entries replayed from its log)`;
  tell(context, `migrated ${etcdDirectory} to ${target.dataDirectory}${replayed}`, migrated);
};
