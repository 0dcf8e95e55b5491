/**
 * Every metric that is served, as data: name, type, labels and what it means. Names, labels and types are etcd's, so
 * that dashboards and alerts fit.
 *
 * Left out is what has no counterpart here (Go's runtime, bbolt's pages, the v2 store, the gRPC proxy) and what nobody measures
 * yet, such as leases granted and keys compacted; `test/http/fixtures/metrics.tsv` has all names.
 */

export interface MetricInfo {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  readonly help: string;
}

const TABLE = `
etcd_cluster_version | gauge | cluster_version | 1 for the version that the members agreed on.
etcd_server_id | gauge | server_id | 1 for the id of this member, in hex.
etcd_server_version | gauge | server_version | 1 for the etcd version whose behaviour is served.
etcd_server_has_leader | gauge | - | 1 when a leader is known.
etcd_server_is_leader | gauge | - | 1 when this member leads.
etcd_server_is_learner | gauge | - | 1 when this member is a learner.
etcd_server_leader_changes_seen_total | counter | - | Leaders seen, since the start.
etcd_server_proposals_committed_total | gauge | - | Index of the last entry that is committed.
etcd_server_proposals_applied_total | gauge | - | Index of the last entry that is applied.
etcd_server_proposals_pending | gauge | - | Proposals that wait for their outcome.
etcd_server_proposals_failed_total | counter | - | Proposals that ended without an outcome.
etcd_server_quota_backend_bytes | gauge | - | Size of the database at which writes are refused.
etcd_server_health_success | counter | - | Calls of /health that found the member well.
etcd_server_health_failures | counter | - | Calls of /health that did not.
etcd_server_healthcheck | gauge | type,name | Last result of each check of /livez and /readyz.
etcd_server_healthchecks_total | counter | type,name,status | Runs of each check, by result.
etcd_server_client_requests_total | counter | type,client_api_version | Calls by kind and by the version the client says it speaks.
etcd_server_read_indexes_failed_total | counter | - | Reads that could not be confirmed.
etcd_server_slow_read_indexes_total | counter | - | Reads whose confirmation took long.
etcd_server_heartbeat_send_failures_total | counter | - | Heartbeats that a leader sent late.
etcd_server_slow_apply_total | counter | - | Runs of entries that took longer to apply than --warning-apply-duration.
etcd_server_snapshot_apply_in_progress_total | gauge | - | 1 while a received snapshot is installed.
etcd_server_learner_promote_successes | counter | - | Learners promoted.
etcd_server_learner_promote_failures | counter | Reason | Learners not promoted, by reason.
etcd_debugging_server_alarms | gauge | server_id,alarm_type | 1 for each alarm that is raised.
etcd_disk_wal_fsync_duration_seconds | histogram | - | From handing a batch to the log until it is durable.
etcd_disk_wal_write_bytes_total | gauge | - | Bytes written to the log.
etcd_disk_backend_commit_duration_seconds | histogram | - | From handing a transaction to the database until it is durable.
etcd_disk_backend_snapshot_duration_seconds | histogram | - | Streaming a snapshot of the database.
etcd_disk_backend_defrag_duration_seconds | histogram | - | Defragmenting the database.
etcd_disk_defrag_inflight | gauge | - | 1 while the database is defragmented.
etcd_mvcc_db_total_size_in_bytes | gauge | - | Size of the database file.
etcd_mvcc_db_total_size_in_use_in_bytes | gauge | - | Part of it that holds data.
etcd_mvcc_put_total | counter | - | Keys written.
etcd_mvcc_delete_total | counter | - | Keys deleted.
etcd_mvcc_range_total | counter | - | Ranges asked for.
etcd_mvcc_txn_total | counter | - | Transactions asked for.
etcd_debugging_mvcc_current_revision | gauge | - | Current revision of the store.
etcd_debugging_mvcc_compact_revision | gauge | - | Revision up to which the store is compacted.
etcd_debugging_mvcc_events_total | counter | - | Events sent to watches.
etcd_debugging_mvcc_watch_stream_total | gauge | - | Open watch streams.
etcd_debugging_mvcc_watcher_total | gauge | - | Open watches.
etcd_debugging_mvcc_slow_watcher_total | gauge | - | Watches behind the current revision.
etcd_network_client_grpc_received_bytes_total | counter | - | Bytes received from gRPC clients.
etcd_network_client_grpc_sent_bytes_total | counter | - | Bytes sent to gRPC clients.
etcd_network_active_peers | gauge | Local,Remote | 1 for each member that is connected.
etcd_network_known_peers | gauge | Local,Remote | 1 for each other member.
etcd_network_disconnected_peers_total | counter | Local,Remote | Lost connections to other members.
etcd_network_peer_received_bytes_total | counter | From | Bytes received from other members.
etcd_network_peer_sent_bytes_total | counter | To | Bytes sent to other members.
etcd_network_peer_received_failures_total | counter | From | Failed receptions from other members.
etcd_network_peer_sent_failures_total | counter | To | Failed sends to other members.
etcd_network_peer_round_trip_time_seconds | histogram | To | Round trips to other members.
etcd_network_snapshot_send_success | counter | To | Snapshots sent.
etcd_network_snapshot_send_failures | counter | To | Snapshots that could not be sent.
etcd_network_snapshot_send_inflights_total | gauge | To | Snapshots being sent.
etcd_network_snapshot_send_total_duration_seconds | histogram | To | Sending a snapshot.
etcd_network_snapshot_receive_success | counter | From | Snapshots received.
etcd_network_snapshot_receive_failures | counter | From | Snapshots that could not be received.
etcd_network_snapshot_receive_inflights_total | gauge | From | Snapshots being received.
etcd_network_snapshot_receive_total_duration_seconds | histogram | From | Receiving a snapshot.
grpc_server_started_total | counter | grpc_type,grpc_service,grpc_method | Calls begun.
grpc_server_handled_total | counter | grpc_type,grpc_service,grpc_method,grpc_code | Calls ended, by status.
grpc_server_msg_received_total | counter | grpc_type,grpc_service,grpc_method | Messages received.
grpc_server_msg_sent_total | counter | grpc_type,grpc_service,grpc_method | Messages sent.
grpc_server_handling_seconds | histogram | grpc_type,grpc_service,grpc_method | Duration of calls.
os_fd_limit | gauge | - | File descriptors this process may have.
os_fd_used | gauge | - | File descriptors this process has.
process_cpu_seconds_total | counter | - | Processor time of this process.
process_max_fds | gauge | - | File descriptors this process may have.
process_open_fds | gauge | - | File descriptors this process has.
process_resident_memory_bytes | gauge | - | Memory of this process that is in RAM.
process_virtual_memory_bytes | gauge | - | Address space of this process.
process_start_time_seconds | gauge | - | When this process began, in seconds since 1970.
`;

export const METRICS: readonly MetricInfo[] = TABLE.trim()
  .split('\n')
  .map((line) => {
    const [name, type, labels, help] = line.split(' | ');
    return {
      name: name!,
      type: type as MetricInfo['type'],
      labels: labels === '-' ? [] : labels!.split(','),
      help: help!,
    };
  });
