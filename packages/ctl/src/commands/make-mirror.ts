/** make-mirror: copies keys to another cluster, and goes on copying what changes until it is ended. */
import { type Client, type ConnectOptions, connect, mirror } from '@quorate/client';
import type { CommandLine, Run } from '../command.ts';
import { badArgs, CommandError, callErrorText, ExitCode } from '../exit.ts';
import { interruption } from '../interrupt.ts';
import { encodeRaw } from '../raw-text.ts';
import { readTlsFiles } from '../tls-files.ts';

/** As etcdctl, which prints the keys written so far twice a minute. */
const REPORT_MS = 30_000;

export const makeMirror: Run = async (context, line) => {
  const { args, flags } = line;
  const [endpoint] = args;
  if (endpoint === undefined || args.length !== 1)
    throw badArgs('make-mirror takes one destination argument');
  const cut = flags.bool('no-dest-prefix');
  const destinationPrefix = flags.string('dest-prefix');
  if (cut && destinationPrefix !== '')
    throw badArgs('`--dest-prefix` and `--no-dest-prefix` cannot be set at the same time, choose one');
  const source = await context.client();
  const destination = connectTo(destinationOptions(endpoint, line));
  const interrupt = interruption(context);
  let total = 0;
  const print = (): void => context.io.stdout(`${total}\n`);
  const timer = setInterval(print, REPORT_MS);
  try {
    const steps = mirror(source, destination, {
      prefix: encodeRaw(flags.string('prefix')),
      revision: Number(flags.int('rev')),
      maxTxnOps: Number(flags.int('max-txn-ops')),
      signal: interrupt.signal,
      ...(cut || destinationPrefix !== '' ? { destinationPrefix: encodeRaw(destinationPrefix) } : {}),
    });
    for await (const { keys } of steps) total += keys;
  } catch (error) {
    if (!interrupt.signal.aborted)
      throw new CommandError(ExitCode.ERROR, callErrorText(error), { cause: error });
  } finally {
    clearInterval(timer);
    interrupt.stop();
    destination.close();
  }
  // Beyond etcdctl: what was written is said in the end, too.
  print();
};

function connectTo(options: ConnectOptions): Client {
  try {
    return connect(options);
  } catch (error) {
    throw new CommandError(ExitCode.BAD_CONNECTION, (error as Error).message, { cause: error });
  }
}

function destinationOptions(endpoint: string, { flags }: CommandLine): ConnectOptions {
  const { cert, key, ca } = readTlsFiles({
    cert: flags.string('dest-cert'),
    key: flags.string('dest-key'),
    cacert: flags.string('dest-cacert'),
  });
  const secure = cert !== undefined || ca !== undefined || !flags.bool('dest-insecure-transport');
  const [username = '', ...rest] = flags.string('dest-user').split(':');
  const password = flags.has('dest-password') ? flags.string('dest-password') : rest.join(':');
  return {
    endpoints: endpoint,
    ...(secure && { tls: { ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }) } }),
    ...(username !== '' && { auth: { username, password } }),
  };
}
