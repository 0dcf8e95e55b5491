/**
 * Debian's etcdctl against our server and against the real one, and our program against both: the same command lines, in one history.
 *
 * `packages/ctl/test/differential.test.ts` compares the two programs on etcd. Here the server changes: what a user sees
 * through etcdctl must not tell which one is behind it, and what our program shows must not either. Servers are started once;
 * our program runs in this process.
 */
import { findProgram, type ServerProcess, startEtcd, startQuorate } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { etcdctl, type Input, normaliser, type Outcome, ours } from '../../packages/ctl/test/harness.ts';

const installed = findProgram('etcd') !== null && findProgram('etcdctl') !== null;
if (!installed) console.warn('SKIPPED: etcd and etcdctl are not installed, so no command line was compared');

/** Where our server, which answers as 3.7, makes etcdctl print something else than a 3.4 does. */
const DIFFERENCES: readonly { readonly words: RegExp; readonly reason: string }[] = [
  { words: /^endpoint status/, reason: 'version, sizes and indexes are those of the server' },
];

const lines: readonly (string | Input)[] = [
  ...[
    'put a 1',
    'put a 2 --prev-kv',
    'put a 3 --prev-kv -w json',
    'put a 3 -w fields',
    'put b/1 x',
    'put b/2 y',
  ],
  { args: ['put', 'from-stdin'], stdin: 'line one\nline two' },
  ...['simple', 'json', 'fields', 'protobuf'].flatMap((format) => [
    `get a -w ${format}`,
    `get b/ --prefix -w ${format}`,
    `get b/ --prefix --sort-by=VALUE --order=DESCEND --limit=1 -w ${format}`,
    `get none -w ${format}`,
    `del none -w ${format}`,
  ]),
  ...['get a --hex', 'get a --rev=3', 'get a --rev=100', 'get a -w table', 'get a --print-value-only'],
  ...['get --from-key a --keys-only', 'del b/2 --prev-kv', 'put missing --ignore-value', "put '' x"],
  { args: ['txn'], stdin: 'value("a") = "3"\n\nput t 1\nget a\n\ndel a\n\n' },
  { args: ['txn', '-w', 'fields'], stdin: 'version("none") > "0"\n\nput t 2\n\nget t\nput u 1\n\n' },
  { args: ['txn'], stdin: 'mod("a") = "999"\n\n\nput same 1\nput same 2\n\n' },
  ...['compaction 4', 'compaction 4', 'compaction 1000', 'get a --rev=2', 'compaction 5 --physical'],
  ...['lease grant 100', 'lease grant 99999999999', 'lease revoke 123', 'lease timetolive 123'],
  ...['lease timetolive 123 -w json', 'lease keep-alive --once 123', 'put l x --lease=123'],
  ...['member list', 'member list -w json', 'member list -w table', 'member list -w fields'],
  ...['member remove 123', 'member update 123 --peer-urls=http://127.0.0.1:1', 'member promote 123'],
  ...['endpoint health', 'endpoint health -w json', 'alarm list', 'alarm disarm', 'move-leader 123'],
  ...['endpoint status', 'endpoint hashkv', 'get b/ --prefix --keys-only -w json'],
  ...['lock l -- true', 'lock l --ttl=5 -- sh -c "exit"', 'elect', 'elect e', 'check perf --load=x'],
  ...['nonsense', 'get', 'get a b c', 'put', 'version --nope'],
  // Numbers at the ends of their types: ids and revisions are 64 bits wide.
  ...[
    'get a --rev=9223372036854775807',
    'get a --rev=-9223372036854775808',
    'get a --limit=9223372036854775807',
  ],
  ...[
    'put l x --lease=7fffffffffffffff',
    'put l x --lease=-8000000000000000',
    'lease revoke 7ffffffffffffff1',
  ],
  ...['simple', 'json', 'fields'].map((format) => `lease timetolive 20000000000001 --keys -w ${format}`),
  ...[
    'compaction 9223372036854775807',
    'compaction -- -1',
    'lease grant 9223372036854775807',
    'lease grant -- -1',
  ],
  ...['member remove ffffffffffffffff', 'member promote 8000000000000000', 'move-leader ffffffffffffffff'],
  'endpoint hashkv --rev=9223372036854775807',
  // Text of any kind.
  { args: ['put', 'ключ \u{1f511}', 'значение\n"\\\u0001\u2028'] },
  ...['simple', 'json', 'fields'].map((format) => ({ args: ['get', 'ключ', '--prefix', '-w', format] })),
  { args: ['get', 'ключ', '--prefix', '--hex'] },
  {
    args: ['txn'],
    stdin: 'value("ключ \u{1f511}") = "x"\n\n\nput "\\xff\\x00" "\\377"\nget "\\xff\\x00"\n\n',
  },
  { args: ['put', 'bytes'], stdin: Uint8Array.from({ length: 256 }, (_, byte) => byte) },
  ...['simple', 'json', 'fields', 'protobuf'].map((format) => `get bytes -w ${format}`),
  'snapshot save /nonexistent/file',
  'defrag',
];

const inputOf = (line: string | Input): Input =>
  typeof line === 'string'
    ? { args: line.split(' ').map((word) => (word === "''" ? '' : word.replaceAll('"', ''))) }
    : line;

describe.skipIf(!installed).each([
  ['etcdctl', etcdctl],
  ['quoratectl', ours],
] as const)('%s cannot tell our server from etcd', (_name, program) => {
  let servers: readonly ServerProcess[] = [];
  let texts: readonly ((text: string) => string)[] = [];
  beforeAll(async () => {
    servers = await Promise.all([startQuorate(), startEtcd()]);
    texts = await Promise.all(servers.map(normaliser));
  }, 60_000);
  afterAll(() => Promise.all(servers.map((server) => server.stop())));

  async function outcomes(input: Input): Promise<readonly [Outcome, Outcome]> {
    const protobuf = input.args.includes('protobuf');
    const [our, their] = await Promise.all(
      servers.map(async (server, index) => {
        const env = { ...input.env, ETCDCTL_ENDPOINTS: server.endpoint };
        const { code, stdout, stderr } = await program({ ...input, env });
        return {
          code,
          stdout: normal(texts[index]!(stdout), protobuf),
          stderr: normal(texts[index]!(stderr), false),
        };
      }),
    );
    return [our!, their!];
  }

  it.each(lines.map((line) => [inputOf(line).args.join(' '), inputOf(line)] as const))(
    '%s',
    async (words, input) => {
      const [our, their] = await outcomes(input);
      const known = DIFFERENCES.find((difference) => difference.words.test(words));
      if (known === undefined) expect(our).toEqual(their);
      else {
        expect(our.code, known.reason).toBe(their.code);
        expect(our.stdout, 'a difference that is none any more').not.toBe(their.stdout);
      }
    },
  );
});

/** Terms count elections, and answers in protobuf hold the ids of a cluster. */
function normal(text: string, protobuf: boolean): string {
  const plain = text
    .replace(/"raft_term":\d+/g, '"raft_term":TERM')
    .replace(/"RaftTerm" : \d+/g, '"RaftTerm" : TERM')
    .replace(/took \d\S*/g, 'took DURATION')
    // The hashed revision, which servers tell since 3.6. The hash itself must be equal.
    .replace(/^(ENDPOINT, \d+), \d+$/gm, '$1')
    .replace(/[0-9a-f]{15,16}(?= is not a member| granted)/g, 'ID');
  // The header comes first: its tag, its length, and then ids that are a cluster's own.
  return protobuf && plain.startsWith('\n') ? plain.slice(2 + plain.charCodeAt(1)) : plain;
}
