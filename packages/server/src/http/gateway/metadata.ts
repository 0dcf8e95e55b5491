/**
 * Headers of an HTTP request as the metadata a service reads, by grpc-gateway's rules.
 *
 *   Grpc-Metadata-Token: T    token: T        any name; -Bin values are base64
 *   Authorization: T          authorization: T, and grpcgateway-authorization: T
 *   User-Agent: U             grpcgateway-user-agent: U      and the other headers that RFCs define
 *   anything else             is not passed on
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Metadata } from '@quorate/grpc-server';
import { decodeBase64 } from '../json/decode.ts';

const PREFIX = 'grpc-metadata-';

const PERMANENT = new Set([
  'accept',
  'accept-charset',
  'accept-language',
  'accept-ranges',
  'authorization',
  'cache-control',
  'content-type',
  'cookie',
  'date',
  'expect',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-schedule-tag-match',
  'if-unmodified-since',
  'max-forwards',
  'origin',
  'pragma',
  'referer',
  'user-agent',
  'via',
  'warning',
]);

/** A header whose value cannot be what its name says; the message goes to the caller. */
export class HeaderError extends Error {
  override readonly name = 'HeaderError';
}

/** @throws HeaderError for a binary value that is not base64 */
export function metadataOf(headers: IncomingHttpHeaders): Metadata {
  const values = new Map<string, string | Uint8Array>();
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== 'string') continue;
    if (name === 'authorization') values.set(name, value);
    if (PERMANENT.has(name)) values.set(`grpcgateway-${name}`, value);
    else if (name.startsWith(PREFIX)) {
      const key = name.slice(PREFIX.length);
      // What the transport would have to read is not a service's metadata.
      if (key !== '' && !key.startsWith('grpc-'))
        values.set(key, key.endsWith('-bin') ? binary(key, value) : value);
    }
  }
  return { get: (name) => values.get(name), entries: () => values };
}

function binary(name: string, value: string): Uint8Array {
  const bytes = decodeBase64(value);
  if (bytes === undefined) throw new HeaderError(`invalid binary header ${name}`);
  return bytes;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** `Grpc-Timeout: 10S`. @returns milliseconds, Infinity without the header. @throws HeaderError */
export function timeoutOf(headers: IncomingHttpHeaders): number {
  const text = headers['grpc-timeout'];
  if (text === undefined) return Number.POSITIVE_INFINITY;
  const match = /^(\d{1,8})([HMSmun])$/.exec(String(text));
  if (match === null) throw new HeaderError(`invalid grpc-timeout: ${String(text).slice(0, 40)}`);
  return Number(match[1]) * UNIT_MS[match[2]!]!;
}
