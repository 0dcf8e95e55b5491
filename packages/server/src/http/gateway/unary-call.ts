/** One request, one answer: the handler's call, answered through `onAnswer`. */
import { Status, type UnaryCall } from '@quorate/grpc-server';
import { type CallOptions, GatewayCall } from './call.ts';

export interface UnaryAnswer {
  readonly status: Status;
  readonly message: string;
  /** The message, cut between fields; empty unless the status is OK. */
  readonly parts: readonly Uint8Array[];
  /** Of all parts. */
  readonly bytes: number;
  readonly headers: Readonly<Record<string, string>>;
}

export class GatewayUnaryCall extends GatewayCall implements UnaryCall {
  readonly #onAnswer: (answer: UnaryAnswer) => void;
  /** The handler has answered; until then it holds its place, cancelled or not. */
  readonly #onHandlerEnd: () => void;
  #handlerEnded = false;

  constructor(options: CallOptions, onAnswer: (answer: UnaryAnswer) => void, onHandlerEnd: () => void) {
    super(options);
    this.#onAnswer = onAnswer;
    this.#onHandlerEnd = onHandlerEnd;
  }

  reply(response: Uint8Array): void {
    this.replyParts([response]);
  }

  /** Large answers stay as they are: joining one would hold up everybody for as long as it is large. */
  replyParts(parts: readonly Uint8Array[]): void {
    this.#handlerEnds(() => {
      if (!this.conclude(Status.OK)) return;
      let bytes = 0;
      for (const part of parts) bytes += part.length;
      this.observer?.messageSent?.(this.path, bytes);
      this.#onAnswer({ status: Status.OK, message: '', parts, bytes, headers: this.responseHeaders });
    });
  }

  fail(status: Status, message: string): void {
    this.#handlerEnds(() => this.refuse(status, message));
  }

  /** The caller has gone: nobody reads an answer. */
  abandon(): void {
    this.abort('cancelled', Status.CANCELLED, 'context canceled');
  }

  protected refuse(status: Status, message: string): void {
    if (this.conclude(status))
      this.#onAnswer({ status, message, parts: [], bytes: 0, headers: this.responseHeaders });
  }

  /** The place is given up last: whoever gets it must see what this answer holds by then. */
  #handlerEnds(answer: () => void): void {
    try {
      answer();
    } finally {
      if (!this.#handlerEnded) {
        this.#handlerEnded = true;
        this.#onHandlerEnd();
      }
    }
  }
}
