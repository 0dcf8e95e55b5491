/**
 * From decoded fields to a request (RFC 9113 §8.2 and §8.3).
 *
 * Each field is classified once and keeps the result as its `tag`; fields of the tables are shared, so for most
 * requests this is a walk over small integers. Whatever is malformed here never reaches a handler: nothing can be
 * smuggled into an HTTP/1.1 world behind it.
 */
import type { HeaderField } from '../hpack/header-field.ts';

export interface RequestHead {
  readonly method: string;
  readonly scheme: string;
  readonly path: string;
  readonly authority: string;
  /** All fields but the pseudo-header fields, in order. */
  readonly fields: readonly HeaderField[];
  readonly contentType: string;
  /** -1 when the request does not say. */
  readonly contentLength: number;
  /** What the layer above made of this head: kept, since the same head may serve many requests. */
  memo: unknown;
}

/** Field classes. `MALFORMED` and above must not occur in a request. */
const Tag = {
  ORDINARY: 1,
  METHOD: 2,
  SCHEME: 3,
  PATH: 4,
  AUTHORITY: 5,
  CONTENT_TYPE: 6,
  CONTENT_LENGTH: 7,
  HOST: 8,
  MALFORMED: 9,
} as const;

const tagsByName = new Map<string, number>([
  [':method', Tag.METHOD],
  [':scheme', Tag.SCHEME],
  [':path', Tag.PATH],
  [':authority', Tag.AUTHORITY],
  ['content-type', Tag.CONTENT_TYPE],
  ['content-length', Tag.CONTENT_LENGTH],
  ['host', Tag.HOST],
  // §8.2.2: "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields." and
  // "Any message containing connection-specific header fields MUST be treated as malformed".
  ['connection', Tag.MALFORMED],
  ['proxy-connection', Tag.MALFORMED],
  ['keep-alive', Tag.MALFORMED],
  ['transfer-encoding', Tag.MALFORMED],
  ['upgrade', Tag.MALFORMED],
]);

function classify(field: HeaderField): number {
  const { name, value } = field;
  if (!isFieldValue(value)) return Tag.MALFORMED;
  const known = tagsByName.get(name);
  if (known !== undefined) return known;
  // §8.2.2: the TE field "MAY be present in an HTTP/2 request; when it is, it MUST NOT contain any value other than
  // "trailers"."
  if (name === 'te') return value.toLowerCase() === 'trailers' ? Tag.ORDINARY : Tag.MALFORMED;
  // §8.3: "Endpoints MUST treat a request or response that contains undefined or invalid pseudo-header fields as
  // malformed". An unknown name that begins with a colon is no field name either.
  return isFieldName(name) ? Tag.ORDINARY : Tag.MALFORMED;
}

/** RFC 9110 §5.1 token characters without upper case, which RFC 9113 §8.2.1 forbids. */
const nameCharacters = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
  nameCharacters[character.charCodeAt(0)] = 1;
}

export function isFieldName(name: string): boolean {
  for (let at = 0; at < name.length; at++) if (nameCharacters[name.charCodeAt(at)] !== 1) return false;
  return name.length > 0;
}

/**
 * RFC 9113 §8.2.1: "A field value MUST NOT contain the zero value (ASCII NUL, 0x00), line feed (ASCII LF, 0x0a), or
 * carriage return (ASCII CR, 0x0d) at any position." and "MUST NOT start or end with an ASCII whitespace character".
 * The other control characters are refused with them: RFC 9110 §5.5 allows none.
 */
export function isFieldValue(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return false;
  }
  const last = value.length - 1;
  return last < 0 || (!isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(last)));
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** @returns the head, or the constant reason why the request is malformed (§8.1.1) */
export function readRequestHead(decoded: readonly HeaderField[]): RequestHead | string {
  let method: string | undefined;
  let scheme: string | undefined;
  let path: string | undefined;
  let authority: string | undefined;
  let host: string | undefined;
  let contentType = '';
  let contentLength = -1;
  let pseudoCount = 0;
  for (let at = 0; at < decoded.length; at++) {
    const field = decoded[at]!;
    if (field.tag === 0) field.tag = classify(field);
    const tag = field.tag;
    if (tag >= Tag.METHOD && tag <= Tag.AUTHORITY) {
      // §8.3: "All pseudo-header fields MUST appear in a field block before all regular field lines."
      if (at !== pseudoCount) return 'a pseudo-header field follows a regular field';
      pseudoCount++;
    }
    switch (tag) {
      case Tag.ORDINARY:
        break;
      // §8.3: "The same pseudo-header field name MUST NOT appear more than once in a field block."
      case Tag.METHOD:
        if (method !== undefined) return 'a pseudo-header field is repeated';
        method = field.value;
        break;
      case Tag.SCHEME:
        if (scheme !== undefined) return 'a pseudo-header field is repeated';
        scheme = field.value;
        break;
      case Tag.PATH:
        if (path !== undefined) return 'a pseudo-header field is repeated';
        path = field.value;
        break;
      case Tag.AUTHORITY:
        if (authority !== undefined) return 'a pseudo-header field is repeated';
        authority = field.value;
        break;
      case Tag.CONTENT_TYPE:
        contentType = field.value;
        break;
      case Tag.CONTENT_LENGTH: {
        const length = /^\d{1,15}$/.test(field.value) ? Number(field.value) : -1;
        if (length < 0 || (contentLength >= 0 && contentLength !== length))
          return 'content-length is invalid';
        contentLength = length;
        break;
      }
      case Tag.HOST:
        if (host !== undefined && host !== field.value) return 'host is repeated';
        host = field.value;
        break;
      default:
        return 'a field must not occur in a request';
    }
  }
  if (method === undefined || method === '') return ':method is missing';
  if (method === 'CONNECT') {
    // §8.5: "The ":scheme" and ":path" pseudo-header fields MUST be omitted."
    if (scheme !== undefined || path !== undefined) return 'CONNECT has a scheme or a path';
  } else if (scheme === undefined || path === undefined || path === '') {
    // §8.3.1: "All HTTP/2 requests MUST include exactly one valid value for the ":method", ":scheme", and ":path"
    // pseudo-header fields, unless they are CONNECT requests". The path "MUST NOT be empty for "http" or "https" URIs".
    return ':scheme or :path is missing';
  }
  // §8.3.1: "A server SHOULD treat a request as malformed if it contains a Host header field that identifies an entity
  // that differs from the entity in the ":authority" pseudo-header field."
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    return 'host differs from :authority';
  }
  return {
    method,
    scheme: scheme ?? '',
    path: path ?? '',
    authority: authority ?? host ?? '',
    fields: decoded.slice(pseudoCount),
    contentType,
    contentLength,
    memo: undefined,
  };
}

/** @returns undefined, or the constant reason why the trailer section is malformed */
export function checkTrailers(decoded: readonly HeaderField[]): string | undefined {
  for (const field of decoded) {
    // §8.1: "Trailers MUST NOT include pseudo-header fields".
    if (field.name.startsWith(':')) return 'a trailer section has a pseudo-header field';
    if (field.tag === 0) field.tag = classify(field);
    if (field.tag >= Tag.MALFORMED) return 'a field must not occur in a trailer section';
  }
  return undefined;
}
