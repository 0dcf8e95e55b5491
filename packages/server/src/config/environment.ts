/**
 * Settings from environment variables: `ETCD_MAX_TXN_OPS` for `--max-txn-ops`.
 *
 * A variable and its flag must not both be set, whatever their values: which one was meant cannot be known. Empty
 * variables count as not set, unknown `ETCD_...` ones are worth a warning.
 */
import { ConfigError } from './errors.ts';
import { FLAGS, FORGOTTEN_FLAGS, variableOf } from './flags.ts';
import { type FlagValue, parseValue } from './settings.ts';
import { ValueError } from './values.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables that belong to the clients, not to the server. */
const CLIENT_VARIABLES = /^ETCDCTL_/;

export interface EnvironmentSettings {
  readonly values: ReadonlyMap<string, FlagValue>;
  readonly warnings: readonly string[];
}

/**
 * @param onCommandLine the flags given there
 * @throws ConfigError
 */
export function readEnvironment(
  environment: Environment,
  onCommandLine: ReadonlyMap<string, FlagValue>,
): EnvironmentSettings {
  const values = new Map<string, FlagValue>();
  const warnings: string[] = [];
  const known = new Set<string>();
  for (const flag of FLAGS) {
    const variable = variableOf(flag.name);
    known.add(variable);
    const text = environment[variable];
    if (text === undefined || text === '') continue;
    if (flag.name === 'version') {
      warnings.push(`environment variable ${variable} is ignored`);
      continue;
    }
    if (onCommandLine.has(flag.name)) {
      throw new ConfigError(
        `conflicting environment variable "${variable}" is shadowed by corresponding command-line flag ` +
          '(either unset environment variable or disable flag)',
      );
    }
    try {
      values.set(flag.name, parseValue(flag, text));
    } catch (error) {
      if (!(error instanceof ValueError)) throw error;
      throw new ConfigError(`invalid value "${text}" for ${variable}: ${error.message}`);
    }
  }
  for (const name of FORGOTTEN_FLAGS) known.add(variableOf(name));
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith('ETCD_') || known.has(variable) || CLIENT_VARIABLES.test(variable)) continue;
    if (text !== undefined && text !== '') warnings.push(`unrecognized environment variable ${variable}`);
  }
  return { values, warnings };
}
