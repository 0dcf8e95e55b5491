/** Commands on snapshots and on files of members that do not run. `registry.ts` has the others. */
import type { Command, CommandGroup } from './command.ts';
import type { FlagSpecs } from './flags.ts';

/** Which member of which new cluster is made, and where. */
const newMember: FlagSpecs = {
  'data-dir': { type: 'string', default: '', help: 'Path to the output data directory' },
  'wal-dir': {
    type: 'string',
    default: '',
    help: 'Path to the WAL directory (use --data-dir if none given)',
  },
  'initial-cluster': {
    type: 'string',
    default: 'default=http://localhost:2380',
    help: 'Initial cluster configuration for restore bootstrap',
  },
  'initial-cluster-token': {
    type: 'string',
    default: 'etcd-cluster',
    help: 'Initial cluster token for the cluster during restore bootstrap',
  },
  'initial-advertise-peer-urls': {
    type: 'string',
    default: 'http://localhost:2380',
    help: "List of this member's peer URLs to advertise to the rest of the cluster",
  },
  name: { type: 'string', default: 'default', help: 'Human-readable name for this member' },
};

export const snapshotCommands: CommandGroup = {
  name: 'snapshot',
  summary: 'Manages snapshots: files with the whole state of a member',
  commands: [
    {
      name: 'save',
      usage: '<filename>',
      summary: 'Stores a member backend snapshot to a given file',
      flags: {},
      load: async () => (await import('./commands/snapshot.ts')).save,
    },
    {
      name: 'restore',
      usage: '<filename> --data-dir {output dir} [options]',
      summary: 'Restores a member snapshot to a data directory',
      description:
        'The file may come from this server or from an etcd server (3.4 or later). The new member belongs to a new cluster; restore every\n' +
        'member of it from the same file, with the same --initial-cluster and --initial-cluster-token.',
      flags: {
        ...newMember,
        'skip-hash-check': {
          type: 'bool',
          default: 'false',
          help: 'Ignore snapshot integrity hash value (required if copied from data directory)',
        },
        'initial-memory-map-size': {
          type: 'int',
          default: '0',
          help: 'Accepted for compatibility, without effect',
        },
        'bump-revision': {
          type: 'int',
          default: '0',
          help: 'How much to increase the latest revision after restore',
        },
        'mark-compacted': {
          type: 'bool',
          default: 'false',
          help: 'Mark the latest revision after restore as the point of scheduled compaction (required if --bump-revision > 0, disallowed otherwise)',
        },
      },
      load: async () => (await import('./commands/snapshot.ts')).restore,
    },
    {
      name: 'status',
      usage: '<filename>',
      summary: 'Gets backend snapshot status of a given file',
      description: 'Simple output: hash, revision, total keys, total size, storage version.',
      flags: {},
      load: async () => (await import('./commands/snapshot.ts')).status,
    },
  ],
};

export const offlineCommands: readonly (Command | CommandGroup)[] = [
  {
    name: 'hashkv',
    usage: '[options] <file>',
    summary: 'Prints the KV history hash of a given file',
    description:
      "The file is a snapshot, the db of an etcd server's data folder, or the data folder of a member that does not run.",
    flags: {
      rev: { type: 'int', default: '0', help: 'maximum revision to hash (default: latest revision)' },
    },
    load: async () => (await import('./commands/hashkv.ts')).hashKv,
  },
  {
    name: 'migrate',
    summary: 'Takes over the data of another server',
    commands: [
      {
        name: 'from-etcd',
        usage: '--etcd-data-dir {dir} --data-dir {output dir} [options]',
        summary: 'Makes a data directory from that of an etcd server (3.4 or later) that does not run',
        description:
          'The source is not changed. What its log has and its database lacks is replayed. Members are new: make every member of the new cluster\n' +
          'from the same source.',
        flags: {
          'etcd-data-dir': { type: 'string', default: '', help: 'Data directory of the etcd server' },
          'etcd-wal-dir': {
            type: 'string',
            default: '',
            help: 'Its WAL directory, when it was given --wal-dir',
          },
          ...newMember,
        },
        load: async () => (await import('./commands/migrate.ts')).fromEtcd,
      },
    ],
  },
];
