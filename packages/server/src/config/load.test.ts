import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test, vi } from 'vitest';
import type { ServerConfig } from './config.ts';
import { FLAGS, findFlag, variableOf } from './flags.ts';
import { helpText, versionText } from './help.ts';
import { ConfigError, loadConfig, UsageError } from './load.ts';

const folder = mkdtempSync(join(tmpdir(), 'quorate-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function config(args: string[], environment: Record<string, string> = {}): Promise<ServerConfig> {
  const intent = await loadConfig(args, environment);
  if (intent.kind !== 'serve') throw new Error(`asked for ${intent.kind}`);
  return intent.config;
}

async function failure(args: string[], environment: Record<string, string> = {}): Promise<Error> {
  return await config(args, environment).then(
    () => {
      throw new Error('was accepted');
    },
    (error: Error) => error,
  );
}

let files = 0;
function file(text: string): string {
  const path = join(folder, `config-${files++}.yaml`);
  writeFileSync(path, text);
  return path;
}

describe('the command line follows Go', () => {
  test.each([
    [['-name', 'x']],
    [['--name', 'x']],
    [['-name=x']],
    [['--name=x']],
    [['--name', 'y', '--name', 'x']],
    [['--name', 'x', '--']],
  ])('%j names the member', async (args) => {
    expect((await config(args)).name).toBe('x');
  });

  test.each([
    [['--nope'], 'flag provided but not defined: -nope'],
    [['-nope=1'], 'flag provided but not defined: -nope'],
    [['--version', '--nope'], 'flag provided but not defined: -nope'],
    [['--name'], 'flag needs an argument: -name'],
    [['---x'], 'bad flag syntax: ---x'],
    [['-=3'], 'bad flag syntax: -=3'],
    [['--max-txn-ops=abc'], 'invalid value "abc" for flag -max-txn-ops: parse error'],
    [['--max-txn-ops=-1'], 'invalid value "-1" for flag -max-txn-ops: parse error'],
    [['--max-txn-ops=1e9'], 'invalid value "1e9" for flag -max-txn-ops: parse error'],
    [['--max-txn-ops=NaN'], 'invalid value "NaN" for flag -max-txn-ops: parse error'],
    [['--heartbeat-interval=1.5'], 'invalid value "1.5" for flag -heartbeat-interval: parse error'],
    [['--pre-vote=maybe'], 'invalid boolean value "maybe" for -pre-vote: parse error'],
    [['--grpc-keepalive-min-time=5'], 'invalid value "5" for flag -grpc-keepalive-min-time: parse error'],
    [
      ['--quota-backend-bytes=99999999999999999999'],
      'invalid value "99999999999999999999" for flag -quota-backend-bytes: value out of range',
    ],
    [['--initial-cluster-state=foo'], 'invalid value "foo" for flag -initial-cluster-state: invalid value'],
    [
      ['--listen-client-urls=foo'],
      'invalid value "foo" for flag -listen-client-urls: URL scheme must be http, https, unix, or unixs: foo',
    ],
    [
      ['--listen-client-urls=http://127.0.0.1'],
      'invalid value "http://127.0.0.1" for flag -listen-client-urls: URL address does not have the form "host:port": http://127.0.0.1',
    ],
    [
      ['--listen-client-urls=http://127.0.0.1:1:1'],
      'invalid value "http://127.0.0.1:1:1" for flag -listen-client-urls: URL address does not have the form "host:port": http://127.0.0.1:1:1',
    ],
    [
      ['--listen-client-urls=http://127.0.0.1:1/x'],
      'invalid value "http://127.0.0.1:1/x" for flag -listen-client-urls: URL must not contain a path: http://127.0.0.1:1/x',
    ],
    // Dropped by etcd 3.7.
    [
      ['--experimental-compaction-batch-limit=5'],
      'flag provided but not defined: -experimental-compaction-batch-limit',
    ],
    [['--enable-v2'], 'flag provided but not defined: -enable-v2'],
  ])('%j is a usage error with the text of etcd', async (args, message) => {
    const error = await failure(args);
    expect(error).toBeInstanceOf(UsageError);
    expect(error.message).toBe(message);
  });

  test.each([
    [['foo'], "'foo' is not a valid flag"],
    [['--pre-vote', 'false'], "'false' is not a valid flag"],
    [['--', 'foo'], "'foo' is not a valid flag"],
    [['-'], "'-' is not a valid flag"],
    // A forgotten flag takes no value, so what follows is stray.
    [['--snapshot', '3'], "'3' is not a valid flag"],
    [
      ['--listen-client-urls=http://127.0.0.1:1'],
      '--advertise-client-urls is required when --listen-client-urls is set explicitly',
    ],
    [
      ['--listen-client-urls=http://example.com:1', '--advertise-client-urls=http://a:1'],
      'expected IP in URL for binding (http://example.com:1)',
    ],
    [['--listen-peer-urls=http://example.com:1'], 'expected IP in URL for binding (http://example.com:1)'],
    [['--auto-compaction-mode=foo'], 'unknown auto-compaction-mode "foo"'],
    [['--heartbeat-interval=0'], '--heartbeat-interval must be >0 (set to 0ms)'],
    [
      ['--election-timeout=100'],
      '--election-timeout[100ms] should be at least as 5 times as --heartbeat-interval[100ms]',
    ],
    [
      ['--election-timeout=60000'],
      '--election-timeout[60000ms] is too long, and should be set less than 50000ms',
    ],
    [['--logger=foo'], 'unknown logger option "foo"'],
    [['--log-level=foo'], 'unrecognized level: "foo"'],
    [['--config-file=/nonexist'], 'open /nonexist: no such file or directory'],
    [['--compact-hash-check-time=0s'], '--compact-hash-check-time must be >0 (set to 0ms)'],
    [
      ['--feature-gates=LeaseCheckpointPersist=true'],
      'enabling feature gate LeaseCheckpointPersist requires enabling feature gate LeaseCheckpoint',
    ],
    [['--feature-gates=Nope=true'], 'unrecognized feature gate: Nope'],
  ])('%j is refused', async (args, message) => {
    const error = await failure(args);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toBe(message);
  });

  test('sem-101 sem-187 sem-188 checks of corruption and checkpoints of leases are switched by gates', async () => {
    const { corruptionChecks, leaseCheckpoints } = await config([]);
    expect(corruptionChecks).toEqual({ initial: false, periodMs: 0, compactPeriodMs: 0 });
    expect(leaseCheckpoints).toBe('off');
    const all = await config([
      '--corrupt-check-time=1h',
      '--compact-hash-check-time=2m',
      '--feature-gates=InitialCorruptCheck=true,CompactHashCheck=true,LeaseCheckpoint=true,LeaseCheckpointPersist=true',
    ]);
    expect(all.corruptionChecks).toEqual({ initial: true, periodMs: 3_600_000, compactPeriodMs: 120_000 });
    expect(all.leaseCheckpoints).toBe('stored');
    const some = await config(['--feature-gates=AllAlpha=true,LeaseCheckpointPersist=false']);
    expect(some.corruptionChecks).toEqual({ initial: true, periodMs: 0, compactPeriodMs: 60_000 });
    expect(some.leaseCheckpoints).toBe('memory');
  });

  test('the flags of HTTP end in the configuration, without a warning', async () => {
    const { warnings, ...given } = await config([
      '--listen-client-http-urls=http://127.0.0.1:1',
      '--listen-metrics-urls=http://127.0.0.1:2,unix://m:3',
      '--enable-grpc-gateway=false',
      '--cors=http://a:1,http://b:2',
      '--host-whitelist=a,b',
      '--metrics=extensive',
    ]);
    expect(warnings.filter((text) => text.includes('no effect'))).toEqual([]);
    expect(given).toMatchObject({
      listenClientHttpUrls: [{ port: '1' }],
      listenMetricsUrls: [{ port: '2' }, { scheme: 'unix', host: 'm' }],
      enableGateway: false,
      corsOrigins: ['http://a:1', 'http://b:2'],
      hostWhitelist: ['a', 'b'],
      extensiveMetrics: true,
    });
    for (const flag of ['listen-client-http-urls', 'listen-metrics-urls']) {
      expect((await failure([`--${flag}=https://127.0.0.1:1`])).message).toBe(
        `TLS is not supported yet: https://127.0.0.1:1 in --${flag}`,
      );
      expect((await failure([`--${flag}=http://a.example:1`])).message).toContain('expected IP in URL');
    }
  });

  test.each([
    [['--initial-cluster=http://h:1'], '--initial-cluster: "http://h:1" is not NAME=URL'],
    [
      ['--initial-cluster=default=http://h:1', '--discovery-srv=example.org'],
      'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster" or "discovery-srv"',
    ],
  ])('a cluster that contradicts itself: %j', async (args, message) => {
    const error = await failure(args);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toBe(message);
  });

  test('a cluster of three, as its users configure etcd', async () => {
    const variables = {
      ETCD_NAME: 'b',
      ETCD_INITIAL_CLUSTER: 'a=http://a:2380,b=http://b:2380,c=http://c:2380',
      ETCD_INITIAL_CLUSTER_STATE: 'existing',
      ETCD_INITIAL_CLUSTER_TOKEN: 'tokens',
      ETCD_INITIAL_ADVERTISE_PEER_URLS: 'http://b:2380',
      ETCD_LISTEN_PEER_URLS: 'http://0.0.0.0:2380',
      ETCD_STRICT_RECONFIG_CHECK: 'false',
      ETCD_PRE_VOTE: 'false',
      ETCD_INITIAL_ELECTION_TICK_ADVANCE: 'false',
      ETCD_MAX_LEARNERS: '3',
    };
    const intent = await loadConfig([], variables);
    expect(intent.kind === 'serve' ? intent.config : null).toMatchObject({
      peerUrls: ['http://b:2380'],
      initialCluster: ['a', 'b', 'c'].map((name) => ({ name, peerUrls: [`http://${name}:2380`] })),
      initialClusterState: 'existing',
      clusterToken: 'tokens',
      peerListenerOptional: false,
      strictReconfigCheck: false,
      preVote: false,
      advanceFirstElection: false,
      maxLearners: 3,
    });
  });

  test('what would be unsafe to ignore is refused by name', async () => {
    for (const args of [
      ['--cert-file=a'],
      ['--client-cert-auth'],
      ['--auto-tls'],
      ['--auth-token=jwt,sign-method=RS256'],
      ['--discovery-token=t'],
      ['--listen-client-urls=https://127.0.0.1:1', '--advertise-client-urls=https://a:1'],
      ['--listen-peer-urls=https://127.0.0.1:1'],
    ]) {
      const error = await failure(args);
      expect(error).toBeInstanceOf(ConfigError);
      expect(error.message).toContain('not supported yet');
    }
    // The default said aloud is no request.
    await expect(config(['--auto-tls=false', '--auth-token=simple'])).resolves.toBeDefined();
  });

  test('every other flag is accepted by name; those without effect say so', async () => {
    expect((await config(['--enable-pprof'])).warnings).toContain('--enable-pprof has no effect yet');
    expect((await config(['--max-wals=7'])).warnings.join()).not.toContain('max-wals');
    expect((await config(['--snapshot'])).warnings).toContain(
      'flag "-snapshot" is no longer supported - ignoring',
    );
    for (const flag of FLAGS) {
      if (flag.name === 'version' || flag.name === 'config-file') continue;
      const args = [`--${flag.name}=${flag.defaultText}`, '--advertise-client-urls=http://localhost:2379'];
      await expect(config(args), flag.name).resolves.toBeDefined();
    }
  });

  test('help, version and the list of failpoints are served first', async () => {
    expect(await loadConfig(['--help', '--nope'], {})).toEqual({ kind: 'help' });
    expect(await loadConfig(['-h'], {})).toEqual({ kind: 'help' });
    expect(await loadConfig(['--name', 'y', '--version'], { ETCD_NAME: 'x' })).toEqual({ kind: 'version' });
    expect(await loadConfig(['--list-failpoints'], {})).toEqual({ kind: 'list-failpoints' });
    for (const flag of FLAGS) expect(helpText()).toContain(`--${flag.name} `);
    expect(versionText('1.2.3', 'v24.0.0', 'linux/x64')).toBe(
      'quorate Version: 1.2.3\netcd API Version: 3.7.0\nNode Version: v24.0.0\nOS/Arch: linux/x64\n',
    );
  });
});

describe('the environment', () => {
  test('stands between flag and default', async () => {
    expect((await config([], { ETCD_NAME: 'x', ETCD_MAX_TXN_OPS: '7' })).maxTxnOps).toBe(7);
    expect((await config(['--unsafe-no-fsync'])).unsafeNoFsync).toBe(true);
    expect((await config([])).unsafeNoFsync).toBe(false);
    expect((await config([], { ETCD_NAME: '' })).name).toBe('default');
  });

  test('must not say the same as a flag', async () => {
    const error = await failure(['--name=x'], { ETCD_NAME: 'x' });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toContain('conflicting environment variable "ETCD_NAME" is shadowed');
    expect((await config(['--name=x'], { ETCD_NAME: '' })).name).toBe('x');
  });

  test('is checked', async () => {
    expect((await failure([], { ETCD_MAX_TXN_OPS: 'abc' })).message).toBe(
      'invalid value "abc" for ETCD_MAX_TXN_OPS: parse error',
    );
  });

  test('unknown variables are a warning without their values', async () => {
    const { warnings } = await config([], { ETCD_SECRET: 'hunter2', ETCD_VERSION: 'true', ETCDCTL_API: '3' });
    expect(warnings).toContain('unrecognized environment variable ETCD_SECRET');
    expect(warnings.join()).not.toContain('hunter2');
    expect(warnings.join()).not.toContain('ETCDCTL_API');
  });

  test('every flag has one variable of its own', () => {
    const variables = FLAGS.map((flag) => variableOf(flag.name));
    expect(new Set(variables).size).toBe(FLAGS.length);
  });
});

describe('the configuration file', () => {
  test('replaces flags and variables', async () => {
    const path = file('name: from-file\n');
    const found = await config(['--config-file', path, '--max-txn-ops=7'], { ETCD_MAX_REQUEST_BYTES: '9' });
    expect(found).toMatchObject({ name: 'from-file', maxTxnOps: 128, maxRequestBytes: 1_572_864 });
    expect((await config([], { ETCD_CONFIG_FILE: path })).name).toBe('from-file');
    // Its syntax is still checked.
    expect(await failure(['--config-file', path, '--nope'])).toBeInstanceOf(UsageError);
  });

  test('holds typed values, in YAML and in JSON', async () => {
    const yaml = file(
      [
        'Max-Txn-Ops: 5',
        'grpc-keepalive-min-time: 7000000000',
        'log-outputs: [stdout, /dev/null]',
        'listen-client-urls: http://127.0.0.1:1,unix://localhost:2',
        'advertise-client-urls: http://127.0.0.1:1',
        'unknown-key: {a: 1}',
        'experimental-foo: true',
      ].join('\n'),
    );
    const found = await config(['--config-file', yaml]);
    expect(found.maxTxnOps).toBe(5);
    expect(found.keepalive.minTimeMs).toBe(7_000);
    expect(found.log.outputs).toEqual(['stdout', '/dev/null']);
    expect(found.listenClientUrls.map((url) => url.text)).toEqual([
      'http://127.0.0.1:1',
      'unix://localhost:2',
    ]);
    const json = file(JSON.stringify({ name: 'j', 'quota-backend-bytes': -1 }));
    expect(await config(['--config-file', json])).toMatchObject({ name: 'j', quotaBytes: -1 });
    expect((await config(['--config-file', file('')])).name).toBe('default');
  });

  test.each([
    ['pre-vote: no', { preVote: false }],
    ['pre-vote: Off\nforce-new-cluster: y', { preVote: false, forceNewCluster: true }],
    ['max-txn-ops: 0100', { maxTxnOps: 64 }],
    ['max-txn-ops: 0x10\nsnapshot-count: 1_000', { maxTxnOps: 16, snapshotCount: 1_000 }],
    ['max-txn-ops: 1e2', { maxTxnOps: 100 }],
    ['quota-backend-bytes: 9223372036854775807', { quotaBytes: Number.MAX_SAFE_INTEGER }],
    ['max-txn-ops: 1\nmax-txn-ops: 2', { maxTxnOps: 2 }],
    ['initial-cluster-token: 2001-12-14', { clusterToken: '2001-12-14' }],
    ['initial-cluster-token: 12:30', { clusterToken: '12:30' }],
  ])('is read as Go reads YAML: %j', async (text, expected) => {
    expect(await config(['--config-file', file(text)])).toMatchObject(expected);
  });

  test('nested keys reach their flags', async () => {
    const path = file('client-transport-security:\n  cert-file: a.pem\n');
    expect((await failure(['--config-file', path])).message).toBe('--cert-file is not supported yet');
  });

  test.each([
    ['heartbeat-interval: abc', 'must be a whole number'],
    ['heartbeat-interval: -1', 'parse error'],
    ['heartbeat-interval: .nan', 'must be a whole number'],
    ['grpc-keepalive-min-time: 5s', 'nanoseconds'],
    ['pre-vote: "yes"', 'must be true or false'],
    ['name: 5', 'must be text'],
    ['name: yes', 'must be text'],
    ['max-txn-ops: 1.5', 'must be a whole number'],
    ['quota-backend-bytes: 9223372036854775808', 'value out of range'],
    ['a: [1', ''],
    ['- 1', 'does not hold a map'],
    ['listen-client-urls: foo', 'URL scheme must be'],
    ['heartbeat-interval: 0', '--heartbeat-interval must be >0'],
    ['auto-tls: true\nclient-transport-security: {auto-tls: true}', 'not supported yet'],
    // What stands in the place of a group of settings must not be passed over: it may be where TLS was asked for.
    ['client-transport-security: 5', 'setting client-transport-security: must be a map'],
    ['client-transport-security: []', 'setting client-transport-security: must be a map'],
    ['Peer-Transport-Security: "x"', 'setting peer-transport-security: must be a map'],
    ['discovery-config: {client: 1}', 'setting discovery-config.client: must be a map'],
    ['name: ""', 'couldn\'t find local name ""'],
  ])('%j is refused', async (text, message) => {
    const error = await failure(['--config-file', file(text)]);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toContain(message);
  });
});

test('a group of the file that is empty is not set; an unknown tag is no reason to write to the console', async () => {
  const warned = vi.spyOn(process, 'emitWarning');
  try {
    const path = file('client-transport-security:\nname: !odd n');
    expect((await config(['--config-file', path])).name).toBe('n');
    expect(warned).not.toHaveBeenCalled();
  } finally {
    warned.mockRestore();
  }
});

test.each([
  [['--name='], 'couldn\'t find local name "" in the initial cluster configuration'],
  [['--initial-advertise-peer-urls='], 'error setting up initial cluster: no URL for member "default"'],
  [['--initial-cluster=default='], 'error setting up initial cluster: no URL for member "default"'],
  [
    ['--initial-cluster=default=foo'],
    'error setting up initial cluster: URL scheme must be http, https, unix, or unixs: foo',
  ],
])('a cluster without a name or an address: %j is refused', async (args, message) => {
  const error = await failure(args);
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.message).toBe(message);
});

describe('what comes of it', () => {
  test('defaults', async () => {
    expect(await config([])).toMatchObject({
      name: 'default',
      dataDir: 'default.etcd',
      walDir: null,
      peerUrls: ['http://localhost:2380'],
      clusterToken: 'etcd-cluster',
      initialClusterState: 'new',
      initialCluster: [{ name: 'default', peerUrls: ['http://localhost:2380'] }],
      preVote: true,
      advanceFirstElection: true,
      strictReconfigCheck: true,
      maxLearners: 1,
      forceNewCluster: false,
      heartbeatMs: 100,
      electionMs: 1000,
      quotaBytes: 0,
      maxConcurrentStreams: 4_294_967_295,
      keepalive: { minTimeMs: 5_000, intervalMs: 7_200_000, timeoutMs: 20_000 },
      watchProgressIntervalMs: 600_000,
      log: { level: 'info', format: 'json', outputs: ['default'] },
    });
  });

  test('a new name brings its folder and its cluster along', async () => {
    expect(await config(['--name=n1'])).toMatchObject({
      dataDir: 'n1.etcd',
      peerUrls: ['http://localhost:2380'],
    });
    const explicit = await config([
      '--name=n1',
      '--initial-cluster=n1=http://127.0.0.1:9,n1=http://127.0.0.1:8',
    ]);
    expect(explicit.peerUrls).toEqual(['http://127.0.0.1:9', 'http://127.0.0.1:8']);
  });

  test('numbers in every form Go reads', async () => {
    for (const [text, value] of [
      ['0x10', 16],
      ['017', 15],
      ['0b101', 5],
      ['1_000', 1000],
      ['0', 0],
    ] as const) {
      expect((await config([`--max-txn-ops=${text}`])).maxTxnOps, text).toBe(value);
    }
    expect((await config(['--grpc-keepalive-min-time=1h2m3.5s'])).keepalive.minTimeMs).toBe(3_723_500);
    expect((await config(['--grpc-keepalive-interval=-5s'])).keepalive.intervalMs).toBe(0);
    expect((await config(['--watch-progress-notify-interval=1ms'])).watchProgressIntervalMs).toBe(100);
    expect((await config(['--quota-backend-bytes=-9223372036854775808'])).quotaBytes).toBeLessThan(0);
    expect((await config(['--max-request-bytes=18446744073709551615'])).maxRequestBytes).toBeLessThan(
      2 ** 31,
    );
  });

  test('no text of any flag does more than give a value or a sentence', async () => {
    const texts = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.constantFrom(
        'NaN',
        '-1',
        '1e309',
        'Infinity',
        '-Infinity',
        '0x',
        '١٢',
        '9'.repeat(400),
        '-0',
        '1h'.repeat(50),
      ),
      fc.constantFrom(
        'http://[::1]:1',
        'http://[::1%25lo]:1',
        'unix://a:1',
        'http://%zz:1',
        'http://:1',
        'a=b,=c,d',
      ),
    );
    const names = fc.constantFrom(
      ...FLAGS.filter(({ name }) => name !== 'config-file').map(({ name }) => name),
    );
    await fc.assert(
      fc.asyncProperty(names, texts, async (name, text) => {
        try {
          const intent = await loadConfig([`--${name}=${text}`, '--advertise-client-urls='], {});
          if (intent.kind !== 'serve') return;
          const { heartbeatMs, electionMs, maxTxnOps, maxRequestBytes, quotaBytes } = intent.config;
          for (const number of [heartbeatMs, electionMs, maxTxnOps, maxRequestBytes, quotaBytes]) {
            expect(Number.isSafeInteger(number)).toBe(true);
          }
          expect(electionMs).toBeGreaterThanOrEqual(5 * heartbeatMs);
        } catch (error) {
          expect(error instanceof UsageError || error instanceof ConfigError, String(error)).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('the table itself: known kinds, defaults of their kind, one line each', () => {
    expect(FLAGS.length).toBeGreaterThan(100);
    for (const flag of FLAGS) {
      expect(findFlag(flag.name)).toBe(flag);
      expect(['used', 'none', 'later', 'refused']).toContain(flag.support);
      expect(flag.help, flag.name).toMatch(/^[A-Zd"SN0].*\.$/);
    }
  });
});
