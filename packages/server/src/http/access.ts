/**
 * Who may ask, judged by headers alone: Host against DNS rebinding, CORS, and forged requests of browsers.
 *
 * As in etcd, both lists are open by default (`*`). One thing is stricter: a page of another origin can send a POST
 * with a text or form type without asking first (CVE-2018-1098), so such a request is refused unless its origin is
 * allowed by name. Programs send no Origin and are not affected, whatever content type they name.
 */
import type { IncomingHttpHeaders } from 'node:http';

export interface AccessRules {
  /** Hosts that may be named; none, or `*` among them: all. */
  readonly hosts: readonly string[];
  /** Origins of pages that may read answers; none, or `*` among them: all. */
  readonly origins: readonly string[];
}

const CORS_METHODS = 'POST, GET, OPTIONS, PUT, DELETE';
const CORS_HEADERS = 'accept, content-type, authorization';

export class Access {
  readonly #hosts: ReadonlySet<string> | null;
  readonly #origins: ReadonlySet<string> | null;

  constructor(rules: AccessRules) {
    const isOpen = (list: readonly string[]): boolean => list.length === 0 || list.includes('*');
    this.#hosts = isOpen(rules.hosts) ? null : new Set(rules.hosts);
    this.#origins = isOpen(rules.origins) ? null : new Set(rules.origins);
  }

  allowsHost(headers: IncomingHttpHeaders): boolean {
    return this.#hosts === null || this.#hosts.has(hostName(headers.host ?? ''));
  }

  /** Fields for the answer; none for pages that may not read it. */
  corsFields(headers: IncomingHttpHeaders): readonly (readonly [name: string, value: string])[] {
    const { origin } = headers;
    const allowed =
      this.#origins === null ? '*' : origin !== undefined && this.#origins.has(origin) ? origin : null;
    if (allowed === null) return [];
    return [
      ['Access-Control-Allow-Methods', CORS_METHODS],
      ['Access-Control-Allow-Origin', allowed],
      ['Access-Control-Allow-Headers', CORS_HEADERS],
    ];
  }

  /** Whether a page elsewhere could have made a browser send this without being asked for permission. */
  isForgeable(headers: IncomingHttpHeaders): boolean {
    return !isJson(headers['content-type']) && !this.allowsPage(headers, false);
  }

  /**
   * Whether the request comes from no page, from our own origin, or from one that is allowed.
   * @param byDefault whether an open list allows every page
   */
  allowsPage(headers: IncomingHttpHeaders, byDefault: boolean): boolean {
    const { origin, host = '' } = headers;
    if (origin === undefined) return true;
    if (this.#origins === null ? byDefault : this.#origins.has(origin)) return true;
    return host !== '' && (origin === `http://${host}` || origin === `https://${host}`);
  }
}

/** Without the port, and an IPv6 address without its brackets. */
export function hostName(host: string): string {
  const match = /^(?:\[([^[\]]*)\]|([^:[\]]*)):[^:[\]]*$/.exec(host);
  return match === null ? host : (match[1] ?? match[2] ?? '');
}

/** What is said to a caller whose Host is not on the list. The flag and the host help whoever set it up. */
export function hostRefusal(headers: IncomingHttpHeaders): string {
  const host = JSON.stringify(hostName(headers.host ?? '').slice(0, 255));
  return `
The host name of this request is not one that this server answers to.

Use TLS, or add the name to the server's list: --host-whitelist ${host}

The list protects from "DNS rebinding" (CVE-2018-5702).
`;
}

function isJson(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/json\s*(;|$)/i.test(contentType);
}
