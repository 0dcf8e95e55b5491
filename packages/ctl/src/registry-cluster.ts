/** Commands that change who is in the cluster, who leads, and which version it speaks. */
import type { Command, CommandGroup } from './command.ts';
import type { FlagSpecs } from './flags.ts';

const peerUrls: FlagSpecs = {
  'peer-urls': { type: 'list', default: '', help: 'comma separated peer URLs of the member' },
};

export const memberChanges: readonly Command[] = [
  {
    name: 'add',
    usage: '<memberName> [options]',
    summary: 'Adds a member into the cluster',
    flags: {
      ...peerUrls,
      learner: { type: 'bool', default: 'false', help: 'indicates if the new member is raft learner' },
    },
    load: async () => (await import('./commands/member-change.ts')).add,
  },
  {
    name: 'promote',
    usage: '<memberID>',
    summary: 'Promotes a non-voting member in the cluster',
    flags: {},
    load: async () => (await import('./commands/member-change.ts')).promote,
  },
  {
    name: 'remove',
    usage: '<memberID>',
    summary: 'Removes a member from the cluster',
    flags: {},
    load: async () => (await import('./commands/member-change.ts')).remove,
  },
  {
    name: 'replace',
    usage: '<memberName|memberID> --peer-urls=<urls> [options]',
    summary: 'Replaces a member that is dead for good by a new one',
    description:
      'Checks that the member is dead and that the others are enough for a quorum; removes it; adds the new one as a\n' +
      'learner, and prints what to start it with; waits until it has caught up, and promotes it. The dead member goes\n' +
      'first: it counts in the quorum and cannot help to reach it, so every step after that is decided by members that\n' +
      'answer, and the number of failures that the cluster survives never drops. If the new one does not come up, it\n' +
      'stays a learner, and the cluster works on without it.',
    flags: {
      ...peerUrls,
      name: { type: 'string', default: '', help: "name of the new member (default: the old one's)" },
      wait: { type: 'duration', default: '10m', help: 'how long to wait for the new member to catch up' },
      force: { type: 'bool', default: 'false', help: 'also when the old member still answers' },
    },
    load: async () => (await import('./commands/member-replace.ts')).replace,
  },
  {
    name: 'update',
    usage: '<memberID> [options]',
    summary: 'Updates a member in the cluster',
    flags: peerUrls,
    load: async () => (await import('./commands/member-change.ts')).update,
  },
];

export const leadership: readonly (Command | CommandGroup)[] = [
  {
    name: 'downgrade',
    summary: 'Downgrade related commands',
    commands: [
      {
        name: 'cancel',
        usage: '',
        summary: 'Cancel the ongoing downgrade action to cluster',
        flags: {},
        load: async () => (await import('./commands/leader.ts')).downgradeCancel,
      },
      {
        name: 'enable',
        usage: '<TARGET_VERSION>',
        summary: 'Start a downgrade action to cluster',
        flags: {},
        load: async () => (await import('./commands/leader.ts')).downgradeEnable,
      },
      {
        name: 'validate',
        usage: '<TARGET_VERSION>',
        summary: 'Validate downgrade capability before starting downgrade',
        flags: {},
        load: async () => (await import('./commands/leader.ts')).downgradeValidate,
      },
    ],
  },
  {
    name: 'move-leader',
    usage: '<transferee-member-id>',
    summary: 'Transfers leadership to another etcd cluster member.',
    flags: {},
    load: async () => (await import('./commands/leader.ts')).moveLeader,
  },
];
