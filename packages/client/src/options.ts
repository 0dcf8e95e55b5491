/** How to connect, and every default in one place with its reason. */
import { limits } from '@quorate/proto';

export interface TlsOptions {
  /** PEM: certificates that sign the server's. The system's when absent. */
  readonly ca?: Uint8Array;
  /** PEM: our certificate and its key. */
  readonly cert?: Uint8Array;
  readonly key?: Uint8Array;
  /** Accept any server certificate. For experiments only. */
  readonly insecureSkipVerify?: boolean;
  /** Name that the server's certificate must carry, when it is not the one in the endpoint. */
  readonly serverName?: string;
}

export interface ConnectOptions {
  /**
   * `host:port`, `http://host:port`, `https://host:port`, `unix:path` or `unixs:path`; several are used in turn.
   * Without a scheme, TLS is used when `tls` is given.
   */
  readonly endpoints: string | readonly string[];
  readonly tls?: TlsOptions;
  /** Logs in by name and password; a token that ran out is replaced without the caller noticing. */
  readonly auth?: { readonly username: string; readonly password: string } | { readonly token: string };
  /** How long one call may take in all, retries included. */
  readonly callTimeoutMs?: number;
  /** How long one attempt to connect may take before the next endpoint is tried. */
  readonly connectTimeoutMs?: number;
  /** Idle time after which a connection with open calls is pinged. */
  readonly keepaliveTimeMs?: number;
  /** How long the answer to such a ping may take. */
  readonly keepaliveTimeoutMs?: number;
  readonly maxSendBytes?: number;
  readonly maxReceiveBytes?: number;
  /** Fail rather than be served by a member that knows no leader (sends `hasleader`). */
  readonly requireLeader?: boolean;
}

export const defaults = {
  /** Longer than a server's own request timeout (7 s), so that the server's precise error arrives first. */
  callTimeoutMs: 10_000,
  connectTimeoutMs: 2_000,
  /** Servers refuse pings more often than every 5 s; etcd's Go client does not ping below 10 s either. */
  keepaliveTimeMs: 10_000,
  keepaliveTimeoutMs: 6_000,
  maxSendBytes: limits.clientSendBytes,
  maxReceiveBytes: limits.maxMessageBytes,
  /** Attempts of one read (etcd's clients use the same). */
  readAttempts: 100,
  /** Pause once every endpoint was tried, give or take a tenth. */
  retryPauseMs: 25,
  /** Pauses between reconnections of a watch: doubled from the first to the last. */
  watchBackoffMs: { first: 1, last: 100 },
  /** Events kept for a consumer that does not read; past it the watch is parked and later resumed. */
  watchBufferEvents: 10_000,
  watchBufferBytes: 16 * 1024 * 1024,
  /** Pause before the keep-alive stream is opened again. */
  keepAliveRetryMs: 500,
} as const;

const MIN_KEEPALIVE_MS = 10_000;

/** Options of one call. */
export interface CallOptions {
  /** Overrides `callTimeoutMs`; `Infinity` waits for ever. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly requireLeader?: boolean;
}

export interface Settings {
  readonly endpoints: readonly string[];
  readonly tls: TlsOptions | undefined;
  readonly auth: ConnectOptions['auth'];
  readonly callTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly maxSendBytes: number;
  readonly maxReceiveBytes: number;
  readonly requireLeader: boolean;
}

export function resolveOptions(options: ConnectOptions): Settings {
  const endpoints = typeof options.endpoints === 'string' ? [options.endpoints] : [...options.endpoints];
  if (endpoints.length === 0) throw new TypeError('at least one endpoint is needed');
  return {
    endpoints,
    tls: options.tls,
    auth: options.auth,
    callTimeoutMs: options.callTimeoutMs ?? defaults.callTimeoutMs,
    connectTimeoutMs: options.connectTimeoutMs ?? defaults.connectTimeoutMs,
    keepaliveTimeMs: Math.max(MIN_KEEPALIVE_MS, options.keepaliveTimeMs ?? defaults.keepaliveTimeMs),
    keepaliveTimeoutMs: options.keepaliveTimeoutMs ?? defaults.keepaliveTimeoutMs,
    maxSendBytes: options.maxSendBytes ?? defaults.maxSendBytes,
    maxReceiveBytes: options.maxReceiveBytes ?? defaults.maxReceiveBytes,
    requireLeader: options.requireLeader ?? false,
  };
}
