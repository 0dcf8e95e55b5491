/** What the transport and the watches of a server tell about themselves. */
import type { GrpcServer } from '@quorate/grpc-server';
import type { Services } from '../../api/services.ts';
import type { MetricsSource } from './source.ts';

export function serverMetrics(transport: GrpcServer, services: Services): MetricsSource {
  return {
    collect(sink) {
      const { receivedBytesTotal, sentBytesTotal } = transport.stats();
      sink.value('etcd_network_client_grpc_received_bytes_total', receivedBytesTotal);
      sink.value('etcd_network_client_grpc_sent_bytes_total', sentBytesTotal);
      const { streams, watches, slowWatches, eventsDelivered } = services.watchStats();
      sink.value('etcd_debugging_mvcc_watch_stream_total', streams);
      sink.value('etcd_debugging_mvcc_watcher_total', watches);
      sink.value('etcd_debugging_mvcc_slow_watcher_total', slowWatches);
      sink.value('etcd_debugging_mvcc_events_total', eventsDelivered);
      const { defragmentSeconds, defragmenting, snapshotSeconds } = services.upkeep;
      sink.histogram('etcd_disk_backend_defrag_duration_seconds', defragmentSeconds);
      sink.value('etcd_disk_defrag_inflight', Number(defragmenting > 0));
      sink.histogram('etcd_disk_backend_snapshot_duration_seconds', snapshotSeconds);
    },
  };
}
