/** A gRPC status over HTTP: the code it becomes, and the JSON that says so. */
import type { Status } from '@quorate/grpc-server';

/** By gRPC code, as in grpc-gateway's second version. */
const HTTP_CODES: readonly number[] = [
  200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

export function httpCodeOf(status: Status): number {
  return HTTP_CODES[status] ?? 500;
}

/** `{"code":3,"message":"..."}`; a member that is empty is left out. */
export function errorBody(status: Status, message: string): string {
  return JSON.stringify({ code: status, ...(message === '' ? {} : { message: message.toWellFormed() }) });
}

/** An error as a line of a stream. */
export function errorLine(status: Status, message: string): string {
  return `{"error":${errorBody(status, message)}}\n`;
}
