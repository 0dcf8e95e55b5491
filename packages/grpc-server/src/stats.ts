/** The server's counters, one object that all connections count in. Only `server.ts` hands out copies. */
import type { ServerStats } from './options.ts';

export type Counters = { -readonly [Name in keyof ServerStats]: ServerStats[Name] };

export function newCounters(): Counters {
  return {
    connections: 0,
    connectionsTotal: 0,
    http1ConnectionsTotal: 0,
    streams: 0,
    streamsTotal: 0,
    abandonedCalls: 0,
    receivedBytesTotal: 0,
    sentBytesTotal: 0,
    writesTotal: 0,
    heldRequestBytes: 0,
    queuedResponseBytes: 0,
    resetsReceivedTotal: 0,
    resetsSentTotal: 0,
    pingsReceivedTotal: 0,
    protocolErrorsTotal: 0,
    calmTotal: 0,
    timeoutsTotal: 0,
  };
}
