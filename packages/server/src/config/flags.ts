/**
 * Every flag the server knows, as data: names, kinds, defaults, places in the configuration file, and what becomes
 * of it here. Parsing, `--help`, environment variables and the file all read this table.
 *
 * A line is `name | kind | default | path in the file | support | meaning`; `-` is nothing, `=` the flag's own name.
 * Support says what happens when a value other than the default is given:
 *
 *   used      it does what it says
 *   none      accepted; it tunes something that does not exist here
 *   later     accepted with a warning that it has no effect yet
 *   refused   an error: going on without it would be unsafe, or not what was asked for
 *
 * The names are those of etcd 3.7. What 3.7 has dropped is unknown here too.
 */

export type FlagKind =
  | 'string'
  | 'strings'
  | 'bool'
  | 'int'
  | 'uint'
  | 'uint32'
  | 'duration'
  | 'urls'
  | 'choice';
export type FlagSupport = 'used' | 'none' | 'later' | 'refused';

export interface Flag {
  readonly name: string;
  readonly kind: FlagKind;
  /** As it would be written on the command line. */
  readonly defaultText: string;
  /** Place in the configuration file, outermost first; null when it cannot be set there. */
  readonly filePath: readonly string[] | null;
  readonly support: FlagSupport;
  readonly help: string;
  readonly group: string;
}

const TABLE = `
# member
name | string | default | = | used | Name of this member.
data-dir | string | - | = | used | Folder for all data. Default: NAME.etcd.
wal-dir | string | - | = | used | Folder for the log alone, when it should be elsewhere.
snapshot-count | uint | 10000 | = | used | Entries between two snapshot markers in the log.
snapshot-catchup-entries | uint | 5000 | = | used | Entries kept in the log for members that lag behind.
heartbeat-interval | uint | 100 | = | used | Milliseconds between heartbeats of the leader.
election-timeout | uint | 1000 | = | used | Milliseconds without a leader before an election; at least 5 heartbeats.
initial-election-tick-advance | bool | true | = | used | Whether a member that starts waits less before its first election.
listen-peer-urls | urls | http://localhost:2380 | = | used | Where other members connect.
listen-client-urls | urls | http://localhost:2379 | = | used | Where clients connect: http://IP:PORT or unix://NAME:PORT, separated by commas.
listen-client-http-urls | urls | - | = | used | Listeners for HTTP alone.
max-snapshots | uint | 5 | = | none | Accepted for compatibility.
max-wals | uint | 5 | = | none | Accepted for compatibility.
memory-mlock | bool | false | = | later | Lock the memory of the process.
quota-backend-bytes | int | 0 | = | used | Size of the database at which writes are refused. 0: 2 GiB, negative: no limit.
backend-bbolt-freelist-type | string | map | = | none | Accepted for compatibility.
backend-batch-interval | duration | 0s | = | none | Accepted for compatibility.
backend-batch-limit | int | 0 | = | none | Accepted for compatibility.
max-txn-ops | uint | 128 | = | used | Operations in one list of a transaction.
max-request-bytes | uint | 1572864 | = | used | Largest request; messages may be 512 KiB larger.
max-concurrent-streams | uint32 | 4294967295 | = | used | Calls that one connection may have open.
grpc-keepalive-min-time | duration | 5s | = | used | Shortest time between pings of a client.
grpc-keepalive-interval | duration | 2h | = | used | Silence after which a client is pinged. 0: never.
grpc-keepalive-timeout | duration | 20s | = | used | Time to answer such a ping.
socket-reuse-port | bool | false | socket-options.reuse-port | later | SO_REUSEPORT on listeners.
socket-reuse-address | bool | false | socket-options.reuse-address | later | SO_REUSEADDR on listeners.
enable-grpc-gateway | bool | true | = | used | Serve the JSON gateway.
raft-read-timeout | duration | 5s | - | later | Read timeout of connections between members.
raft-write-timeout | duration | 5s | - | later | Write timeout of connections between members.
feature-gates | string | - | = | used | Switches, as NAME=true,NAME=false.

# clustering
initial-advertise-peer-urls | urls | http://localhost:2380 | = | used | Own peer URLs, as told to the cluster.
initial-cluster | string | default=http://localhost:2380 | = | used | Members of a new cluster: NAME=URL,NAME=URL.
initial-cluster-state | choice | new | = | used | "new" or "existing"; without meaning once the member has data.
initial-cluster-token | string | etcd-cluster | = | used | Tells clusters apart; part of their ids.
advertise-client-urls | urls | http://localhost:2379 | = | used | Own client URLs, as told to clients. Needed when listen-client-urls is given.
discovery-fallback | choice | exit | - | later | Accepted for compatibility; only "exit".
discovery-token | string | - | discovery-config.token | refused | Discovery: token.
discovery-endpoints | strings | - | discovery-config.client.endpoints | refused | Discovery: endpoints; needs token too.
discovery-dial-timeout | duration | 2s | discovery-config.client.dial-timeout | later | Discovery: dial timeout.
discovery-request-timeout | duration | 5s | discovery-config.client.request-timeout | later | Discovery: request timeout.
discovery-keepalive-time | duration | 2s | discovery-config.client.keepalive-time | later | Discovery: keepalive period.
discovery-keepalive-timeout | duration | 6s | discovery-config.client.keepalive-timeout | later | Discovery: keepalive timeout.
discovery-insecure-transport | bool | true | discovery-config.client.secure.insecure-transport | later | Discovery: without TLS.
discovery-insecure-skip-tls-verify | bool | false | discovery-config.client.secure.insecure-skip-tls-verify | later | Discovery:: do not verify server cert.
discovery-cert | string | - | discovery-config.client.secure.cert | later | Discovery: client cert file.
discovery-key | string | - | discovery-config.client.secure.key | later | Discovery: client key file.
discovery-cacert | string | - | discovery-config.client.secure.cacert | later | Discovery: CA file.
discovery-user | string | - | discovery-config.client.auth.username | later | Discovery: user[:password].
discovery-password | string | - | discovery-config.client.auth.password | later | Discovery: password.
discovery-srv | string | - | = | used | DNS SRV domain for bootstrap.
discovery-srv-name | string | - | = | used | Suffix of SRV service name (etcd-server[-ssl]-NAME).
strict-reconfig-check | bool | true | = | used | Refuse changes of members that endanger the quorum.
pre-vote | bool | true | = | used | Ask before an election whether it could be won.

# auto-compaction
auto-compaction-mode | string | periodic | = | used | "periodic" or "revision".
auto-compaction-retention | string | 0 | = | used | What automatic compaction keeps: hours or a duration, or a number of revisions. 0: off.

# security
cert-file | string | - | client-transport-security.cert-file | refused | Client listener cert.
key-file | string | - | client-transport-security.key-file | refused | Client listener key.
client-cert-auth | bool | false | client-transport-security.client-cert-auth | refused | Require client certs (mTLS).
client-cert-file | string | - | client-transport-security.client-cert-file | refused | Cert used when server dials itself (gateway).
client-key-file | string | - | client-transport-security.client-key-file | refused | Key used when server dials itself.
client-crl-file | string | - | - | refused | Revocation list for client certs.
client-cert-allowed-hostname | strings | - | client-transport-security.allowed-hostname | refused | Allowed SAN hostnames of client certs (3.4/3.5: one).
trusted-ca-file | string | - | client-transport-security.trusted-ca-file | refused | CA for client certs.
auto-tls | bool | false | client-transport-security.auto-tls | refused | Self-signed certs for client listener.
peer-cert-file | string | - | peer-transport-security.cert-file | refused | Peer cert.
peer-key-file | string | - | peer-transport-security.key-file | refused | Peer key.
peer-client-cert-auth | bool | false | peer-transport-security.client-cert-auth | refused | Require certs from peers.
peer-client-cert-file | string | - | peer-transport-security.client-cert-file | refused | Cert used when dialing peers.
peer-client-key-file | string | - | peer-transport-security.client-key-file | refused | Key used when dialing peers.
peer-trusted-ca-file | string | - | peer-transport-security.trusted-ca-file | refused | CA for peer certs.
peer-auto-tls | bool | false | peer-transport-security.auto-tls | refused | Self-signed certs for peers.
peer-cert-allowed-cn | strings | - | peer-transport-security.allowed-cn | refused | Allowed CNs of peer certs (3.4/3.5: one).
peer-cert-allowed-hostname | strings | - | peer-transport-security.allowed-hostname | refused | Allowed SAN hostnames of peer certs.
peer-skip-client-san-verification | bool | false | peer-transport-security.skip-client-san-verification | refused | Skip SAN check of peer client certs.
peer-crl-file | string | - | - | refused | Revocation list for peer certs.
self-signed-cert-validity | uint | 1 | = | later | Life of generated certs.
cipher-suites | strings | - | = | later | TLS cipher suite names; not with TLS1.3-only.
tls-min-version | string | TLS1.2 | = | later | Lowest TLS version: TLS1.2 or TLS1.3.
tls-max-version | string | - | = | later | Highest TLS version; empty = library default.
cors | strings | * | = | used | Allowed CORS origins; empty or * = all.
host-whitelist | strings | * | = | used | Allowed Host values on plain HTTP; empty or * = all.

# auth
auth-token | string | simple | = | refused | Token type: simple, or jwt,sign-method=..,pub-key=..,priv-key=..,ttl=.
bcrypt-cost | uint | 10 | = | later | Bcrypt cost 4..31, invalid falls back to 10.
auth-token-ttl | uint | 300 | = | later | Simple token idle lifetime.

# logging
logger | string | zap | = | used | Only "zap", the name of the log format that is written.
log-outputs | strings | default | = | used | "default", "stderr", "stdout" or paths.
log-level | string | info | = | used | Debug, info, warn, error, panic or fatal.
log-format | string | json | = | used | "json" or "console".
enable-log-rotation | bool | false | = | later | Rotate single file output.
log-rotation-config-json | string | {"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false} | = | later | Rotation settings.
warning-unary-request-duration | duration | 300ms | = | later | Log unary calls slower than this.

# tracing
enable-distributed-tracing | bool | false | = | later | OpenTelemetry tracing.
distributed-tracing-address | string | localhost:4317 | = | later | Collector address.
distributed-tracing-service-name | string | etcd | = | later | Service name.
distributed-tracing-instance-id | string | - | = | later | Unique instance id.
distributed-tracing-sampling-rate | int | 0 | = | later | Samples per million.

# metrics
enable-pprof | bool | false | = | later | Serve /debug/pprof/.
metrics | string | basic | = | used | Basic or extensive (adds histograms).
listen-metrics-urls | urls | - | = | used | Extra listeners for /metrics and health paths.

# features
corrupt-check-time | duration | 0s | = | used | How often members compare their data. 0: never.
compact-hash-check-time | duration | 1m | = | used | How often members compare what a compaction left, with the feature gate CompactHashCheck.
compaction-batch-limit | int | 1000 | = | none | Accepted for compatibility.
compaction-sleep-interval | duration | 10ms | = | none | Accepted for compatibility.
watch-progress-notify-interval | duration | 10m | = | used | How often watches that ask for it learn of progress; at least 100ms.
warning-apply-duration | duration | 100ms | = | used | Log and count as slow what takes longer to apply.
bootstrap-defrag-threshold-megabytes | uint | 0 | = | later | Defragment at start when this much could be won.
max-learners | int | 1 | = | used | Max learner members.
downgrade-check-time | duration | 5s | = | later | Downgrade status check period.

# unsafe
force-new-cluster | bool | false | = | used | Make a cluster of one member from its data.
unsafe-no-fsync | bool | false | = | used | Never wait for the disk: a power cut loses acknowledged writes.

# command
config-file | string | - | - | used | YAML or JSON file with the configuration. All other flags and variables are then ignored.
version | bool | false | - | used | Print the versions and exit.

# v2
v2-deprecation | string | write-only | = | none | Accepted for compatibility.
`;

/** Values of flags of the kind `choice`. */
export const CHOICES: Readonly<Record<string, readonly string[]>> = {
  'initial-cluster-state': ['new', 'existing'],
  'discovery-fallback': ['exit'],
};

/** Flags from before etcd 2.0: accepted with a warning, never with a value of their own. */
export const FORGOTTEN_FLAGS: readonly string[] = [
  'cluster-active-size',
  'cluster-remove-delay',
  'cluster-sync-interval',
  'config',
  'force',
  'max-result-buffer',
  'max-retry-attempts',
  'peer-heartbeat-interval',
  'peer-election-timeout',
  'retry-interval',
  'snapshot',
  'v',
  'vv',
  'test.coverprofile',
  'test.outputdir',
];

/** Switches of `--feature-gates`: their defaults, and whether the other setting is supported. */
export const FEATURE_GATES: Readonly<
  Record<string, { readonly enabled: boolean; readonly supported: boolean }>
> = {
  StopGRPCServiceOnDefrag: { enabled: false, supported: true },
  InitialCorruptCheck: { enabled: false, supported: true },
  CompactHashCheck: { enabled: false, supported: true },
  TxnModeWriteWithSharedBuffer: { enabled: true, supported: true },
  LeaseCheckpoint: { enabled: false, supported: true },
  LeaseCheckpointPersist: { enabled: false, supported: true },
  SetMemberLocalAddr: { enabled: false, supported: false },
  FastLeaseKeepAlive: { enabled: true, supported: true },
  PriorityRequest: { enabled: false, supported: false },
  AllAlpha: { enabled: false, supported: false },
  AllBeta: { enabled: false, supported: true },
};

function parseTable(text: string): Flag[] {
  const flags: Flag[] = [];
  let group = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('# ')) group = line.slice(2);
    const [name, kind, defaultText, file, support, help] = line.split(' | ');
    if (name === undefined || help === undefined) continue;
    flags.push({
      name,
      kind: kind as FlagKind,
      defaultText: defaultText === '-' ? '' : defaultText!,
      filePath: file === '-' ? null : file === '=' ? [name] : file!.split('.'),
      support: support as FlagSupport,
      help,
      group,
    });
  }
  return flags;
}

export const FLAGS: readonly Flag[] = parseTable(TABLE);

const byName = new Map(FLAGS.map((flag) => [flag.name, flag]));

export function findFlag(name: string): Flag | undefined {
  return byName.get(name);
}

/** `max-txn-ops` is `ETCD_MAX_TXN_OPS`. */
export function variableOf(name: string): string {
  return `ETCD_${name.toUpperCase().replaceAll('-', '_')}`;
}
