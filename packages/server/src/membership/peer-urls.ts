/**
 * Peer URLs by what they mean, as etcd compares them: a host's name equals the address it stands for. `localhost` equals itself alone.
 */
import { isIP } from 'node:net';
import { parseUrl } from '../config/urls.ts';
import type { Env } from '../env.ts';
import { BootstrapError } from './bootstrap.ts';

/** The address behind a host's name; rejects when there is none. */
export type ResolveHost = (host: string) => Promise<string>;

/** Names may be entered in DNS only while their members start: one is asked for so long, */
const RESOLVE_PATIENCE_MS = 30_000;
/** with this between two attempts. */
const RESOLVE_PAUSE_MS = 1_000;

/** Asks again while a name is unknown. */
export function patiently(resolve: ResolveHost, env: Env): ResolveHost {
  const giveUpMs = env.monotonicMs() + RESOLVE_PATIENCE_MS;
  return async (host) => {
    for (;;) {
      try {
        return await resolve(host);
      } catch (error) {
        if (env.monotonicMs() + RESOLVE_PAUSE_MS > giveUpMs) throw error;
        env.log.log('warn', 'the host of a peer URL has no address yet', {
          host,
          reason: (error as Error).message,
        });
        await new Promise<void>((wake) => env.setTimer(RESOLVE_PAUSE_MS, wake));
      }
    }
  };
}

/**
 * Whether two lists, in any order, hold the same URLs. Names are resolved only where the texts differ.
 * @param resolve absent: texts alone are compared
 */
export async function samePeerUrls(
  a: readonly string[],
  b: readonly string[],
  resolve: ResolveHost | undefined,
): Promise<boolean> {
  const onlyA = a.filter((url) => !b.includes(url));
  const onlyB = b.filter((url) => !a.includes(url));
  if (onlyA.length !== onlyB.length || a.length !== b.length) return false;
  if (onlyA.length === 0) return true;
  if (resolve === undefined) return false;
  const resolved = async (urls: readonly string[]) =>
    (await Promise.all(urls.map((url) => withAddress(url, resolve)))).toSorted().join();
  return (await resolved(onlyA)) === (await resolved(onlyB));
}

async function withAddress(text: string, resolve: ResolveHost): Promise<string> {
  const { scheme, host, port } = parseUrl(text);
  const isAddress = scheme === 'unix' || scheme === 'unixs' || host === 'localhost' || isIP(host) !== 0;
  return `${scheme}://${isAddress ? host : await resolve(host)} ${port}`;
}

/**
 * What a member advertises must be what the initial cluster says of it.
 * @throws BootstrapError, in etcd's words
 */
export async function checkAdvertised(
  name: string,
  listed: readonly string[],
  advertised: readonly string[],
  resolve: ResolveHost | undefined,
): Promise<void> {
  let reason = '';
  try {
    if (await samePeerUrls(listed, advertised, resolve)) return;
  } catch (error) {
    reason = ` (${(error as Error).message})`;
  }
  const named = (urls: readonly string[]): string => urls.map((url) => `${name}=${url}`).join(',');
  const missing = listed.filter((url) => !advertised.includes(url));
  if (missing.length > 0) {
    throw new BootstrapError(
      `--initial-cluster has ${named(missing)} but missing from --initial-advertise-peer-urls=${advertised.join(',')}${reason}`,
    );
  }
  const unlisted = advertised.filter((url) => !listed.includes(url));
  throw new BootstrapError(
    `--initial-advertise-peer-urls has ${unlisted.join(',')} but missing from --initial-cluster=${named(listed)}${reason}`,
  );
}
