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
import { maintenanceHandlers } from './maintenance.ts';

export function createServices(member: Member): HandlerTable {
  const header = new ResponseHeader(member.clusterId, member.memberId, member);
  return new Map<string, Handler>([
    ...kvHandlers(member, header),
    ...clusterHandlers(member, header),
    ...maintenanceHandlers(member, header),
  ]);
}
