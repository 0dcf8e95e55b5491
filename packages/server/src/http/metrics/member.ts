/** What a member, its store and its watches tell about themselves. */
import { etcdApi } from '@quorate/proto';
import type { Member } from '../../member.ts';
import { formatId } from '../../membership/ids.ts';
import type { MetricsSink, MetricsSource } from './source.ts';

type MetricsMember = Pick<
  Member,
  | 'memberId'
  | 'leader'
  | 'isLearner'
  | 'ended'
  | 'committedIndex'
  | 'appliedIndex'
  | 'clusterVersion'
  | 'limits'
  | 'alarms'
  | 'store'
  | 'pendingProposals'
  | 'syncSeconds'
  | 'commitSeconds'
  | 'counts'
  | 'onLeaderChange'
  | 'onApplied'
>;

const ALARM_NAMES: Readonly<Record<number, string>> = { 1: 'NOSPACE', 2: 'CORRUPT' };

export function memberMetrics(member: MetricsMember): MetricsSource {
  let leader = member.leader;
  let leaderChanges = leader === 0n ? 0 : 1;
  let puts = 0;
  let deletes = 0;
  member.onLeaderChange((next) => {
    if (next !== 0n && next !== leader) leaderChanges++;
    leader = next;
  });
  member.onApplied(({ events }) => {
    for (const { type } of events) {
      if (type === 'put') puts++;
      else deletes++;
    }
  });
  return {
    collect(sink) {
      const id = formatId(member.memberId);
      sink.value('etcd_server_id', 1, { server_id: id });
      sink.value('etcd_server_version', 1, { server_version: etcdApi.version });
      const { clusterVersion } = member;
      if (clusterVersion !== null) {
        sink.value('etcd_cluster_version', 1, { cluster_version: clusterVersion.split('.', 2).join('.') });
      }
      sink.value('etcd_server_has_leader', Number(member.leader !== 0n));
      sink.value('etcd_server_is_leader', Number(member.leader === member.memberId));
      sink.value('etcd_server_is_learner', Number(member.isLearner));
      sink.value('etcd_server_leader_changes_seen_total', leaderChanges);
      sink.value('etcd_server_proposals_committed_total', member.committedIndex);
      sink.value('etcd_server_proposals_applied_total', member.appliedIndex);
      sink.value('etcd_server_proposals_pending', member.pendingProposals);
      sink.histogram('etcd_disk_wal_fsync_duration_seconds', member.syncSeconds);
      sink.histogram('etcd_disk_backend_commit_duration_seconds', member.commitSeconds);
      countsMetrics(member, sink);
      sink.value('etcd_server_quota_backend_bytes', member.limits.quotaBytes);
      for (const { memberId, alarm } of member.alarms()) {
        const labels = { server_id: formatId(memberId), alarm_type: ALARM_NAMES[alarm] ?? 'UNKNOWN' };
        sink.value('etcd_debugging_server_alarms', 1, labels);
      }
      sink.value('etcd_mvcc_put_total', puts);
      sink.value('etcd_mvcc_delete_total', deletes);
      if (!member.ended) storeMetrics(member, sink);
    },
  };
}

function countsMetrics(member: MetricsMember, sink: MetricsSink): void {
  const counts = member.counts();
  sink.value('etcd_server_proposals_failed_total', counts.proposalsFailed);
  sink.value('etcd_server_read_indexes_failed_total', counts.readsFailed);
  sink.value('etcd_server_slow_read_indexes_total', counts.slowReadRounds);
  sink.value('etcd_server_slow_apply_total', counts.slowApplies);
  sink.value('etcd_server_heartbeat_send_failures_total', counts.lateHeartbeats);
  sink.value('etcd_disk_wal_write_bytes_total', counts.logBytes);
  sink.value('etcd_server_snapshot_apply_in_progress_total', Number(counts.isInstalling));
  const { successes, failures } = counts.promotions;
  sink.value('etcd_server_learner_promote_successes', successes);
  for (const [Reason, count] of failures) {
    sink.value('etcd_server_learner_promote_failures', count, { Reason });
  }
}

function storeMetrics({ store }: MetricsMember, sink: MetricsSink): void {
  const { totalBytes, inUseBytes } = store.sizes();
  sink.value('etcd_mvcc_db_total_size_in_bytes', totalBytes);
  sink.value('etcd_mvcc_db_total_size_in_use_in_bytes', inUseBytes);
  sink.value('etcd_debugging_mvcc_current_revision', store.revision);
  sink.value('etcd_debugging_mvcc_compact_revision', store.compactRevision);
}
