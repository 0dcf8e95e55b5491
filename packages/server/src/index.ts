/** An etcd-compatible member: what the `quorate` executable and programs that embed one are made from. */

// Configuration: flags, variables, file.
export { resolveConfig, type ServerConfig } from './config/config.ts';
export { findFlag } from './config/flags.ts';
export { helpText, versionText } from './config/help.ts';
export { ConfigError, type Intent, loadConfig, UsageError } from './config/load.ts';
export { type FlagValue, parseValue, Settings } from './config/settings.ts';
export { DataFolderError, type DataFolderProblem } from './data-folder.ts';
// The world it runs in.
export type { Env, Logger, LogLevel, Timer } from './env.ts';
export { DomainError } from './errors.ts';
export { type Failpoint, listFailpoints, NO_FAILPOINTS } from './failpoints.ts';
export type { Member, MemberInfo, MemberLimits } from './member.ts';
export { DEFAULT_MEMBER_CONFIG, type MemberConfig, type NetworkHost, type World } from './member-config.ts';
export {
  type CallHandler,
  type MessageKind,
  type Network,
  NO_PEERS,
  type PeerReport,
  type SnapshotContent,
  type SnapshotListener,
} from './network.ts';
export { createLogger, type LoggerOptions } from './node/logger.ts';
export { guardProcess } from './node/process-guard.ts';
export { nodeWorld } from './node/world.ts';
// Running one.
export { type Server, startServer } from './serve.ts';
export { startMember } from './start-member.ts';
