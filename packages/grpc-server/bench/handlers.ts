/** What every server of the benchmark serves: a small unary call, and a download as fast as the reader takes it. */
import type { Handler, HandlerTable } from '../src/index.ts';

const answer = Buffer.alloc(64, 'x');
const part = Buffer.alloc(64 * 1024, 'x');

export const handlers: HandlerTable = new Map<string, Handler>([
  ['/bench.Bench/Unary', { kind: 'unary', handle: (_request, call) => call.reply(answer) }],
  [
    // The request says how many parts.
    '/bench.Bench/Download',
    {
      kind: 'stream',
      open: (call) => ({
        onMessage(message) {
          let left = Buffer.from(message).readUInt32BE(0);
          const pump = () => {
            while (left-- > 0) {
              if (!call.write(part)) {
                call.onDrain(pump);
                return;
              }
            }
            call.end();
          };
          pump();
        },
        onHalfClose() {},
      }),
    },
  ],
]);
