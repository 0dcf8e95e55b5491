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
  EtcdModel,
  type ModelKeyValue,
  type ModelOperation,
  type ModelOutcome,
  type ModelRange,
  type ModelResult,
  type ModelTxn,
} from './model/etcd-model.ts';
export {
  findProgram,
  freePorts,
  processUsage,
  type ServerOptions,
  type ServerProcess,
  startEtcd,
  startQuorate,
} from './process/server-process.ts';
export { type DiskFault, type DiskOperation, type DiskTally, SimDisk } from './sim/disk.ts';
export { SimEnv, type SimLogLine } from './sim/env.ts';
export {
  type LinkQuality,
  type NetworkPort,
  type NetworkTally,
  PERFECT_LINK,
  SimNetwork,
} from './sim/network.ts';
export { Random } from './sim/random.ts';
