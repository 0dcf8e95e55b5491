/**
 * What cannot be read as HTTP: answered in plain text, as Go's servers do it, and the connection ends.
 *
 * An answer under way is cut instead: a second head inside its body would be taken for data.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const REFUSALS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: '431 Request Header Fields Too Large',
  ERR_HTTP_REQUEST_TIMEOUT: '408 Request Timeout',
};

/** For Node's event 'clientError'. */
export function refuseUnreadable(error: Error & { code?: string }, socket: Socket): void {
  if (socket.destroyed) return;
  // Where Node keeps the answer under way; its own handler looks there.
  const { _httpMessage: answer } = socket as Socket & { _httpMessage?: ServerResponse | null };
  if (socket.writable && answer?.headersSent !== true) {
    const refusal = REFUSALS[error.code ?? ''] ?? '400 Bad Request';
    socket.write(
      `HTTP/1.1 ${refusal}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${refusal}`,
    );
  }
  socket.destroy();
}
