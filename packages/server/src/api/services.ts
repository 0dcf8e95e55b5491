/**
 * All services of a member as one handler table.
 *
 * Methods that are not in the table are answered UNIMPLEMENTED by the transport.
 */
import type { Handler, HandlerTable } from '@quorate/grpc-server';
import type { Member } from '../member.ts';
import { clusterHandlers } from './cluster.ts';
import { ResponseHeader } from './header.ts';
import { kvHandlers } from './kv.ts';
import { createLeaseService } from './lease.ts';
import { maintenanceHandlers } from './maintenance.ts';
import { createWatchService } from './watch.ts';

export interface Services {
  readonly handlers: HandlerTable;
  /** Ends the streams that would never end by themselves; new ones are refused. */
  close(): void;
}

export function createServices(member: Member): Services {
  const header = new ResponseHeader(member.clusterId, member.memberId, member);
  const watch = createWatchService(member, header);
  const lease = createLeaseService(member, header);
  return {
    handlers: new Map<string, Handler>([
      ...kvHandlers(member, header),
      ...watch.handlers,
      ...lease.handlers,
      ...clusterHandlers(member, header),
      ...maintenanceHandlers(member, header),
    ]),
    close() {
      watch.close();
      lease.close();
    },
  };
}
