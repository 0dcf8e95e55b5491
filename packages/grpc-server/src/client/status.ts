/** From what HTTP/2 says to a status of gRPC (PROTOCOL-HTTP2.md "Errors", http-grpc-status-mapping.md). */
import { Status } from '../handler.ts';
import { ErrorCode } from '../http2/frame.ts';

const byResetCode = new Map<number, Status>([
  [ErrorCode.REFUSED_STREAM, Status.UNAVAILABLE],
  [ErrorCode.CANCEL, Status.CANCELLED],
  [ErrorCode.ENHANCE_YOUR_CALM, Status.RESOURCE_EXHAUSTED],
  [ErrorCode.INADEQUATE_SECURITY, Status.PERMISSION_DENIED],
]);

const byHttpStatus = new Map<string, Status>([
  ['400', Status.INTERNAL],
  ['401', Status.UNAUTHENTICATED],
  ['403', Status.PERMISSION_DENIED],
  ['404', Status.UNIMPLEMENTED],
  ['429', Status.UNAVAILABLE],
  ['502', Status.UNAVAILABLE],
  ['503', Status.UNAVAILABLE],
  ['504', Status.UNAVAILABLE],
]);

/** @param code of RST_STREAM */
export function statusOfReset(code: number): Status {
  return byResetCode.get(code) ?? Status.INTERNAL;
}

/** Of an answer that is not gRPC. */
export function statusOfHttp(status: string): Status {
  return byHttpStatus.get(status) ?? Status.UNKNOWN;
}

/** @param text value of `grpc-status`; what it does not name is unknown */
export function statusOfText(text: string): Status {
  const status = /^\d{1,2}$/.test(text) ? Number(text) : Status.UNKNOWN;
  return status <= Status.UNAUTHENTICATED ? (status as Status) : Status.UNKNOWN;
}

/** `grpc-message` is percent-encoded UTF-8; what is not is left as it came. */
export function decodeStatusMessage(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
