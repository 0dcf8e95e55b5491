/**
 * Quorate inside a Node program: a server without a process of its own.
 *
 *     const server = await startQuorate({ dataDir: './data' });
 *     // clients connect to http://${server.addresses[0]}
 *     await server.stop();
 *
 * Unlike the executable it handles no signals, ends no process, and logs nothing unless given a log.
 */
import {
  type FlagValue,
  findFlag,
  type Logger,
  nodeWorld,
  parseValue,
  resolveConfig,
  Settings,
  startServer,
} from '@quorate/server';

export type { Logger } from '@quorate/server';
export { quorateVersion } from './version.ts';

export interface QuorateOptions {
  /** Folder for all data; made when missing. One server at a time uses it. */
  readonly dataDir: string;
  /** Default: one free port of 127.0.0.1. */
  readonly listenClientUrls?: readonly string[];
  /** As told to clients. Default: `listenClientUrls`. */
  readonly advertiseClientUrls?: readonly string[];
  /** Any other flag by its name, without dashes in front: `{ 'max-txn-ops': 256 }`. */
  readonly flags?: Readonly<Record<string, string | number | boolean>>;
  readonly log?: Logger;
}

export interface Quorate {
  /** `127.0.0.1:PORT`, or the path of a socket, in the order of `listenClientUrls`. */
  readonly addresses: readonly string[];
  /** Finishes what is under way and closes everything. Calling it again changes nothing. */
  stop(): Promise<void>;
  /** Resolves when it has ended; the error says why when it was not asked to. */
  readonly stopped: Promise<Error | null>;
}

const SILENT: Logger = { log() {} };
const ANY_PORT = ['http://127.0.0.1:0'];

/** @throws when an option is wrong, the folder is in use or damaged, or a listener cannot be opened: nothing stays open then */
export async function startQuorate(options: QuorateOptions): Promise<Quorate> {
  const { dataDir, listenClientUrls = ANY_PORT, log = SILENT } = options;
  const texts: Record<string, string> = {
    'data-dir': dataDir,
    // A program that wants to be part of a cluster says where its peers connect.
    'listen-peer-urls': '',
    'listen-client-urls': listenClientUrls.join(','),
    'advertise-client-urls': (options.advertiseClientUrls ?? listenClientUrls).join(','),
  };
  for (const [name, value] of Object.entries(options.flags ?? {})) texts[name] = String(value);
  const given = new Map<string, FlagValue>();
  for (const [name, text] of Object.entries(texts)) {
    const flag = findFlag(name);
    if (flag === undefined) throw new TypeError(`no flag is named "${name}"`);
    given.set(name, parseValue(flag, text));
  }
  const server = await startServer(resolveConfig(new Settings(given)), nodeWorld(log));
  return { addresses: server.addresses, stop: () => server.stop(), stopped: server.stopped };
}
