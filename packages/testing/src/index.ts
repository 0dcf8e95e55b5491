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
export { Random } from './sim/random.ts';
