/** Flags of get, put and del, for the commands and for the lines of a transaction. */
import type { FlagSpecs } from '../flags.ts';

export const getFlags: FlagSpecs = {
  consistency: { type: 'string', default: 'l', help: 'Linearizable(l) or Serializable(s)' },
  'count-only': { type: 'bool', default: 'false', help: 'Get only the count' },
  'from-key': {
    type: 'bool',
    default: 'false',
    help: 'Get keys that are greater than or equal to the given key using byte compare',
  },
  'keys-only': { type: 'bool', default: 'false', help: 'Get only the keys' },
  limit: { type: 'int', default: '0', help: 'Maximum number of results' },
  'max-create-rev': { type: 'int', default: '0', help: 'Maximum create revision' },
  'max-mod-rev': { type: 'int', default: '0', help: 'Maximum modification revision' },
  'min-create-rev': { type: 'int', default: '0', help: 'Minimum create revision' },
  'min-mod-rev': { type: 'int', default: '0', help: 'Minimum modification revision' },
  order: { type: 'string', default: '', help: 'Order of results; ASCEND or DESCEND (ASCEND by default)' },
  prefix: { type: 'bool', default: 'false', help: 'Get keys with matching prefix' },
  'print-value-only': {
    type: 'bool',
    default: 'false',
    help: 'Only write values when using the "simple" output format',
  },
  rev: { type: 'int', default: '0', help: 'Specify the kv revision' },
  'sort-by': { type: 'string', default: '', help: 'Sort target; CREATE, KEY, MODIFY, VALUE, or VERSION' },
  stream: { type: 'bool', default: 'false', help: 'Get the range as a stream of parts' },
};

export const putFlags: FlagSpecs = {
  'ignore-lease': { type: 'bool', default: 'false', help: 'updates the key using its current lease' },
  'ignore-value': { type: 'bool', default: 'false', help: 'updates the key using its current value' },
  lease: { type: 'string', default: '0', help: 'lease ID (in hexadecimal) to attach to the key' },
  'prev-kv': {
    type: 'bool',
    default: 'false',
    help: 'return the previous key-value pair before modification',
  },
};

export const delFlags: FlagSpecs = {
  'from-key': {
    type: 'bool',
    default: 'false',
    help: 'delete keys that are greater than or equal to the given key using byte compare',
  },
  prefix: { type: 'bool', default: 'false', help: 'delete keys with matching prefix' },
  'prev-kv': { type: 'bool', default: 'false', help: 'return deleted key-value pairs' },
  range: { type: 'bool', default: 'false', help: 'delete the range [key, range_end) without a warning' },
};
