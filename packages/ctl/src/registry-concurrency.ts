/** Commands of locks, mirrors and checks. */
import type { Command, CommandGroup } from './command.ts';
import type { FlagSpecs } from './flags.ts';

export const concurrency: readonly Command[] = [
  {
    name: 'elect',
    usage: '[options] <election-name> [proposal]',
    summary: 'Observes and participates in leader election',
    description:
      'With a proposal: waits to be elected, prints the key, and leads until it is interrupted. With -l: prints every\n' +
      'leader and what it proclaims.',
    flags: { listen: { type: 'bool', short: 'l', default: 'false', help: 'observation mode' } },
    load: async () => (await import('./commands/lock.ts')).elect,
  },
  {
    name: 'lock',
    usage: '[options] <lockname> [exec-command arg1 arg2 ...]',
    summary: 'Acquires a named lock',
    description:
      'Without a command: prints the key once the lock is held, and holds it until it is interrupted. With one: runs it\n' +
      'while the lock is held, with ETCD_LOCK_KEY and ETCD_LOCK_REV set, and exits with its code. Flags of the command\n' +
      'belong behind `--`.',
    flags: { ttl: { type: 'int', default: '10', help: 'timeout for session' } },
    load: async () => (await import('./commands/lock.ts')).lock,
  },
];

const checkFlags = (prefix: string): FlagSpecs => ({
  load: {
    type: 'string',
    default: 's',
    help: "the check's workload model: s(mall), m(edium), l(arge), xl(xLarge)",
  },
  prefix: { type: 'string', default: prefix, help: 'the prefix for writing the check keys' },
  'auto-compact': { type: 'bool', default: 'false', help: 'compact storage with last revision after test' },
  'auto-defrag': { type: 'bool', default: 'false', help: 'defragment storage after test' },
});

export const mirrors: readonly Command[] = [
  {
    name: 'make-mirror',
    usage: '[options] <destination>',
    summary: 'Makes a mirror at the destination etcd cluster',
    description: 'Copies every key, then every change, until it is interrupted. Leases are not copied.',
    flags: {
      prefix: { type: 'string', default: '', help: 'Key-value prefix to mirror' },
      rev: { type: 'int', default: '0', help: 'Specify the kv revision to start to mirror' },
      'max-txn-ops': {
        type: 'int',
        default: '128',
        help: 'Operations in one transaction at the destination',
      },
      'dest-prefix': { type: 'string', default: '', help: 'destination prefix to mirror a prefix to' },
      'no-dest-prefix': { type: 'bool', default: 'false', help: 'mirror key-values to the root' },
      'dest-cert': { type: 'string', default: '', help: 'TLS certificate file of this client' },
      'dest-key': { type: 'string', default: '', help: 'TLS key file of this client' },
      'dest-cacert': { type: 'string', default: '', help: 'CA bundle that the destination is verified with' },
      'dest-insecure-transport': { type: 'bool', default: 'true', help: 'go without TLS' },
      'dest-user': { type: 'string', default: '', help: 'username[:password] at the destination' },
      'dest-password': { type: 'string', default: '', help: 'password at the destination' },
    },
    load: async () => (await import('./commands/make-mirror.ts')).makeMirror,
  },
];

export const checks: CommandGroup = {
  name: 'check',
  summary: 'commands for checking properties of the etcd cluster',
  commands: [
    {
      name: 'datascale',
      usage: '[options]',
      summary: 'Check the memory usage of holding data for different workloads on a given server endpoint.',
      flags: checkFlags('/etcdctl-check-datascale/'),
      load: async () => (await import('./commands/check.ts')).dataScale,
    },
    {
      name: 'perf',
      usage: '[options]',
      summary: 'Check the performance of the etcd cluster',
      description: 'Writes for a minute. Do not do this to a cluster that others need meanwhile.',
      flags: checkFlags('/etcdctl-check-perf/'),
      load: async () => (await import('./commands/check.ts')).perf,
    },
  ],
};

export const completion: Command = {
  name: 'completion',
  wholeNameOnly: true,
  usage: '[bash|zsh|fish|powershell]',
  summary: 'Generates a completion script for the given shell',
  description: 'For bash: `source <(quoratectl completion bash)`.',
  flags: {},
  load: async () => (await import('./commands/completion.ts')).completion,
};
