/**
 * Every command there is, by the sections of `help`. A command is described here and loaded from `commands/` when
 * it runs.
 */
import type { Command, CommandGroup, Section } from './command.ts';
import { delFlags, getFlags, putFlags } from './commands/kv-flags.ts';
import { watchFlags } from './commands/watch-flags.ts';
import type { FlagSpecs } from './flags.ts';
import { leadership, memberChanges } from './registry-cluster.ts';
import { checks, completion, concurrency, mirrors } from './registry-concurrency.ts';
import { offlineCommands, snapshotCommands } from './registry-offline.ts';

export const PROGRAM = 'quoratectl';

const cluster: FlagSpecs = {
  cluster: { type: 'bool', default: 'false', help: 'use all endpoints from the cluster member list' },
};

const keyValue: readonly (Command | CommandGroup)[] = [
  {
    name: 'compaction',
    usage: '[options] <revision>',
    summary: 'Compacts the event history in the store',
    flags: {
      physical: {
        type: 'bool',
        default: 'false',
        help: "'true' to wait for compaction to physically remove all old revisions",
      },
    },
    load: async () => (await import('./commands/kv.ts')).compaction,
  },
  {
    name: 'del',
    usage: '[options] <key> [range_end]',
    summary: 'Removes the specified key or range of keys [key, range_end)',
    flags: delFlags,
    load: async () => (await import('./commands/kv.ts')).del,
  },
  {
    name: 'get',
    usage: '[options] <key> [range_end]',
    summary: 'Gets the key or a range of keys',
    flags: getFlags,
    load: async () => (await import('./commands/kv.ts')).get,
  },
  {
    name: 'put',
    usage: '[options] <key> <value> (<value> can also be given from stdin)',
    summary: 'Puts the given key into the store',
    description:
      "A value that begins with '-' would be taken for a flag: put `--` before it.\n" +
      'Without a value (and without --ignore-value) the value is read from standard input:\n' +
      `  cat file | ${PROGRAM} put key`,
    flags: putFlags,
    load: async () => (await import('./commands/kv.ts')).put,
  },
  {
    name: 'txn',
    usage: '[options]',
    summary: 'Processes all the requests in one transaction',
    description:
      'Reads three blocks from standard input, each ended by an empty line: compares, requests for when all of them\n' +
      'hold, requests for when one does not.\n' +
      '  mod("key") > "0"      targets: c|create, m|mod, ver|version, val|value, lease; operators: = != < >\n' +
      '  put key "new value"   requests: get, put, del with their flags',
    flags: {
      interactive: {
        type: 'bool',
        short: 'i',
        default: 'false',
        help: 'Input transaction in interactive mode',
      },
    },
    load: async () => (await import('./commands/txn.ts')).txn,
  },
  {
    name: 'watch',
    usage: '[options] [key or prefix] [range_end] [--] [exec-command arg1 arg2 ...]',
    summary: 'Watches events stream on keys or prefixes',
    description:
      'The key can also come from ETCDCTL_WATCH_KEY and ETCDCTL_WATCH_RANGE_END. A command behind `--` runs for every\n' +
      'event, with ETCD_WATCH_REVISION, ETCD_WATCH_EVENT_TYPE, ETCD_WATCH_KEY and ETCD_WATCH_VALUE set.\n' +
      'With -i, lines of standard input are `watch ...` and `progress`.',
    flags: watchFlags,
    load: async () => (await import('./commands/watch.ts')).watch,
  },
  {
    name: 'lease',
    summary: 'Lease related commands',
    commands: [
      {
        name: 'grant',
        usage: '<ttl>',
        summary: 'Creates leases',
        flags: {},
        load: async () => (await import('./commands/lease.ts')).grant,
      },
      {
        name: 'keep-alive',
        usage: '[options] <leaseID>',
        summary: 'Keeps leases alive (renew)',
        flags: {
          once: {
            type: 'bool',
            default: 'false',
            help: 'Resets the keep-alive time to its original value and exits',
          },
        },
        load: async () => (await import('./commands/lease.ts')).keepAlive,
      },
      {
        name: 'list',
        usage: '',
        summary: 'List all active leases',
        flags: {},
        load: async () => (await import('./commands/lease.ts')).list,
      },
      {
        name: 'revoke',
        usage: '<leaseID>',
        summary: 'Revokes leases',
        flags: {},
        load: async () => (await import('./commands/lease.ts')).revoke,
      },
      {
        name: 'timetolive',
        usage: '[options] <leaseID>',
        summary: 'Get lease information',
        flags: { keys: { type: 'bool', default: 'false', help: 'Get keys attached to this lease' } },
        load: async () => (await import('./commands/lease.ts')).timeToLive,
      },
    ],
  },
];

const maintenance: readonly (Command | CommandGroup)[] = [
  {
    name: 'alarm',
    summary: 'Alarm related commands',
    commands: [
      {
        name: 'disarm',
        usage: '',
        summary: 'Disarms all alarms',
        flags: {},
        load: async () => (await import('./commands/alarm.ts')).disarm,
      },
      {
        name: 'list',
        usage: '',
        summary: 'Lists all alarms',
        flags: {},
        load: async () => (await import('./commands/alarm.ts')).list,
      },
    ],
  },
  {
    name: 'defrag',
    usage: '[options]',
    summary: 'Defragments the storage of the members with given endpoints',
    flags: {
      ...cluster,
      'data-dir': {
        type: 'string',
        default: '',
        help: 'Optional. If present, defragments a data directory not in use by a server.',
      },
    },
    load: async () => (await import('./commands/defrag.ts')).defrag,
  },
  {
    name: 'endpoint',
    summary: 'Endpoint related commands',
    commands: [
      {
        name: 'hashkv',
        usage: '[options]',
        summary: 'Prints the KV history hash for each endpoint in --endpoints',
        flags: {
          ...cluster,
          rev: { type: 'int', default: '0', help: 'maximum revision to hash (default: latest revision)' },
        },
        load: async () => (await import('./commands/endpoint.ts')).hashKv,
      },
      {
        name: 'health',
        usage: '[options]',
        summary: 'Checks the healthiness of endpoints specified in `--endpoints` flag',
        flags: cluster,
        load: async () => (await import('./commands/endpoint.ts')).health,
      },
      {
        name: 'status',
        usage: '[options]',
        summary: 'Prints out the status of endpoints specified in `--endpoints` flag',
        flags: cluster,
        load: async () => (await import('./commands/endpoint.ts')).status,
      },
    ],
  },
  {
    name: 'member',
    summary: 'Membership related commands',
    commands: [
      {
        name: 'list',
        usage: '[options]',
        summary: 'Lists all members in the cluster',
        flags: { consistency: { type: 'string', default: 'l', help: 'Linearizable(l) or Serializable(s)' } },
        load: async () => (await import('./commands/member.ts')).list,
      },
      ...memberChanges,
    ],
  },
  ...leadership,
  snapshotCommands,
];

const offline: readonly (Command | CommandGroup)[] = [
  ...offlineCommands,
  {
    name: 'wal',
    summary: "Looks at a member's write-ahead log",
    commands: [
      {
        name: 'dump',
        usage: '[options] <directory>',
        summary: 'Prints the frames of a log, up to its end or its damage',
        description: "The directory is a member's data folder or the log's own.",
        flags: {
          'entry-bytes': {
            type: 'int',
            default: '-1',
            help: 'print every entry too, with this many bytes of its data in hex',
          },
        },
        load: async () => (await import('./commands/wal.ts')).dump,
      },
      {
        name: 'verify',
        usage: '<directory>',
        summary: 'Reads and checks every frame of a log',
        description:
          "The directory is a member's data folder or the log's own. Exit code 1 when the log is corrupt: a file and\n" +
          'an offset say where. An unfinished last write is no corruption: opening the log clears it.',
        flags: {},
        load: async () => (await import('./commands/wal.ts')).verify,
      },
    ],
  },
];

const utility: readonly (Command | CommandGroup)[] = [
  checks,
  completion,
  {
    name: 'help',
    usage: '[command]',
    summary: 'Help about any command',
    flags: {},
    load: async () => (await import('./commands/help.ts')).help,
  },
  ...mirrors,
  {
    name: 'options',
    usage: '',
    summary: 'Prints the flags that every command takes',
    flags: {},
    load: async () => (await import('./commands/help.ts')).options,
  },
  {
    name: 'version',
    usage: '',
    summary: 'Prints the version of quoratectl',
    flags: {},
    load: async () => (await import('./commands/version.ts')).version,
  },
];

export const sections: readonly Section[] = [
  { title: 'Key-value commands', entries: keyValue },
  { title: 'Cluster maintenance commands', entries: maintenance },
  { title: 'Concurrency commands', entries: concurrency },
  { title: 'Offline commands', entries: offline },
  { title: 'Utility commands', entries: utility },
];

export const entries: readonly (Command | CommandGroup)[] = sections.flatMap((section) => section.entries);
