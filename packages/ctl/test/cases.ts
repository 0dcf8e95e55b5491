/**
 * Command lines that run, in this order, against one server with Debian's etcdctl 3.4 and against another with ours.
 * Outputs and exit codes must be the same, but where `differs` says what ours is and why.
 */
import type { Input } from './harness.ts';

export interface Difference {
  readonly reason: string;
  /** Ours, where it is not etcdctl's. */
  readonly stdout?: string;
  readonly stderr?: string;
  readonly code?: number;
  /** Only the exit codes are compared. */
  readonly text?: 'differs';
}

export interface Case extends Input {
  readonly differs?: Difference;
}

const c = (line: string, rest: Omit<Case, 'args'> = {}): Case => ({
  args: line === '' ? [] : line.split(' ').map((word) => (word === "''" ? '' : word)),
  ...rest,
});
const txn = (stdin: string, differs?: Difference, flags = ''): Case => ({
  args: ['txn', ...flags.split(' ').filter(Boolean)],
  stdin,
  ...(differs && { differs }),
});

const HELP =
  'Debian prints its own help before the error, and the error twice; here the error and where help is';
const PANIC = 'etcdctl 3.4 ends in a Go panic';
const JSON_ONEOF = '3.5 and later name the answers of a transaction as in the proto file';
const HIDDEN_REVISION = 'newer lines hide the revision where there is none';

export const cases: readonly Case[] = [
  // Key-value: put.
  c('put'),
  c('put a'),
  c('put a b'),
  c('put a c --prev-kv'),
  c('put a c --prev-kv --hex'),
  c('put a d --prev-kv -w json'),
  c('put a e --prev-kv -w fields'),
  c('put a e -w table'),
  c('put a e -w nonsense'),
  c('put from-stdin', { stdin: 'line one\nline two\n' }),
  c('get from-stdin'),
  c('put a --ignore-value'),
  c('put a x --ignore-value'),
  c('put a --ignore-value --ignore-lease'),
  c('put a x --ignore-lease'),
  c('put missing x --ignore-lease'),
  c('put missing --ignore-value'),
  c('put a b --lease=xyz'),
  c('put a b --lease=123'),
  c('put a b --lease=fffffffffffffffff'),
  c('put a b c'),
  c('put a b --prev-kv=false'),
  c('put a b --prev-kv=x', {
    differs: {
      reason: HELP,
      stdout: '',
      stderr:
        'Error: invalid argument "x" for "--prev-kv" flag: strconv.ParseBool: parsing "x": invalid syntax\n' +
        "Run 'quoratectl put --help' for usage.\n",
    },
  }),
  c('put -- -k -v'),
  c('get -- -k'),
  { args: ['put', '', 'v'] },
  { args: ['put', 'quotes', 'a "b"\t\\ \u00e9 \u0001 <&>'] },
  c('get quotes -w json'),
  c('get quotes -w fields'),
  c('get quotes --hex'),
  c('del quotes'),

  // Key-value: get.
  c('get'),
  c('get a'),
  c('get a b'),
  c('get a b c'),
  c('get a -w json'),
  c('get a -w fields'),
  c('get a -w protobuf', { differs: { reason: 'ids differ inside the bytes', text: 'differs' } }),
  c('get a -w=json'),
  c('get a -wjson'),
  c('get a --hex -w json'),
  c('get nothing'),
  c('get nothing -w json'),
  c('get nothing -w fields'),
  { args: ['get', ''] },
  { args: ['get', '', '--prefix', '--keys-only'] },
  { args: ['get', '', '--from-key'] },
  c('get a --prefix --from-key'),
  c('get a b --prefix'),
  c('get a b --from-key'),
  c('get a --order ascend'),
  c('get a --prefix --order DESCEND --sort-by modify'),
  c('get a --prefix --sort-by value'),
  c('get a --order sideways'),
  c('get a --sort-by colour'),
  c('get a --consistency s'),
  c('get a --consistency x'),
  c('get a --keys-only'),
  c('get a --print-value-only'),
  c('get a --print-value-only -w json'),
  c('get a --rev 2'),
  c('get a --rev 3 -w json'),
  c('get a --rev 100000'),
  c('get a --rev -1'),
  c('get a --prefix --limit 1'),
  c('get a --limit x', {
    differs: {
      reason: HELP,
      stdout: '',
      stderr:
        'Error: invalid argument "x" for "--limit" flag: strconv.ParseInt: parsing "x": invalid syntax\n' +
        "Run 'quoratectl get --help' for usage.\n",
    },
  }),
  c('get a --rev 99999999999999999999', {
    differs: {
      reason: HELP,
      stdout: '',
      stderr:
        'Error: invalid argument "99999999999999999999" for "--rev" flag: strconv.ParseInt: parsing "99999999999999999999": value out of range\n' +
        "Run 'quoratectl get --help' for usage.\n",
    },
  }),
  c('get a --nonsense', {
    differs: {
      reason: HELP,
      stdout: '',
      stderr: "Error: unknown flag: --nonsense\nRun 'quoratectl get --help' for usage.\n",
    },
  }),
  c('get a --constructor=1', {
    differs: {
      reason: HELP,
      stdout: '',
      stderr: "Error: unknown flag: --constructor\nRun 'quoratectl get --help' for usage.\n",
    },
  }),
  c('get a -x', {
    differs: {
      reason: HELP,
      stdout: '',
      stderr: "Error: unknown shorthand flag: 'x' in -x\nRun 'quoratectl get --help' for usage.\n",
    },
  }),
  c('get a -w', {
    differs: {
      reason: HELP,
      stdout: '',
      stderr: "Error: flag needs an argument: 'w' in -w\nRun 'quoratectl get --help' for usage.\n",
    },
  }),
  c('get a --rev', {
    differs: {
      reason: HELP,
      stdout: '',
      stderr: "Error: flag needs an argument: --rev\nRun 'quoratectl get --help' for usage.\n",
    },
  }),
  c('get a --count-only', {
    differs: {
      reason: '--count-only came with 3.5',
      code: 128,
      stdout: '',
      stderr: 'Error: --count-only is only for `--write-out=fields`\n',
    },
  }),
  c('get a --keys-only --count-only', {
    differs: {
      reason: '--count-only came with 3.5',
      code: 128,
      stdout: '',
      stderr: 'Error: `--keys-only` and `--count-only` cannot be set at the same time, choose one\n',
    },
  }),
  { args: ['get', 'a', '--cert', ''] },

  // Numbers at the ends of their types, and of other bases.
  ...['get a --rev 0x2', 'get a --rev 010', 'get a --limit 0b1', 'get a --limit 1_0', 'get a --limit=+3'].map(
    (line) => c(line),
  ),
  ...['get a --rev 9223372036854775807', 'get a --rev -9223372036854775808'].map((line) => c(line)),
  ...['get a --limit 9223372036854775807', 'get a --limit -9223372036854775808'].map((line) => c(line)),
  ...['put a b --lease=7fffffffffffffff', 'put a b --lease=-1'].map((line) => c(line)),
  ...['lease timetolive 7fffffffffffffff', 'lease timetolive -- -1', 'lease revoke 8000000000000000'].map(
    (line) => c(line),
  ),
  ...['lease timetolive 7ffffffffffffffd -w json', 'lease timetolive -w fields -- -20000000000001'].map(
    (line) => c(line),
  ),
  ...['compaction 9223372036854775807', 'compaction -- -1', 'lease grant -- -1'].map((line) => c(line)),

  // Files that are not there, or are something else.
  c('get a --cert /nonexistent --key /nonexistent'),
  c('get a --cacert /nonexistent'),
  c('get a --cert /nonexistent'),
  c('get a --key /nonexistent'),
  c('snapshot save'),
  c('snapshot save a b'),
  c('snapshot save /nonexistent/file'),
  c('snapshot status'),
  c('snapshot status a b'),
  c('snapshot status /nonexistent', {
    differs: {
      reason: 'the words of our offline tools',
      stderr: 'Error: there is no file /nonexistent\n',
    },
  }),
  c('snapshot restore'),
  c('make-mirror'),
  c('make-mirror a b'),
  c('make-mirror a --dest-prefix b --no-dest-prefix'),
  c('make-mirror a --dest-cert /nonexistent'),
  c('make-mirror a --dest-cert /nonexistent --dest-key /nonexistent'),
  c('make-mirror a --dest-cacert /nonexistent'),

  // Locks, elections, checks, members: wrong arguments.
  c('lock'),
  c('elect'),
  c('elect a'),
  c('elect a b c'),
  c('elect a b -l'),
  c('check perf --load=z'),
  c('check datascale --load=z'),
  c('move-leader'),
  c('move-leader xyz'),
  c('move-leader 123'),
  c('member add'),
  c('member add a'),
  c('member add a http://b'),
  c('member promote'),
  c('member remove xyz'),
  c('member remove 123'),
  c('member update 123'),

  // Key-value: del.
  c('del'),
  c('del nothing'),
  c('put d1 x'),
  c('put d2 y'),
  c('del d1 --prev-kv'),
  c('del d2 --prev-kv -w json'),
  c('del d2 -w fields'),
  c('put d3 x'),
  c('del d3 d4 --range', {
    differs: { reason: '--range came with 3.6', code: 0, stdout: '1\n', stderr: '' },
  }),
  c('del d3', {
    differs: { reason: '--range came with 3.6: Debian still has the key', text: 'differs' },
  }),
  c('del d --prefix --prev-kv -w fields'),
  c('del x y z'),
  c('del x y --prefix'),
  c('del x y --from-key'),
  c('del x --prefix --from-key'),

  // Transactions.
  c('put t1 a'),
  txn('mod("t1") > "0"\n\nput t2 "over written"\nget t1\ndel t9\n\nput t3 z\n\n'),
  txn('mod("t1") < "0"\n\nput t2 x\n\nget t1\ndel t2 t3 --prev-kv\n\n'),
  txn(
    'create("t1") != "0"\nc("t1") > "1"\nver("t1") = "1"\nvalue("t1") = "a"\nversion("t1") < "9"\n\nget t1\n\n\n',
  ),
  txn('val("t1") = "\\x61"\n\n\n\n'),
  txn(
    'mod("t1") > "0"\n\nput t2 ow\nget t1\ndel t9\n\nput t3 z\n\n',
    {
      reason: JSON_ONEOF,
      stdout:
        '{"header":{"cluster_id":CLUSTER,"member_id":MEMBER,"revision":26,"raft_term":2},"succeeded":true,"responses":[{"Response":{"response_put":{"header":{"revision":26}}}},{"Response":{"response_range":{"header":{"revision":26},"kvs":[{"key":"dDE=","create_revision":23,"mod_revision":23,"version":1,"value":"YQ=="}],"count":1}}},{"Response":{"response_delete_range":{"header":{"revision":26}}}}]}\n',
    },
    '-w json',
  ),
  txn('mod("t1") > "0"\n\nput t2 ow --prev-kv\nget t1\ndel t9\n\nput t3 z\n\n', undefined, '-w fields'),
  txn('mod("t1") > "0"\n\nput t2 ow\nget t1\n\nput t3 z\n\n', undefined, '-i'),
  txn('\n\n\n'),
  txn(''),
  txn('\nput a b\n'),
  txn('x\n\n\n\n'),
  txn('colour("k") = "1"\n\n\n\n'),
  txn('mod("k") = "x"\n\n\n\n'),
  txn('mod(k) = 1\n\n\n\n'),
  txn('mod("k")>"0"\n\n\n\n'),
  txn('mod(`t1`) > `0`\n\nget t1\n\n\n'),
  txn('mod("k") > "0" # "x"\n\n\n\n'),
  txn('colour("k") ~ "1"\n\n\n\n'),
  txn('val("t1") = "\\\'"\n\n\n\n'),
  // Blanks that are none to everybody.
  txn('mod("t1")\u00a0>\u2003"0"\u0085\n\u00a0\nput t6 a\u00a0b\nget t6\n\n\u3000\n'),
  txn('\ufeffmod("t1") > "0"\n\n\n\n'),
  txn('\n\n\n', undefined, '-w=nonsense'),
  txn('x\n\n\n', undefined, '-w nonsense'),
  txn('\n\n\n', undefined, '-i=false'),
  txn('mod("k") ~ "1"\n\n\n\n', {
    reason: PANIC,
    code: 3,
    stderr: 'Error: malformed comparison: mod("k") ~ "1" (unknown operator ~)\n',
  }),
  txn('lease("t1") = "0"\n\nget t1\n\n\n', {
    reason: PANIC,
    code: 0,
    stdout: 'SUCCESS\n\nt1\na\n',
    stderr: '',
  }),
  txn('\nfrob k\n\n\n'),
  txn('\nput k\n\n\n'),
  txn('\nput k v x\n\n\n'),
  txn('\nget\n\n\n'),
  txn('\nget a --frob\n\n\n', {
    reason: HELP,
    stderr: 'Error: invalid txn request: get a --frob\n',
  }),
  txn('\nput t4 1\nput t4 2\n\n\n'),
  txn('\nput t5 "b\\nc"\nget t5\n\n\n'),
  c('txn x'),

  // Compaction.
  c('compaction'),
  c('compaction x'),
  c('compaction 3 4'),
  c('compaction 3'),
  c('compaction 3'),
  c('compaction 99999'),
  c('compaction 5 --physical -w json'),
  c('get a --rev 2'),

  // Watches that end by themselves.
  c('watch'),
  c('watch a --rev 1'),
  c('watch a --rev 1 -w json', {
    differs: {
      reason: 'the reason is part of the answer since 3.7',
      stdout:
        '{"Header":{"cluster_id":CLUSTER,"member_id":MEMBER,"raft_term":2},"Events":[],"CompactRevision":5,"Canceled":true,"Created":false,"CancelReason":"etcdserver: mvcc: required revision has been compacted"}\n',
    },
  }),
  c('watch b a'),
  c('watch a --'),
  c('watch a', { env: { ETCDCTL_WATCH_KEY: 'b' } }),
  c('watch -i'),
  c('watch -i', { stdin: 'frob\n' }),
  c('watch -i', { stdin: 'watch\n' }),
  c('watch -i', { stdin: '\n' }),
  c('watch -i', { stdin: 'watch a --frob\n' }),

  // Leases.
  c('lease grant'),
  c('lease grant x'),
  c('lease grant 100 3'),
  c('lease grant 100'),
  c('lease grant 100 -w json'),
  c('lease grant 100 -w fields'),
  c('lease grant 100 -w table'),
  c('lease grant 9000000001'),
  c('lease revoke'),
  c('lease revoke zz'),
  c('lease revoke 12'),
  c('lease timetolive'),
  c('lease timetolive zz'),
  c('lease timetolive 12'),
  c('lease timetolive 12 --keys'),
  c('lease timetolive 12 -w json'),
  c('lease timetolive 12 -w fields'),
  c('lease list -w json'),
  c('lease list -w fields'),
  c('lease keep-alive'),
  c('lease keep-alive zz'),
  c('lease keep-alive 12'),
  c('lease keep-alive 12 --once'),
  c('lease', { differs: { reason: 'own help texts', text: 'differs' } }),
  c('lease frob', { differs: { reason: 'own help texts', text: 'differs' } }),

  // Members, endpoints, alarms, defragmentation.
  c('member list'),
  c('member list -w json'),
  c('member list -w table'),
  c('member list -w fields', {
    differs: {
      reason: HIDDEN_REVISION,
      stdout:
        '"ClusterID" : CLUSTER\n"MemberID" : MEMBER\n"RaftTerm" : 2\n"ID" : MEMBER\n"Name" : "default"\n"PeerURL" : "PEER"\n"ClientURL" : "http://ENDPOINT"\n"IsLearner" : false\n\n',
    },
  }),
  c('member list --hex -w json', {
    differs: {
      reason: 'ids are hex strings with --hex since 3.5',
      text: 'differs',
    },
  }),
  c('endpoint health', {
    differs: {
      reason: 'on standard output since 3.5',
      stdout: 'ENDPOINT is healthy: successfully committed proposal: took = DURATION\n',
      stderr: '',
    },
  }),
  c('endpoint health -w json'),
  c('endpoint health -w fields'),
  c('endpoint health -w protobuf'),
  c('endpoint health --cluster -w json'),
  c('endpoint status', {
    differs: { reason: '16 columns since 3.6', text: 'differs' },
  }),
  c('endpoint status -w json', {
    differs: { reason: 'raft indexes and sizes differ between two servers', text: 'differs' },
  }),
  c('endpoint status -w protobuf'),
  c('endpoint hashkv', {
    differs: { reason: 'the hashed revision is shown since 3.6; etcd 3.4 does not tell it', text: 'differs' },
  }),
  c('endpoint hashkv -w json'),
  c('endpoint hashkv --rev 1'),
  c('endpoint hashkv --rev 99999'),
  c('endpoint frob', { differs: { reason: 'own help texts', text: 'differs' } }),
  c('alarm list'),
  c('alarm list x'),
  c('alarm list -w json'),
  c('alarm list -w fields', { differs: { reason: PANIC, code: 0, stdout: '', stderr: '' } }),
  c('alarm disarm'),
  c('alarm disarm -w json'),
  c('alarm disarm x'),
  c('defrag', {
    differs: {
      reason: 'tells how long it took since 3.5',
      stdout: 'Finished defragmenting etcd member[ENDPOINT]. took DURATION\n',
    },
  }),

  // Names, prefixes, variables.
  c('frob', {
    differs: {
      reason: 'another program name, and the error once',
      stderr: 'Error: unknown command "frob" for "quoratectl"\nRun \'quoratectl --help\' for usage.\n',
    },
  }),
  c('lease gr x'),
  c('mem li'),
  c('get zz', { env: { ETCDCTL_WRITE_OUT: 'json' } }),
  c('get zz -w json', {
    env: { ETCDCTL_WRITE_OUT: 'json' },
    differs: {
      reason: 'the same words without the log line around them',
      stderr:
        'Error: conflicting environment variable "ETCDCTL_WRITE_OUT" is shadowed by corresponding command-line flag (either unset environment variable or disable flag)\n',
    },
  }),
  c('get zz', {
    env: { ETCDCTL_FROB: 'x' },
    differs: {
      reason: 'the same words without the log line around them',
      stderr: 'Warning: unrecognized environment variable ETCDCTL_FROB=x\n',
    },
  }),
  c('version', {
    differs: { reason: 'our own version', stdout: 'quoratectl version: 0.1.0\nAPI version: 3.7\n' },
  }),

  // Last, since from here on the stores differ.
  // Programs under a lock: its lease has an id of its own.
  c('lock l true'),
  c('lock l --ttl=0 true'),
  c("lock '' true"),
  {
    args: ['lock', 'l', '--', 'sh', '-c', 'kill -9 $$'],
    differs: { reason: 'the code is that of the program', code: 137 },
  },
  c('lock l /nonexistent/program'),
  c('lock l /dev'),
  c('lock l no-such-program'),
  txn("\nput 'a b' 'c \"d'\nget \"a b\"\n\n\n", {
    reason: 'etcdctl 3.4 cuts words in single quotes short',
    stdout: 'SUCCESS\n\nOK\n\na b\nc "d\n',
  }),
  c('del a --prefix --prev-kv', { differs: { reason: 'the key of the case before', text: 'differs' } }),
];
