/** Endpoints from DNS: SRV records of the service, TLS ones first. */
import { resolveSrv } from 'node:dns/promises';
import { CommandError, ExitCode } from './exit.ts';

export interface DiscoveryOptions {
  /** Appended to the service name: `_etcd-client-NAME._tcp`. */
  readonly serviceName: string;
  /** Whether plain records are used when there are no TLS ones. */
  readonly acceptInsecure: boolean;
}

export async function discover(domain: string, options: DiscoveryOptions): Promise<string[]> {
  const suffix = options.serviceName === '' ? '' : `-${options.serviceName}`;
  const secure = await lookUp(`_etcd-client-ssl${suffix}._tcp.${domain}`, 'https');
  const plain = options.acceptInsecure ? await lookUp(`_etcd-client${suffix}._tcp.${domain}`, 'http') : [];
  const endpoints = [...secure, ...plain];
  if (endpoints.length === 0)
    throw new CommandError(ExitCode.ERROR, `no SRV records of etcd clients found for domain ${domain}`);
  return endpoints;
}

async function lookUp(name: string, scheme: string): Promise<string[]> {
  try {
    const records = await resolveSrv(name);
    return records.map((record) => `${scheme}://${record.name}:${record.port}`);
  } catch {
    // No such record: the other kind may be there.
    return [];
  }
}
