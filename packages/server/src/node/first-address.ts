import { lookup } from 'node:dns/promises';

/** The address behind a host's name: IPv4 before IPv6, as Go chooses. */
export async function firstAddress(host: string): Promise<string> {
  return (await lookup(host, { order: 'ipv4first' })).address;
}
