/**
 * URLs of listeners and members, checked as etcd checks them.
 *
 * A URL is `http://HOST:PORT`, `https://...`, `unix://HOST:PORT` or `unixs://...`, without a path. A unix URL names a
 * file in the working folder: `unix://localhost:2379` is the socket `localhost:2379`, as in etcd.
 */
import { isIP } from 'node:net';
import { ValueError } from './values.ts';

export interface EndpointUrl {
  readonly scheme: 'http' | 'https' | 'unix' | 'unixs';
  /** Without brackets. */
  readonly host: string;
  readonly port: string;
  /** As given, without surrounding blanks. */
  readonly text: string;
}

const SCHEMES = new Set(['http', 'https', 'unix', 'unixs']);

export function parseUrls(text: string): EndpointUrl[] {
  return text === '' ? [] : text.split(',').map(parseUrl);
}

export function parseUrl(given: string): EndpointUrl {
  const text = given.trim();
  const [, scheme, rest] = /^([a-zA-Z][a-zA-Z0-9+.-]*):\/\/(.*)$/s.exec(text) ?? [];
  if (scheme === undefined || !SCHEMES.has(scheme.toLowerCase())) {
    throw new ValueError(`URL scheme must be http, https, unix, or unixs: ${text}`);
  }
  const [, authority, tail] = /^([^/?#]*)(.*)$/s.exec(rest!)!;
  if (/%(?![0-9a-fA-F]{2})|[\s"<>^`{|}\\]/.test(authority!)) {
    throw new ValueError(`"${text}" is not a URL`);
  }
  // What stands before an @ is no part of the address.
  const hostPort = splitHostPort(authority!.slice(authority!.lastIndexOf('@') + 1));
  if (hostPort === null) throw new ValueError(`URL address does not have the form "host:port": ${text}`);
  if (tail!.startsWith('/')) throw new ValueError(`URL must not contain a path: ${text}`);
  return { scheme: scheme.toLowerCase() as EndpointUrl['scheme'], ...hostPort, text };
}

function splitHostPort(address: string): { host: string; port: string } | null {
  const match = /^(?:\[([^[\]]*)\]|([^:[\]]*)):([^:[\]]*)$/.exec(address);
  if (match === null) return null;
  return { host: match[1] ?? match[2] ?? '', port: match[3]! };
}

/**
 * What one may listen on: an address of this machine, not a name that some server resolves.
 * @throws ValueError
 */
export function checkBindUrl(url: EndpointUrl): void {
  if (url.scheme === 'unix' || url.scheme === 'unixs' || url.host === 'localhost') return;
  if (isIP(url.host.replace(/%.*$/, '')) === 0) {
    throw new ValueError(`expected IP in URL for binding (${url.text})`);
  }
  if (!/^\d{1,5}$/.test(url.port) || Number(url.port) > 65_535) {
    throw new ValueError(`expected a port from 0 to 65535 in URL for binding (${url.text})`);
  }
}
