/**
 * The JSON gateway: HTTP requests as calls of the handler table.
 *
 *   body ─▶ JSON ─▶ request bytes ─▶ handler ─▶ response bytes ─▶ JSON ─▶ body
 *
 * There is no second service layer: the handlers are those of gRPC, given the same bytes. This file is the HTTP side of it,
 * from `IncomingMessage` to `ServerResponse`; `unary-call.ts` and `stream-call.ts` are the handlers' side.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type CallObserver, type HandlerTable, Status } from '@quorate/grpc-server';
import { type MethodDescriptor, messageTooLargeText } from '@quorate/proto';
import type { Env } from '../../env.ts';
import { decodeJson } from '../json/decode.ts';
import { jsonPieces, jsonText } from '../json/encode.ts';
import { shapeOf } from '../json/shape.ts';
import { JsonError } from '../json/syntax.ts';
import { PieceQueue } from '../text-sink.ts';
import type { Turns } from '../turns.ts';
import { type BodyProblem, BodyRoom, readBody } from './body.ts';
import type { CallOptions } from './call.ts';
import { Gate, type Held } from './gate.ts';
import { HeaderError } from './metadata.ts';
import { GATEWAY_ROUTES, type GatewayRoute } from './routes.ts';
import { errorBody, httpCodeOf } from './status.ts';
import { GatewayStreamCall, type LineSink, UNWRITABLE } from './stream-call.ts';
import { GatewayUnaryCall, type UnaryAnswer } from './unary-call.ts';

export interface GatewayOptions {
  readonly handlers: HandlerTable;
  readonly env: Env;
  readonly turns: Turns;
  /** Largest request message, as over gRPC. */
  readonly maxMessageBytes: number;
  /** Told about calls as the gRPC transport tells it; null: nobody counts. */
  readonly observer: CallObserver | null;
}

/** Answers up to this size become text at once, and have a Content-Length. */
const SMALL_BYTES = 32 * 1024;
/** Base64 makes four characters of three bytes; the rest is for names and blanks. */
const BODY_SLACK_BYTES = 64 * 1024;

const JSON_TYPE = { 'Content-Type': 'application/json' };
const ANSWER_FIELDS = { ...JSON_TYPE, 'Grpc-Metadata-Content-Type': 'application/grpc' };

/** What a call that waits takes beside its request. */
const WAITING_CALL_BYTES = 4 * 1024;

/** Calls that may answer with megabytes. */
const LARGE = new Set(['/etcdserverpb.KV/Range', '/etcdserverpb.KV/Txn']);

export class Gateway {
  readonly routes: readonly GatewayRoute[] = GATEWAY_ROUTES;
  readonly maxBodyBytes: number;
  readonly #options: GatewayOptions;
  readonly #gate: Gate;
  readonly #bodyRoom = new BodyRoom();
  /** For requests that wait at the gate. */
  readonly #waitingRoom = new BodyRoom();

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#gate = new Gate(options.env);
    this.maxBodyBytes = Math.ceil((options.maxMessageBytes * 4) / 3) + BODY_SLACK_BYTES;
  }

  handle(
    method: MethodDescriptor<unknown, unknown>,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const handler = this.#options.handlers.get(method.path);
    if (handler === undefined) sendError(request, response, Status.UNIMPLEMENTED, unknownMethod(method));
    else if (method.requestStream) {
      const call = this.openStream(method, request, new ResponseSink(request, response));
      if (call === null) return;
      request.on('data', (part: Buffer) => call.feed(part));
      request.on('end', () => call.feedEnd());
      response.on('close', () => call.abandon());
    } else {
      readBody(request, this.maxBodyBytes, this.#bodyRoom, this.#options.env, (problem, text) => {
        if (problem !== null) refuseBody(request, response, problem);
        else if (method.responseStream) this.#serverStream(method, text, request, response);
        else this.#unary(method, text, request, response);
      });
    }
  }

  /** Opens a streaming call whose lines go to `sink`. @returns null when it was refused */
  openStream(
    method: MethodDescriptor<unknown, unknown>,
    request: IncomingMessage,
    sink: LineSink & { refuse(status: Status, message: string): void },
  ): GatewayStreamCall | null {
    const handler = this.#options.handlers.get(method.path);
    if (handler?.kind !== 'stream') {
      sink.refuse(Status.UNIMPLEMENTED, unknownMethod(method));
      return null;
    }
    const { maxMessageBytes, turns } = this.#options;
    const bounds = { maxMessageBytes, maxBodyBytes: this.maxBodyBytes, room: this.#bodyRoom };
    let call: GatewayStreamCall;
    try {
      call = new GatewayStreamCall(this.#callOptions(method, request, 'stream'), method, sink, turns, bounds);
    } catch (error) {
      if (!(error instanceof HeaderError)) throw error;
      sink.refuse(Status.INVALID_ARGUMENT, error.message);
      return null;
    }
    call.open(handler);
    return call;
  }

  close(): void {
    this.#gate.close();
  }

  #serverStream(
    method: MethodDescriptor<unknown, unknown>,
    text: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    // Judged before the call begins, so that a bad request is answered as one.
    const message = this.#requestBytes(method, text, request, response);
    if (message === null) return;
    const call = this.openStream(method, request, new ResponseSink(request, response));
    if (call === null) return;
    response.on('close', () => call.abandon());
    call.feed(Buffer.from(text.trim() === '' ? '{}' : text));
    call.feedEnd();
  }

  #unary(
    method: MethodDescriptor<unknown, unknown>,
    text: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    const handler = this.#options.handlers.get(method.path);
    if (handler?.kind !== 'unary') {
      sendError(request, response, Status.UNIMPLEMENTED, unknownMethod(method));
      return;
    }
    const message = this.#requestBytes(method, text, request, response);
    if (message === null) return;
    const isLarge = LARGE.has(method.path);
    let call: GatewayUnaryCall;
    let isRunning = false;
    try {
      call = new GatewayUnaryCall(
        this.#callOptions(method, request, 'unary'),
        (answer) => {
          if (isLarge) this.#gate.made(answer.bytes);
          this.#answer(method, answer, request, response);
        },
        () => {
          if (isRunning) this.#gate.leave();
        },
      );
    } catch (error) {
      if (!(error instanceof HeaderError)) throw error;
      sendError(request, response, Status.INVALID_ARGUMENT, error.message);
      return;
    }
    response.on('close', () => call.abandon());
    this.#options.observer?.messageReceived?.(method.path, message.length);
    if (!call.checkDeadline()) return;
    if (!isLarge) {
      handler.handle(message, call);
      return;
    }
    // A body has left its room by now, and those who wait for a place may be many.
    const heldBytes = this.#gate.isFull ? message.length + WAITING_CALL_BYTES : 0;
    if (!this.#waitingRoom.take(heldBytes)) {
      call.fail(Status.RESOURCE_EXHAUSTED, 'too many requests are waiting');
      return;
    }
    this.#gate.enter(() => {
      this.#waitingRoom.give(heldBytes);
      if (!call.checkDeadline()) {
        this.#gate.leave();
        return;
      }
      isRunning = true;
      handler.handle(message, call);
    });
  }

  /** @returns null when the request was answered with what is wrong with it */
  #requestBytes(
    method: MethodDescriptor<unknown, unknown>,
    text: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Uint8Array | null {
    let message: Uint8Array;
    try {
      message = method.request.encode(decodeJson(text, shapeOf(method.request.typeName)) as never);
    } catch (error) {
      if (!(error instanceof JsonError)) throw error;
      sendError(request, response, Status.INVALID_ARGUMENT, error.message);
      return null;
    }
    const { maxMessageBytes } = this.#options;
    if (message.length <= maxMessageBytes) return message;
    sendError(
      request,
      response,
      Status.RESOURCE_EXHAUSTED,
      messageTooLargeText(message.length, maxMessageBytes),
    );
    return null;
  }

  #answer(
    method: MethodDescriptor<unknown, unknown>,
    answer: UnaryAnswer,
    request: IncomingMessage,
    response: ServerResponse,
  ): void {
    if (answer.status !== Status.OK) {
      sendError(request, response, answer.status, answer.message);
      return;
    }
    const shape = shapeOf(method.response.typeName);
    const { parts, bytes } = answer;
    if (bytes <= SMALL_BYTES) {
      let text: string;
      try {
        text = jsonText(parts.length === 1 ? parts[0]! : Buffer.concat(parts), shape);
      } catch {
        // A fault of ours, of which the handler that is answering here knows nothing.
        sendError(request, response, Status.INTERNAL, UNWRITABLE);
        return;
      }
      send(request, response, 200, { ...ANSWER_FIELDS, ...answer.headers }, text);
      return;
    }
    response.writeHead(200, { ...ANSWER_FIELDS, ...answer.headers });
    const held = this.#gate.hold(bytes, () => response.destroy());
    const sink = new ResponseSink(request, response, held);
    const queue = new PieceQueue(this.#options.turns, sink, () => response.destroy());
    response.on('close', () => {
      queue.close();
      held.release();
    });
    queue.push(jsonPieces(parts, shape), bytes);
    queue.end();
  }

  #callOptions(
    method: MethodDescriptor<unknown, unknown>,
    request: IncomingMessage,
    kind: 'unary' | 'stream',
  ): CallOptions {
    const { remoteAddress = '', remotePort = 0 } = request.socket;
    const { env, observer } = this.#options;
    return {
      path: method.path,
      kind,
      headers: request.headers,
      peer: `${remoteAddress}:${remotePort}`,
      env,
      observer,
    };
  }
}

/** The body of a response as the place for lines or pieces. */
class ResponseSink implements LineSink {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #held: Held | null;

  constructor(request: IncomingMessage, response: ServerResponse, held: Held | null = null) {
    this.#request = request;
    this.#response = response;
    this.#held = held;
  }

  begin(status: Status, hasMessages: boolean): void {
    closeUnlessRead(this.#request, this.#response, status !== Status.OK);
    this.#response.writeHead(httpCodeOf(status), hasMessages ? ANSWER_FIELDS : JSON_TYPE);
  }

  refuse(status: Status, message: string): void {
    sendError(this.#request, this.#response, status, message);
  }

  write(text: string): boolean {
    const takesMore = this.#response.write(text);
    if (!takesMore) this.#held?.blocked();
    return takesMore;
  }

  onDrain(listener: () => void): void {
    this.#response.once('drain', () => {
      this.#held?.drained();
      listener();
    });
  }

  end(): void {
    this.#response.end();
  }

  abort(): void {
    this.#response.destroy();
  }

  pause(): void {
    this.#request.pause();
  }

  resume(): void {
    this.#request.resume();
  }
}

export function send(
  request: IncomingMessage,
  response: ServerResponse,
  code: number,
  fields: Readonly<Record<string, string>>,
  body: string,
): void {
  if (response.headersSent || response.destroyed) return;
  closeUnlessRead(request, response, true);
  response.writeHead(code, { ...fields, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  status: Status,
  message: string,
  code = httpCodeOf(status),
): void {
  send(request, response, code, JSON_TYPE, errorBody(status, message));
}

/** A body that is still coming must not be waited for, nor be taken for the next request. */
function closeUnlessRead(request: IncomingMessage, response: ServerResponse, isFinal: boolean): void {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
  const hasBody = length !== '0' || encoding !== undefined;
  if (isFinal && hasBody && !request.complete) response.setHeader('Connection', 'close');
}

function refuseBody(request: IncomingMessage, response: ServerResponse, problem: BodyProblem): void {
  if (problem === 'too-large') {
    sendError(request, response, Status.RESOURCE_EXHAUSTED, 'request body is too large', 413);
  } else if (problem === 'timeout') {
    sendError(request, response, Status.DEADLINE_EXCEEDED, 'request body did not arrive in time', 408);
  } else if (problem === 'crowded') {
    sendError(request, response, Status.RESOURCE_EXHAUSTED, 'too many request bodies are under way', 429);
  } else if (problem === 'no-text') {
    sendError(request, response, Status.INVALID_ARGUMENT, 'proto: syntax error: invalid UTF-8');
  } else response.destroy();
}

function unknownMethod({ name, service }: MethodDescriptor<unknown, unknown>): string {
  return `unknown method ${name} for service ${service}`;
}
