/** Handlers that the tests call, and what they saw. */
import { type Handler, type HandlerTable, Status, type StreamCall, type UnaryCall } from '../../src/index.ts';

export interface TestHandlers {
  readonly table: HandlerTable;
  /** Unary calls that wait for the test to answer them. */
  readonly held: UnaryCall[];
  readonly streams: StreamCall[];
  /** Reasons of cancels, in order. */
  readonly cancels: string[];
}

export function testHandlers(): TestHandlers {
  const held: UnaryCall[] = [];
  const streams: StreamCall[] = [];
  const cancels: string[] = [];
  const table = new Map<string, Handler>([
    ['/test.Test/Echo', { kind: 'unary', handle: (request, call) => call.reply(Buffer.from(request)) }],
    [
      '/test.Test/Fail',
      {
        kind: 'unary',
        handle: (request, call) => call.fail(Status.NOT_FOUND, Buffer.from(request).toString()),
      },
    ],
    [
      '/test.Test/Hold',
      {
        kind: 'unary',
        handle: (_request, call) => {
          held.push(call);
          call.onCancel((reason) => cancels.push(reason));
        },
      },
    ],
    [
      // Answers with as many zero bytes as the request says.
      '/test.Test/Big',
      { kind: 'unary', handle: (request, call) => call.reply(new Uint8Array(Number(Buffer.from(request)))) },
    ],
    [
      '/test.Test/Chat',
      {
        kind: 'stream',
        open(call) {
          streams.push(call);
          call.onCancel((reason) => cancels.push(reason));
          return {
            onMessage: (message) => {
              if (!call.write(message)) {
                call.pause();
                call.onDrain(() => call.resume());
              }
            },
            onHalfClose: () => call.end(),
          };
        },
      },
    ],
    [
      // Takes messages only when the test resumes it.
      '/test.Test/Paused',
      {
        kind: 'stream',
        open(call) {
          streams.push(call);
          call.pause();
          let count = 0;
          return {
            onMessage: () => {
              count++;
            },
            onHalfClose: () => {
              call.write(Buffer.from(String(count)));
              call.end();
            },
          };
        },
      },
    ],
  ]);
  return { table, held, streams, cancels };
}
