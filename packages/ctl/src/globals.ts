/** Flags that every command takes, and the environment variables behind them. */
import { CommandError, ExitCode } from './exit.ts';
import { FlagError, type FlagSpecs, FlagValues } from './flags.ts';

export const globalFlags: FlagSpecs = {
  'auth-jwt-token': {
    type: 'string',
    default: '',
    help: 'JWT token used for authentication (if this option is used, --user and --password should not be set)',
  },
  cacert: {
    type: 'string',
    default: '',
    help: 'verify certificates of TLS-enabled secure servers using this CA bundle',
  },
  cert: { type: 'string', default: '', help: 'identify secure client using this TLS certificate file' },
  'command-timeout': {
    type: 'duration',
    default: '5s',
    help: 'timeout for short running command (excluding dial timeout)',
  },
  debug: { type: 'bool', default: 'false', help: 'print the effective flags on standard error' },
  'dial-timeout': { type: 'duration', default: '2s', help: 'dial timeout for client connections' },
  'discovery-srv': {
    type: 'string',
    short: 'd',
    default: '',
    help: 'domain name to query for SRV records describing cluster endpoints',
  },
  'discovery-srv-name': {
    type: 'string',
    default: '',
    help: 'service name to query when using DNS discovery',
  },
  endpoints: { type: 'list', default: '127.0.0.1:2379', help: 'gRPC endpoints' },
  help: { type: 'bool', short: 'h', default: 'false', help: 'help for the command' },
  hex: { type: 'bool', default: 'false', help: 'print byte strings as hex encoded strings' },
  'insecure-discovery': {
    type: 'bool',
    default: 'true',
    help: 'accept insecure SRV records describing cluster endpoints',
  },
  'insecure-skip-tls-verify': {
    type: 'bool',
    default: 'false',
    help: 'skip server certificate verification (CAUTION: for testing only)',
  },
  'insecure-transport': {
    type: 'bool',
    default: 'true',
    help: 'disable transport security for client connections',
  },
  'keepalive-time': { type: 'duration', default: '2s', help: 'keepalive time for client connections' },
  'keepalive-timeout': { type: 'duration', default: '6s', help: 'keepalive timeout for client connections' },
  key: { type: 'string', default: '', help: 'identify secure client using this TLS key file' },
  'max-recv-bytes': { type: 'int', default: '0', help: 'client-side response receive limit (0: 2147483647)' },
  'max-request-bytes': {
    type: 'int',
    default: '0',
    help: 'client-side request send limit in bytes (0: 2 MiB)',
  },
  password: {
    type: 'string',
    default: '',
    help: "password for authentication (if this option is used, --user option shouldn't include password)",
  },
  user: {
    type: 'string',
    default: '',
    help: 'username[:password] for authentication (prompt if password is not supplied)',
  },
  'write-out': {
    type: 'string',
    short: 'w',
    default: 'simple',
    help: 'set the output format (fields, json, protobuf, simple, table)',
  },
};

const PREFIX = 'ETCDCTL_';
/** Variables that are no flags. */
const OTHER_VARIABLES = new Set(['ETCDCTL_WATCH_KEY', 'ETCDCTL_WATCH_RANGE_END']);

export function variableName(flag: string): string {
  return PREFIX + flag.toUpperCase().replaceAll('-', '_');
}

/**
 * Adds what the environment says to the flags given. A flag and its variable together are an error: whichever
 * won, somebody would be surprised.
 */
export function withEnvironment(
  given: Map<string, string>,
  env: NodeJS.ProcessEnv,
  warn: (text: string) => void,
): FlagValues {
  const known = new Map(
    Object.keys(globalFlags)
      .filter((name) => name !== 'help')
      .map((name) => [variableName(name), name]),
  );
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || value === undefined) continue;
    const flag = known.get(variable);
    if (flag === undefined) {
      if (!OTHER_VARIABLES.has(variable)) warn(`unrecognized environment variable ${variable}=${value}`);
    } else if (value === '') {
      // Set but empty counts as not set.
    } else if (given.has(flag)) {
      throw new CommandError(
        ExitCode.ERROR,
        `conflicting environment variable "${variable}" is shadowed by corresponding command-line flag (either unset environment variable or disable flag)`,
      );
    } else given.set(flag, value);
  }
  try {
    return new FlagValues(globalFlags, given);
  } catch (error) {
    if (error instanceof FlagError) throw new CommandError(ExitCode.ERROR, error.message);
    throw error;
  }
}

/** Every flag with its value, as `--debug` prints them. The password is not shown. */
export function describeEnvironment(flags: FlagValues): string {
  return Object.entries(globalFlags)
    .filter(([name]) => name !== 'help')
    .map(([name, spec]) => {
      const secret = name === 'password' || name === 'auth-jwt-token' || name === 'user';
      const text = secret && flags.text(name) !== '' ? '***' : flags.text(name);
      return `${variableName(name)}=${spec.type === 'list' ? `[${text}]` : text}\n`;
    })
    .join('');
}
