/** One request, one answer: the handler's call, answered through `onAnswer`. */
import { Status, type UnaryCall } from '@quorate/grpc-server';
import { type CallOptions, GatewayCall } from './call.ts';

export interface UnaryAnswer {
  readonly status: Status;
  readonly message: string;
  /** Empty unless the status is OK. */
  readonly response: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

const NOTHING = new Uint8Array(0);

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
    this.#handlerEnds();
    if (!this.conclude(Status.OK)) return;
    this.observer?.messageSent?.(this.path, response.length);
    this.#onAnswer({ status: Status.OK, message: '', response, headers: this.responseHeaders });
  }

  fail(status: Status, message: string): void {
    this.#handlerEnds();
    this.refuse(status, message);
  }

  /** The caller has gone: nobody reads an answer. */
  abandon(): void {
    this.abort('cancelled', Status.CANCELLED, 'context canceled');
  }

  protected refuse(status: Status, message: string): void {
    if (this.conclude(status))
      this.#onAnswer({ status, message, response: NOTHING, headers: this.responseHeaders });
  }

  #handlerEnds(): void {
    if (this.#handlerEnded) return;
    this.#handlerEnded = true;
    this.#onHandlerEnd();
  }
}
