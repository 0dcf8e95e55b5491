/**
 * The configuration of a server: settings checked against each other and turned into what the parts take.
 *
 * Order of sources: a configuration file replaces all others; otherwise flag, then variable, then default. What would
 * be unsafe to ignore is refused here with a sentence; what merely has no effect yet becomes a warning.
 *
 * Next: `serve.ts`, which runs what this describes.
 */

import type { LogLevel } from '../env.ts';
import type { CorruptionCheckOptions } from '../integrity/corruption-check.ts';
import type { LeaseCheckpoints } from '../lease/create-lessor.ts';
import { isLogLevel, type LogFormat } from '../node/logger.ts';
import { type ClusterConfig, clusterConfig } from './cluster.ts';
import { type CompactionPolicy, parseCompaction } from './compaction.ts';
import { ConfigError } from './errors.ts';
import { FEATURE_GATES } from './flags.ts';
import type { Settings } from './settings.ts';
import { checkBindUrl, type EndpointUrl } from './urls.ts';
import { parseBool, ValueError } from './values.ts';

export interface ServerConfig extends ClusterConfig {
  readonly name: string;
  readonly dataDir: string;
  /** Null: inside the data folder. */
  readonly walDir: string | null;
  readonly listenClientUrls: readonly EndpointUrl[];
  /** Listeners for HTTP alone; when there are any, the client listeners speak gRPC alone. */
  readonly listenClientHttpUrls: readonly EndpointUrl[];
  /** More listeners for health and metrics. */
  readonly listenMetricsUrls: readonly EndpointUrl[];
  readonly enableGateway: boolean;
  /** Origins whose pages may read answers; none or `*`: all. */
  readonly corsOrigins: readonly string[];
  /** Hosts that plain HTTP requests may name; none or `*`: all. */
  readonly hostWhitelist: readonly string[];
  /** Durations of calls are measured as well. */
  readonly extensiveMetrics: boolean;
  readonly advertiseClientUrls: readonly string[];
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly snapshotCount: number;
  readonly snapshotCatchUpEntries: number;
  /** 0: the default of 2 GiB, less than 0: none. */
  readonly quotaBytes: number;
  readonly maxTxnOps: number;
  /** The log is never synced: for tests and throw-away data only. */
  readonly unsafeNoFsync: boolean;
  readonly maxRequestBytes: number;
  readonly maxConcurrentStreams: number;
  readonly keepalive: {
    readonly minTimeMs: number;
    /** 0: never. */
    readonly intervalMs: number;
    /** 0: for ever. */
    readonly timeoutMs: number;
  };
  readonly watchProgressIntervalMs: number;
  /** What takes longer to apply is logged and counted as slow. */
  readonly slowApplyMs: number;
  readonly corruptionChecks: CorruptionCheckOptions;
  readonly leaseCheckpoints: LeaseCheckpoints;
  /** Health says NOT_SERVING during a defragmentation. */
  readonly restsOnDefragment: boolean;
  /** Null: off. */
  readonly autoCompaction: CompactionPolicy | null;
  readonly log: { readonly level: LogLevel; readonly format: LogFormat; readonly outputs: readonly string[] };
  /** To be logged once the log is open. */
  readonly warnings: readonly string[];
}

const DEFAULT_SNAPSHOT_COUNT = 10_000;
const SUGGESTED_MAX_QUOTA_BYTES = 8 * 1024 ** 3;
const MAX_ELECTION_MS = 50_000;
const MIN_WATCH_PROGRESS_MS = 100;
/** A gRPC message cannot be longer, whatever is configured. */
const MAX_MESSAGE_BYTES = 2 ** 31 - 1;
const MESSAGE_OVERHEAD_BYTES = 512 * 1024;

/** @throws ConfigError */
export function resolveConfig(settings: Settings): ServerConfig {
  const warnings: string[] = [];
  refuseUnsupported(settings, warnings);
  const gates = featureGates(settings, warnings);
  if (settings.string('logger') !== 'zap') {
    throw new ConfigError(`unknown logger option "${settings.string('logger')}"`);
  }
  const listenClientUrls = listeners(settings);
  for (const url of settings.urls('listen-peer-urls')) bindable(url);
  const name = settings.string('name');
  const dataDir = settings.string('data-dir') || `${name}.etcd`;
  if (!settings.isGiven('data-dir'))
    warnings.push(`no data-dir provided, using default data-dir ./${dataDir}`);
  return {
    name,
    dataDir,
    walDir: settings.string('wal-dir') || null,
    listenClientUrls,
    listenClientHttpUrls: plainListeners(settings, 'listen-client-http-urls'),
    listenMetricsUrls: plainListeners(settings, 'listen-metrics-urls'),
    enableGateway: settings.bool('enable-grpc-gateway'),
    corsOrigins: settings.strings('cors'),
    hostWhitelist: settings.strings('host-whitelist'),
    extensiveMetrics: settings.string('metrics') === 'extensive',
    advertiseClientUrls: texts(settings.urls('advertise-client-urls')),
    ...clusterConfig(settings, name),
    ...ticks(settings),
    snapshotCount: settings.number('snapshot-count') || DEFAULT_SNAPSHOT_COUNT,
    snapshotCatchUpEntries: settings.number('snapshot-catchup-entries'),
    quotaBytes: quota(settings, warnings),
    maxTxnOps: settings.number('max-txn-ops'),
    unsafeNoFsync: settings.bool('unsafe-no-fsync'),
    maxRequestBytes: Math.min(
      settings.number('max-request-bytes'),
      MAX_MESSAGE_BYTES - MESSAGE_OVERHEAD_BYTES,
    ),
    maxConcurrentStreams: settings.number('max-concurrent-streams'),
    keepalive: {
      minTimeMs: Math.max(0, settings.number('grpc-keepalive-min-time')),
      intervalMs: Math.max(0, settings.number('grpc-keepalive-interval')),
      timeoutMs: Math.max(0, settings.number('grpc-keepalive-timeout')),
    },
    watchProgressIntervalMs: watchProgress(settings, warnings),
    slowApplyMs: settings.number('warning-apply-duration'),
    corruptionChecks: corruptionChecks(settings, gates),
    leaseCheckpoints: leaseCheckpoints(gates, warnings),
    restsOnDefragment: gates.has('StopGRPCServiceOnDefrag'),
    autoCompaction: parseCompaction(
      settings.string('auto-compaction-mode'),
      settings.string('auto-compaction-retention'),
    ),
    log: logOf(settings),
    warnings,
  };
}

function refuseUnsupported(settings: Settings, warnings: string[]): void {
  for (const flag of settings.changed()) {
    if (flag.support === 'refused') throw new ConfigError(`--${flag.name} is not supported yet`);
    if (flag.support === 'later') warnings.push(`--${flag.name} has no effect yet`);
  }
}

/** Alpha features, which `AllAlpha` sets together; the two Beta ones change nothing here. */
const ALPHA_GATES = [
  'StopGRPCServiceOnDefrag',
  'InitialCorruptCheck',
  'CompactHashCheck',
  'LeaseCheckpoint',
  'LeaseCheckpointPersist',
];

/** @returns the switches that are on */
function featureGates(settings: Settings, warnings: string[]): ReadonlySet<string> {
  const text = settings.string('feature-gates');
  const given = new Map<string, boolean>();
  if (text === '') return new Set();
  for (const item of text.split(',')) {
    const [name = '', value] = item.split('=').map((part) => part.trim());
    if (value === undefined) throw new ConfigError(`missing bool value for feature gate "${name}"`);
    const gate = Object.hasOwn(FEATURE_GATES, name) ? FEATURE_GATES[name] : undefined;
    if (gate === undefined) throw new ConfigError(`unrecognized feature gate: ${name}`);
    const enabled = boolOf(value, `invalid value of feature gate ${name}`);
    given.set(name, enabled);
    if (enabled !== gate.enabled && !gate.supported) warnings.push(`feature gate ${name} has no effect yet`);
  }
  const byDefault = given.get('AllAlpha') ?? false;
  return new Set(ALPHA_GATES.filter((name) => given.get(name) ?? byDefault));
}

function corruptionChecks(settings: Settings, gates: ReadonlySet<string>): CorruptionCheckOptions {
  const compactPeriodMs = settings.number('compact-hash-check-time');
  if (compactPeriodMs <= 0) {
    throw new ConfigError(`--compact-hash-check-time must be >0 (set to ${compactPeriodMs}ms)`);
  }
  return {
    initial: gates.has('InitialCorruptCheck'),
    periodMs: Math.max(0, settings.number('corrupt-check-time')),
    compactPeriodMs: gates.has('CompactHashCheck') ? compactPeriodMs : 0,
  };
}

function leaseCheckpoints(gates: ReadonlySet<string>, warnings: string[]): LeaseCheckpoints {
  if (!gates.has('LeaseCheckpoint')) {
    if (!gates.has('LeaseCheckpointPersist')) return 'off';
    throw new ConfigError(
      'enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint',
    );
  }
  if (gates.has('LeaseCheckpointPersist')) return 'stored';
  warnings.push('lease checkpoints are on without LeaseCheckpointPersist: a restart forgets them');
  return 'memory';
}

function boolOf(text: string, complaint: string): boolean {
  try {
    return parseBool(text);
  } catch (error) {
    if (error instanceof ValueError) throw new ConfigError(`${complaint}: "${text}"`);
    throw error;
  }
}

function listeners(settings: Settings): readonly EndpointUrl[] {
  const urls = plainListeners(settings, 'listen-client-urls');
  if (settings.isGiven('listen-client-urls') && !settings.isGiven('advertise-client-urls')) {
    throw new ConfigError('--advertise-client-urls is required when --listen-client-urls is set explicitly');
  }
  if (urls.length === 0) throw new ConfigError('--listen-client-urls names no listener');
  return urls;
}

function plainListeners(settings: Settings, flag: string): readonly EndpointUrl[] {
  const urls = settings.urls(flag);
  for (const url of urls) {
    bindable(url);
    if (url.scheme === 'https' || url.scheme === 'unixs') {
      throw new ConfigError(`TLS is not supported yet: ${url.text} in --${flag}`);
    }
  }
  return urls;
}

function bindable(url: EndpointUrl): void {
  try {
    checkBindUrl(url);
  } catch (error) {
    if (error instanceof ValueError) throw new ConfigError(error.message);
    throw error;
  }
}

function ticks(settings: Settings): { heartbeatMs: number; electionMs: number } {
  const heartbeatMs = settings.number('heartbeat-interval');
  const electionMs = settings.number('election-timeout');
  if (heartbeatMs === 0) throw new ConfigError('--heartbeat-interval must be >0 (set to 0ms)');
  if (electionMs === 0) throw new ConfigError('--election-timeout must be >0 (set to 0ms)');
  if (5 * heartbeatMs > electionMs) {
    throw new ConfigError(
      `--election-timeout[${electionMs}ms] should be at least as 5 times as --heartbeat-interval[${heartbeatMs}ms]`,
    );
  }
  if (electionMs > MAX_ELECTION_MS) {
    throw new ConfigError(
      `--election-timeout[${electionMs}ms] is too long, and should be set less than ${MAX_ELECTION_MS}ms`,
    );
  }
  return { heartbeatMs, electionMs };
}

/** sem-174: what 0 and negative numbers mean is up to the member. */
function quota(settings: Settings, warnings: string[]): number {
  const bytes = settings.number('quota-backend-bytes');
  if (bytes > SUGGESTED_MAX_QUOTA_BYTES) {
    warnings.push(
      `--quota-backend-bytes is above the suggested maximum of ${SUGGESTED_MAX_QUOTA_BYTES} bytes`,
    );
  }
  return bytes;
}

function watchProgress(settings: Settings, warnings: string[]): number {
  const intervalMs = settings.number('watch-progress-notify-interval');
  if (intervalMs >= MIN_WATCH_PROGRESS_MS) return intervalMs;
  warnings.push(`--watch-progress-notify-interval is raised to ${MIN_WATCH_PROGRESS_MS}ms`);
  return MIN_WATCH_PROGRESS_MS;
}

function logOf(settings: Settings): ServerConfig['log'] {
  const level = settings.string('log-level');
  const format = settings.string('log-format');
  const outputs = settings.strings('log-outputs');
  if (!isLogLevel(level)) throw new ConfigError(`unrecognized level: "${level}"`);
  if (format !== 'json' && format !== 'console') throw new ConfigError(`unknown log format "${format}"`);
  if (outputs.includes('default') && outputs.length > 1) {
    throw new ConfigError('multi logoutput for "default" is not supported yet');
  }
  if (outputs.includes('systemd/journal'))
    throw new ConfigError('--log-outputs=systemd/journal is not supported yet');
  return { level, format, outputs: outputs.length === 0 ? ['default'] : outputs };
}

function texts(urls: readonly EndpointUrl[]): readonly string[] {
  return urls.map((url) => url.text);
}
