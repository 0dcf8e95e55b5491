/** Flags of watch, on the command line and in the lines of `watch -i`. */
import type { FlagSpecs } from '../flags.ts';

export const watchFlags: FlagSpecs = {
  interactive: { type: 'bool', short: 'i', default: 'false', help: 'Interactive mode' },
  prefix: { type: 'bool', default: 'false', help: 'Watch on a prefix if prefix is set' },
  'prev-kv': {
    type: 'bool',
    default: 'false',
    help: 'get the previous key-value pair before the event happens',
  },
  'progress-notify': {
    type: 'bool',
    default: 'false',
    help: 'get periodic watch progress notification from server',
  },
  rev: { type: 'int', default: '0', help: 'Revision to start watching' },
};
