/**
 * The `quorate` executable: flags in, a running server out.
 *
 * Exit status: 0 after `--help` and the like, 2 for flags that cannot be parsed, 1 for everything else that went
 * wrong. Asked to stop by a signal, it finishes what is under way and then ends by that same signal, as etcd does.
 * Once serving it prints nothing but its log.
 */
import {
  ConfigError,
  createLogger,
  guardProcess,
  helpText,
  type Logger,
  listFailpoints,
  loadConfig,
  nodeWorld,
  type Server,
  type ServerConfig,
  startServer,
  UsageError,
  versionText,
} from '@quorate/server';
import { quorateVersion } from './version.ts';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
/** A start may wait long for other members. Who asks it to stop does not: what was promised to anybody is on disk. */
const START_GRACE_MS = 3_000;

async function main(): Promise<void> {
  const intent = await loadConfig(process.argv.slice(2), process.env);
  switch (intent.kind) {
    case 'help':
      process.stdout.write(helpText());
      return;
    case 'version': {
      const platform = `${process.platform}/${process.arch}`;
      process.stdout.write(versionText(quorateVersion(), process.version, platform));
      return;
    }
    case 'list-failpoints':
      process.stdout.write(`${listFailpoints().join('\n')}\n`);
      return;
    case 'serve':
      await serve(intent.config);
  }
}

async function serve(config: ServerConfig): Promise<void> {
  const log = createLogger(config.log);
  log.log('info', 'starting quorate', {
    version: quorateVersion(),
    node: process.version,
    name: config.name,
    'data-dir': config.dataDir,
  });
  let server: Server | null = null;
  // Whatever the state is then, nothing more may be answered: the process ends at once.
  guardProcess(log, () => process.exit(EXIT_FAILURE));
  const signal = onFirstSignal(log, (name) => {
    if (server !== null) void server.stop();
    else setTimeout(() => server === null && endBySignal(name), START_GRACE_MS).unref();
  });
  try {
    server = await startServer(config, nodeWorld(log));
  } catch (error) {
    log.log('fatal', 'cannot start', { error });
    process.exit(EXIT_FAILURE);
  }
  // Asked to stop while starting.
  if (signal.received !== null) void server.stop();
  const error = await server.stopped;
  if (error !== null) process.exit(EXIT_FAILURE);
  if (signal.received !== null) endBySignal(signal.received);
}

/** Later signals change nothing: stopping takes seconds at most, and what is under way deserves them. */
function onFirstSignal(
  log: Logger,
  stop: (name: NodeJS.Signals) => void,
): { received: NodeJS.Signals | null } {
  const state: { received: NodeJS.Signals | null } = { received: null };
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      if (state.received !== null) return;
      state.received = name;
      log.log('info', 'received signal; shutting down', { signal: name });
      stop(name);
    });
  }
  return state;
}

/** So that whoever waits for this process sees why it ended. The first process of a container cannot end this way. */
function endBySignal(name: NodeJS.Signals): void {
  if (process.pid === 1) process.exit(0);
  process.removeAllListeners(name);
  process.kill(process.pid, name);
}

main().catch((error: unknown) => {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\nSee 'quorate --help'.\n`);
    process.exit(EXIT_USAGE);
  }
  if (error instanceof ConfigError) {
    process.stderr.write(`error verifying flags, ${error.message}. See 'quorate --help'.\n`);
    process.exit(EXIT_FAILURE);
  }
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(EXIT_FAILURE);
});
