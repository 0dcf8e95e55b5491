/** The configuration is readable but wrong, or asks for what is not there: exit status 1. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
