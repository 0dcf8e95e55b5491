/**
 * The first members of a cluster from DNS: one SRV record each.
 *
 *     _etcd-server._tcp.example.org       SRV  0 0 2380 m1.example.org.      ->  http://m1.example.org:2380
 *     _etcd-server-ssl._tcp.example.org   SRV  ...                           ->  https://...
 *
 * A suffix `-NAME` to the service lets several clusters share a domain. Records carry no names of members, so the others are called
 * by number; this member is the one whose address it advertises, by name or by number.
 */
import { BootstrapError, type InitialMember } from './bootstrap.ts';
import { type ResolveHost, samePeerUrls } from './peer-urls.ts';

/** What a resolver says for one service name; rejects when there is nothing. */
export type ResolveSrv = (
  name: string,
) => Promise<readonly { readonly name: string; readonly port: number }[]>;

const SERVICES = [
  { service: 'etcd-server-ssl', scheme: 'https' },
  { service: 'etcd-server', scheme: 'http' },
] as const;

/** @throws BootstrapError when neither service has records, or none of them is this member's */
export async function discoverBySrv(
  query: { readonly domain: string; readonly serviceSuffix: string },
  own: { readonly name: string; readonly peerUrls: readonly string[] },
  resolveSrv: ResolveSrv,
  resolveHost?: ResolveHost,
): Promise<readonly InitialMember[]> {
  const urls: string[] = [];
  const failures: string[] = [];
  for (const { service, scheme } of SERVICES) {
    const full = query.serviceSuffix === '' ? service : `${service}-${query.serviceSuffix}`;
    const target = `_${full}._tcp.${query.domain}`;
    try {
      for (const { name, port } of await resolveSrv(target)) {
        urls.push(`${scheme}://${name.replace(/\.$/, '')}:${port}`);
      }
    } catch (error) {
      failures.push(`error querying DNS SRV records for _${full} ${(error as Error).message}`);
    }
  }
  if (urls.length === 0) {
    const why = failures[0] ?? `no records for ${query.domain}`;
    throw new BootstrapError(`error setting up initial cluster: ${why}`);
  }
  // Resolvers shuffle what they answer; numbers should not depend on it.
  const mine = await ownAmong(urls.toSorted(), own.peerUrls, resolveHost);
  if (mine.length === 0) {
    throw new BootstrapError(`couldn't find local name "${own.name}" in the initial cluster configuration`);
  }
  const others = urls.filter((url) => !mine.includes(url)).toSorted();
  const numbered = others.map((url, number) => ({ name: String(number), peerUrls: [url] }));
  return [{ name: own.name, peerUrls: mine }, ...numbered];
}

/** As the records write them: the other members know this one by these texts. */
async function ownAmong(
  urls: readonly string[],
  advertised: readonly string[],
  resolve: ResolveHost | undefined,
): Promise<readonly string[]> {
  const exact = urls.filter((url) => advertised.includes(url));
  if (exact.length > 0) return exact;
  const mine: string[] = [];
  for (const url of urls) {
    for (const own of advertised) {
      // A record of another member may not have its address yet.
      if (await samePeerUrls([url], [own], resolve).catch(() => false)) mine.push(url);
    }
  }
  return mine;
}
