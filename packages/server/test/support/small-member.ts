/** Limits so small that files are cut, memory is flushed and heads are written all the time. */
import { DEFAULT_MEMBER_CONFIG, type MemberConfig } from '../../src/member-config.ts';

export function smallMember(dataDirectory: string): MemberConfig {
  return {
    ...DEFAULT_MEMBER_CONFIG,
    name: 'm1',
    dataDirectory,
    initialCluster: [{ name: 'm1', peerUrls: ['http://127.0.0.1:2380'] }],
    clientUrls: ['http://127.0.0.1:2379'],
    snapshotCount: 100,
    walSegmentBytes: 64 * 1024,
    raftTailBytes: 8 * 1024,
    storeLimits: {
      flushBytes: 16 * 1024,
      flushAfterMs: 20,
      headEntries: 24,
      headPartEntries: 8,
      ringBytes: 32 * 1024,
      removeSliceRecords: 4,
      removePassRecords: 12,
      blockKeys: 4,
    },
  };
}
