/**
 * All services of a member as one handler table.
 *
 * Methods that are not in the table are answered UNIMPLEMENTED by the transport.
 */
import type { Handler, HandlerTable } from '@quorate/grpc-server';
import type { WatchStats } from '@quorate/mvcc';
import { services } from '@quorate/proto';
import type { ImageFolder } from '../etcd-image/image-folder.ts';
import type { Member } from '../member.ts';
import { clusterHandlers } from './cluster.ts';
import { Lines } from './concurrency/line.ts';
import { createElectionService } from './election.ts';
import { ResponseHeader } from './header.ts';
import { createHealthService } from './health.ts';
import { kvHandlers } from './kv.ts';
import { LeaderLoss } from './leader-loss.ts';
import { learnerGuard } from './learner.ts';
import { createLeaseService } from './lease.ts';
import { lockHandlers } from './lock.ts';
import { maintenanceHandlers } from './maintenance.ts';
import { reflectionHandlers } from './reflection.ts';
import { createSnapshotService } from './snapshot.ts';
import { Upkeep } from './upkeep.ts';
import { createWatchService } from './watch.ts';

const SNAPSHOT_PATH = services['etcdserverpb.Maintenance'].Snapshot.path;

export interface Services {
  readonly handlers: HandlerTable;
  /** Streams, watches and events, for metrics. */
  watchStats(): WatchStats;
  /** How long work on the whole database took, for metrics. */
  readonly upkeep: Upkeep;
  /** Ends the streams that would never end by themselves; new ones are refused. */
  close(): void;
}

export interface ServiceOptions {
  /** Where images of the store for users are written; absent: Maintenance.Snapshot is not offered. */
  readonly images?: ImageFolder;
  /** Health says NOT_SERVING while this member is being defragmented. Default false. */
  readonly restsOnDefragment?: boolean;
}

export function createServices(member: Member, options: ServiceOptions = {}): Services {
  const { images, restsOnDefragment = false } = options;
  const header = new ResponseHeader(member.clusterId, member.memberId, member);
  const watch = createWatchService(member, header);
  const lease = createLeaseService(member, header);
  const lines = new Lines(member);
  const leaderLoss = new LeaderLoss(member);
  const election = createElectionService(lines, header, leaderLoss);
  const health = createHealthService(member);
  const upkeep = new Upkeep(member.env);
  const snapshot = images === undefined ? null : createSnapshotService(member, images, upkeep);
  return {
    handlers: guarded(member, [
      ...kvHandlers(member, header),
      ...watch.handlers,
      ...lease.handlers,
      ...clusterHandlers(member, header),
      ...maintenanceHandlers(member, header, () => {
        const end = upkeep.defragment();
        if (restsOnDefragment) health.rests(true);
        return (succeeded) => {
          end(succeeded);
          if (restsOnDefragment) health.rests(false);
        };
      }),
      ...lockHandlers(lines, header),
      ...election.handlers,
      ...health.handlers,
      ...reflectionHandlers(),
      ...(snapshot === null ? [] : [[SNAPSHOT_PATH, snapshot.handler] as const]),
    ]),
    watchStats: () => watch.stats(),
    upkeep,
    close() {
      watch.close();
      lease.close();
      election.close();
      lines.close();
      leaderLoss.close();
      health.close();
      snapshot?.close();
    },
  };
}

function guarded(
  member: Member,
  handlers: readonly (readonly [path: string, handler: Handler])[],
): Map<string, Handler> {
  return new Map(handlers.map((entry) => learnerGuard(member, entry)));
}
