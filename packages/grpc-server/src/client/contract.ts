/** What a client of this package is given and gives. */
import type { Status } from '../handler.ts';

export interface ClientOptions {
  readonly scheme: 'http' | 'https';
  /** Host and port, as the server is addressed. */
  readonly authority: string;
  /** Longest message taken: a longer one ends its call. */
  readonly maxMessageBytes: number;
  /**
   * Once: the connection takes no more calls, since the server is about to go or the stream ids are used up. Calls under way go on;
   * the connection ends with the last of them.
   */
  readonly onGoaway?: (reason: string) => void;
  /** Once: the connection has ended, and every call was told. */
  readonly onEnd?: (error: Error) => void;
}

export interface ClientCallListener {
  /** @param message its bytes last for this turn only */
  onMessage(message: Uint8Array): void;
  /** Once, and nothing after it. Never before `call` returned. */
  onEnd(status: Status, message: string): void;
  /** More of what was written may have left. */
  onRoom?(): void;
}

export interface ClientCall {
  /** One message: the call owns its bytes from here on. Ignored once the call has ended, and after the last message. */
  write(message: Uint8Array): void;
  /** No more messages will be written. */
  end(): void;
  /** Ends the call without a word to its listener. */
  cancel(): void;
  /** Of messages of this call: not sent yet, for lack of credit. */
  readonly queuedBytes: number;
  /** Those, and what the kernel has not taken of the whole connection. */
  readonly unsentBytes: number;
}
