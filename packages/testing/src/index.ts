export { checkHistory, type Evidence } from './checkers/check-history.ts';
export { committedFrom, lastRevision, Replay } from './checkers/committed.ts';
export { type ConservationOptions, checkConservation } from './checkers/conservation.ts';
export type {
  CompareClause,
  CompareTarget,
  DeleteCall,
  History,
  HistoryCall,
  HistoryFault,
  HistoryHash,
  HistoryLine,
  HistoryStatus,
  HistoryWatch,
  PutCall,
  RangeCall,
  RecordedAnswer,
  RecordedCall,
  RecordedKeyValue,
  RecordedOutcome,
  TxnCall,
  TxnStep,
} from './checkers/history.ts';
export { checkLeases, type LeaseBounds } from './checkers/lease.ts';
export { checkLinearizable } from './checkers/linearizable.ts';
export { checkBySearch } from './checkers/linearizable-search.ts';
export { checkMembers, type FinalDump } from './checkers/members.ts';
export {
  type AnswerHeader,
  HistoryRecorder,
  isDefinite,
  NOT_SENT,
  type OpenCall,
  RecordingClient,
  readHistory,
  writeHistory,
} from './checkers/recorder.ts';
export { checkWatch, type Violation, WATCH_RULES } from './checkers/watch.ts';
export {
  type HistoryRevision,
  type ObservedEvent,
  type ObservedRecord,
  WatchHistory,
  type WatchObservation,
  type WatchRecord,
  type WatchSession,
} from './checkers/watch-record.ts';
export {
  type SearchModel,
  type SearchOperation,
  type SearchResult,
  searchLinearization,
} from './checkers/wing-gong.ts';
export { Cluster, type ClusterOptions, type MemberStatus } from './cluster/cluster.ts';
export { ClusterMember, type MemberPlace } from './cluster/member.ts';
export { buildRecorder, type RecordedFault, type Recorder } from './crash-image/recorder.ts';
export {
  type CrashImage,
  type ImageOptions,
  type Recording,
  readRecording,
} from './crash-image/recording.ts';
export {
  EtcdModel,
  type ModelKeyValue,
  type ModelOperation,
  type ModelOutcome,
  type ModelRange,
  type ModelResult,
  type ModelTxn,
} from './model/etcd-model.ts';
export { type NemesisOptions, type NemesisReport, runNemesis } from './nemesis/run.ts';
export { inWorld, type Verdict, type World, type WorldOptions } from './nemesis/world.ts';
export { boundCommand, spawnBound } from './process/child.ts';
export {
  findProgram,
  freePorts,
  processUsage,
  type ServerKind,
  type ServerOptions,
  type ServerProcess,
  serverCommand,
  startEtcd,
  startQuorate,
} from './process/server-process.ts';
export { type DiskFault, type DiskOperation, SimDisk } from './sim/disk.ts';
export type { DiskTally } from './sim/disk-image.ts';
export { SimEnv, type SimLogLine } from './sim/env.ts';
export {
  type LinkQuality,
  type NetworkTally,
  PERFECT_LINK,
  type PortOptions,
  SimNetwork,
} from './sim/network.ts';
export { Random } from './sim/random.ts';
