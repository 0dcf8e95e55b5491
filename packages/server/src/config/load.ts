/**
 * From arguments and environment to a configuration, or to one of the things to do instead of serving.
 *
 * Order as in etcd: syntax of the flags (also when a file replaces them), stray arguments, `--version`, then file or
 * environment, then the checks of `config.ts`.
 */
import { parseCommandLine, UsageError } from './command-line.ts';
import { resolveConfig, type ServerConfig } from './config.ts';
import { type Environment, readEnvironment } from './environment.ts';
import { ConfigError } from './errors.ts';
import { readConfigFile } from './file.ts';
import { Settings } from './settings.ts';

export type Intent =
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'list-failpoints' }
  | { readonly kind: 'serve'; readonly config: ServerConfig };

/** @throws UsageError (exit status 2), ConfigError (exit status 1) */
export async function loadConfig(args: readonly string[], environment: Environment): Promise<Intent> {
  if (args.some((argument) => /^--?list-failpoints$/.test(argument))) return { kind: 'list-failpoints' };
  const line = parseCommandLine(args);
  if (line.help) return { kind: 'help' };
  if (line.positional !== null) throw new ConfigError(`'${line.positional}' is not a valid flag`);
  if (line.values.get('version') === true) return { kind: 'version' };

  const file = (line.values.get('config-file') as string | undefined) || environment.ETCD_CONFIG_FILE;
  if (file !== undefined && file !== '') {
    const config = resolveConfig(new Settings(await readConfigFile(file)));
    const note = `using configuration file ${file}; other flags and environment variables are ignored`;
    return { kind: 'serve', config: { ...config, warnings: [...line.warnings, note, ...config.warnings] } };
  }
  const fromEnvironment = readEnvironment(environment, line.values);
  const config = resolveConfig(new Settings(new Map([...fromEnvironment.values, ...line.values])));
  const warnings = [...line.warnings, ...fromEnvironment.warnings, ...config.warnings];
  return { kind: 'serve', config: { ...config, warnings } };
}

export { ConfigError, UsageError };
