/** What a member's network tells about its peers, under etcd's names; ids in hex, as everywhere. */
import type { MetricsSink, MetricsSource } from '../http/metrics/source.ts';
import { formatId } from '../membership/ids.ts';
import type { PeerNetwork } from './peer-network.ts';
import type { PeerTraffic, Transfers } from './traffic.ts';

/** @param network asked at each scrape; null while there is none */
export function peerMetrics(network: () => PeerNetwork | null): MetricsSource {
  return {
    collect(sink) {
      const peers = network();
      if (peers === null) return;
      const Local = formatId(peers.memberId);
      for (const [id, traffic] of peers.traffic()) {
        const Remote = formatId(id);
        sink.value('etcd_network_known_peers', 1, { Local, Remote });
        sink.value('etcd_network_active_peers', Number(peers.connectedSince(id) !== null), { Local, Remote });
        sink.value('etcd_network_disconnected_peers_total', traffic.disconnects, { Local, Remote });
        collectTraffic(sink, Remote, traffic);
      }
    },
  };
}

function collectTraffic(sink: MetricsSink, id: string, traffic: PeerTraffic): void {
  const [to, from] = [{ To: id }, { From: id }];
  sink.value('etcd_network_peer_sent_bytes_total', traffic.sentBytes, to);
  sink.value('etcd_network_peer_sent_failures_total', traffic.sentFailures, to);
  sink.value('etcd_network_peer_received_bytes_total', traffic.receivedBytes, from);
  sink.value('etcd_network_peer_received_failures_total', traffic.receivedFailures, from);
  sink.histogram('etcd_network_peer_round_trip_time_seconds', traffic.roundTrips, to);
  collectTransfers(sink, 'etcd_network_snapshot_send', to, traffic.snapshotsSent);
  collectTransfers(sink, 'etcd_network_snapshot_receive', from, traffic.snapshotsReceived);
}

function collectTransfers(
  sink: MetricsSink,
  name: string,
  labels: Readonly<Record<string, string>>,
  { succeeded, failed, underWay, seconds }: Transfers,
): void {
  sink.value(`${name}_success`, succeeded, labels);
  sink.value(`${name}_failures`, failed, labels);
  sink.value(`${name}_inflights_total`, underWay, labels);
  sink.histogram(`${name}_total_duration_seconds`, seconds, labels);
}
