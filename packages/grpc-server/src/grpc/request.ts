/**
 * What the head of a gRPC request asks for (PROTOCOL-HTTP2.md, "Requests"), worked out once per distinct head.
 *
 * Texts of refusals are grpc-go's where clients might look at them.
 */
import { type Handler, type HandlerTable, Status } from '../handler.ts';
import type { RequestHead } from '../http2/request-head.ts';
import { parseTimeout } from './deadline.ts';
import { decodeBinary, isBinaryName, RequestMetadata } from './metadata.ts';
import { trailersOnly } from './trailers.ts';

export interface GrpcRequest {
  readonly path: string;
  readonly handler: Handler;
  readonly metadata: RequestMetadata;
  /** Infinity when the caller set none. */
  readonly timeoutMs: number;
  /** How compressed messages of this request are to be read. */
  readonly encoding: 'identity' | 'gzip';
  /** Whether answers may be compressed: the caller compresses, and understands it. */
  readonly replyGzip: boolean;
}

/** Whether a content type is gRPC's: `application/grpc`, perhaps with `+proto`, `+json` or parameters. */
export function isGrpcContentType(contentType: string): boolean {
  if (!contentType.startsWith('application/grpc')) return false;
  const next = contentType.charCodeAt(16);
  // The end, '+' or ';'. `application/grpc-web` is another protocol.
  return Number.isNaN(next) || next === 0x2b || next === 0x3b;
}

/** @returns the request, or the block of a trailers-only answer */
export function readGrpcRequest(head: RequestHead, handlers: HandlerTable): GrpcRequest | Buffer {
  if (head.method !== 'POST') {
    return trailersOnly(
      Status.INTERNAL,
      `Received a HEADERS frame with :method "${head.method}" which should be POST`,
      405,
    );
  }
  const handler = handlers.get(head.path);
  if (handler === undefined) return trailersOnly(Status.UNIMPLEMENTED, unknownPath(head.path, handlers));
  let timeoutMs = Number.POSITIVE_INFINITY;
  let encoding = 'identity';
  let acceptsGzip = false;
  for (const { name, value } of head.fields) {
    if (isBinaryName(name)) {
      const isValid = value.split(',').every((part) => decodeBinary(part.trim()) !== undefined);
      if (!isValid) return trailersOnly(Status.INTERNAL, `malformed binary metadata in header "${name}"`);
    } else if (name === 'grpc-timeout') {
      const parsed = parseTimeout(value);
      if (parsed === undefined) return trailersOnly(Status.INTERNAL, 'malformed grpc-timeout');
      timeoutMs = parsed;
    } else if (name === 'grpc-encoding') encoding = value;
    else if (name === 'grpc-accept-encoding')
      acceptsGzip ||= value.split(',').some((item) => item.trim() === 'gzip');
  }
  if (encoding !== 'identity' && encoding !== 'gzip') {
    // "If a server receives a message compressed with an unsupported algorithm it MUST fail with UNIMPLEMENTED and SHOULD
    // add grpc-accept-encoding" (compression.md).
    const message = `grpc: Decompressor is not installed for grpc-encoding "${encoding}"`;
    return trailersOnly(Status.UNIMPLEMENTED, message, 200, 'identity,gzip');
  }
  return {
    path: head.path,
    handler,
    metadata: new RequestMetadata(head.fields),
    timeoutMs,
    encoding,
    replyGzip: acceptsGzip && encoding === 'gzip',
  };
}

/** A path without its slash never reaches a handler (CVE-2026-33186). */
function unknownPath(path: string, handlers: HandlerTable): string {
  const slash = path.lastIndexOf('/');
  if (!path.startsWith('/') || slash <= 0) return `malformed method name: "${path}"`;
  const service = path.slice(1, slash);
  for (const known of handlers.keys()) {
    if (known.startsWith(`/${service}/`))
      return `unknown method ${path.slice(slash + 1)} for service ${service}`;
  }
  return `unknown service ${service}`;
}
