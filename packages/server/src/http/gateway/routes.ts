/**
 * The paths of the JSON gateway: method of a service to path below `/v3` (`google.api.http` in etcd's proto files).
 *
 * Everything is POST with the whole body as the request message; `kv/put` takes PUT as well, which documents use.
 * `/v3beta` and `/v3alpha` are what earlier releases called `/v3`.
 */
import { type MethodDescriptor, methods } from '@quorate/proto';

export const PREFIXES = ['/v3', '/v3beta', '/v3alpha'] as const;

const TABLE = `
etcdserverpb.KV/Range kv/range
etcdserverpb.KV/Put kv/put
etcdserverpb.KV/DeleteRange kv/deleterange
etcdserverpb.KV/Txn kv/txn
etcdserverpb.KV/Compact kv/compaction
etcdserverpb.Watch/Watch watch
etcdserverpb.Lease/LeaseGrant lease/grant
etcdserverpb.Lease/LeaseRevoke lease/revoke kv/lease/revoke
etcdserverpb.Lease/LeaseKeepAlive lease/keepalive
etcdserverpb.Lease/LeaseTimeToLive lease/timetolive kv/lease/timetolive
etcdserverpb.Lease/LeaseLeases lease/leases kv/lease/leases
etcdserverpb.Cluster/MemberAdd cluster/member/add
etcdserverpb.Cluster/MemberRemove cluster/member/remove
etcdserverpb.Cluster/MemberUpdate cluster/member/update
etcdserverpb.Cluster/MemberList cluster/member/list
etcdserverpb.Cluster/MemberPromote cluster/member/promote
etcdserverpb.Maintenance/Alarm maintenance/alarm
etcdserverpb.Maintenance/Status maintenance/status
etcdserverpb.Maintenance/Defragment maintenance/defragment
etcdserverpb.Maintenance/Hash maintenance/hash
etcdserverpb.Maintenance/HashKV maintenance/hashkv
etcdserverpb.Maintenance/Snapshot maintenance/snapshot
etcdserverpb.Maintenance/MoveLeader maintenance/transfer-leadership
etcdserverpb.Maintenance/Downgrade maintenance/downgrade
etcdserverpb.Auth/AuthEnable auth/enable
etcdserverpb.Auth/AuthDisable auth/disable
etcdserverpb.Auth/AuthStatus auth/status
etcdserverpb.Auth/Authenticate auth/authenticate
etcdserverpb.Auth/UserAdd auth/user/add
etcdserverpb.Auth/UserGet auth/user/get
etcdserverpb.Auth/UserList auth/user/list
etcdserverpb.Auth/UserDelete auth/user/delete
etcdserverpb.Auth/UserChangePassword auth/user/changepw
etcdserverpb.Auth/UserGrantRole auth/user/grant
etcdserverpb.Auth/UserRevokeRole auth/user/revoke
etcdserverpb.Auth/RoleAdd auth/role/add
etcdserverpb.Auth/RoleGet auth/role/get
etcdserverpb.Auth/RoleList auth/role/list
etcdserverpb.Auth/RoleDelete auth/role/delete
etcdserverpb.Auth/RoleGrantPermission auth/role/grant
etcdserverpb.Auth/RoleRevokePermission auth/role/revoke
v3lockpb.Lock/Lock lock/lock
v3lockpb.Lock/Unlock lock/unlock
v3electionpb.Election/Campaign election/campaign
v3electionpb.Election/Proclaim election/proclaim
v3electionpb.Election/Leader election/leader
v3electionpb.Election/Observe election/observe
v3electionpb.Election/Resign election/resign
`;

export interface GatewayRoute {
  /** Without a prefix: `/kv/range`. */
  readonly path: string;
  readonly verbs: readonly ('POST' | 'PUT')[];
  readonly method: MethodDescriptor<unknown, unknown>;
}

function parseTable(text: string): GatewayRoute[] {
  const byPath = new Map(methods.map((method) => [method.path.slice(1), method]));
  return text
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [name, ...paths] = line.split(' ');
      const method = byPath.get(name!);
      if (method === undefined) throw new Error('a gateway route names a method that does not exist');
      return paths.map((path) => ({
        path: `/${path}`,
        verbs: path === 'kv/put' ? (['POST', 'PUT'] as const) : (['POST'] as const),
        method,
      }));
    });
}

export const GATEWAY_ROUTES: readonly GatewayRoute[] = parseTable(TABLE);
