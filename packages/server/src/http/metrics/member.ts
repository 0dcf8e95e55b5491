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

function storeMetrics({ store }: MetricsMember, sink: MetricsSink): void {
  const { totalBytes, inUseBytes } = store.sizes();
  sink.value('etcd_mvcc_db_total_size_in_bytes', totalBytes);
  sink.value('etcd_mvcc_db_total_size_in_use_in_bytes', inUseBytes);
  sink.value('etcd_debugging_mvcc_current_revision', store.revision);
  sink.value('etcd_debugging_mvcc_compact_revision', store.compactRevision);
}
