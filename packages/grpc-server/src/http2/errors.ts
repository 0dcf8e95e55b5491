/**
 * What a peer's mistake costs it: the type says how much dies (RFC 9113 §5.4).
 *
 * Thrown where the rule is checked, caught in one place (`connection.ts`). Anything else that is thrown is our own
 * mistake, or a handler's, and is never caught here.
 */
import type { ErrorCode } from './frame.ts';

/** The connection ends with GOAWAY. The message is a constant sentence; it is sent as debug data. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The stream ends with RST_STREAM; the connection goes on. */
export class StreamError extends Error {
  override readonly name = 'StreamError';
  readonly streamId: number;
  readonly code: ErrorCode;
  constructor(streamId: number, code: ErrorCode, message: string) {
    super(message);
    this.streamId = streamId;
    this.code = code;
  }
}
