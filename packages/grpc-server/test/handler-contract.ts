/**
 * What every carrier of a handler table must do. Run over our transport and over @grpc/grpc-js
 * (`handler-contract.test.ts`), from the same client, so that a handler cannot tell them apart.
 */
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Handler, type HandlerTable, Status, type StreamCall, type UnaryCall } from '../src/index.ts';

export interface Carrier {
  /** Serves the table on a free port of 127.0.0.1. */
  start(handlers: HandlerTable): Promise<{ port: number; stop(): Promise<void> }>;
  /** Behaviours that this carrier lacks, with the reason. */
  readonly skip?: Readonly<Record<string, string>>;
}

const identity = (bytes: Buffer) => bytes;

export function handlerContract(name: string, carrier: Carrier): void {
  describe(`${name} carries a handler table`, () => {
    const unary = new Map<string, (request: Uint8Array, call: UnaryCall) => void>();
    const streams = new Map<
      string,
      (call: StreamCall) => { onMessage(message: Uint8Array): void; onHalfClose(): void }
    >();
    let client: grpc.Client;
    let stop: () => Promise<void>;

    beforeAll(async () => {
      const table = new Map<string, Handler>([
        ['/c.C/Unary', { kind: 'unary', handle: (request, call) => unary.get('now')!(request, call) }],
        ['/c.C/Stream', { kind: 'stream', open: (call) => streams.get('now')!(call) }],
      ]);
      const started = await carrier.start(table);
      stop = started.stop;
      client = new grpc.Client(`127.0.0.1:${started.port}`, grpc.credentials.createInsecure(), {
        'grpc.max_receive_message_length': -1,
      });
    });
    afterAll(async () => {
      client.close();
      await stop();
    });

    const it = (title: string, body: () => Promise<void>) => {
      const reason = carrier.skip?.[title];
      if (reason === undefined) test(title, body);
      else test.skip(`${title} (${reason})`, body);
    };

    const callUnary = (
      request: Uint8Array,
      options: {
        metadata?: grpc.Metadata;
        deadline?: number;
        onCall?: (call: grpc.ClientUnaryCall) => void;
      } = {},
    ) =>
      new Promise<{ code: number; details: string; body?: Buffer }>((resolve) => {
        const call = client.makeUnaryRequest(
          '/c.C/Unary',
          identity,
          identity,
          Buffer.from(request),
          options.metadata ?? new grpc.Metadata(),
          options.deadline === undefined ? {} : { deadline: options.deadline },
          (error, body) => {
            resolve(
              error ? { code: error.code, details: error.details } : { code: 0, details: '', body: body! },
            );
          },
        );
        options.onCall?.(call);
      });

    const openStream = () => {
      const call = client.makeBidiStreamRequest('/c.C/Stream', identity, identity);
      const received: Buffer[] = [];
      call.on('data', (message: Buffer) => received.push(message));
      call.on('error', () => {});
      const status = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve));
      return { call, received, status };
    };

    it('a handler adds fields to the head and the trailers of its answer', async () => {
      const both = (call: UnaryCall | StreamCall): void => {
        call.setHeaders([
          ['x-head', 'h'],
          ['x-head-bin', Uint8Array.of(0, 255)],
        ]);
        call.setTrailers([['x-trailer', 't']]);
      };
      for (const isOk of [true, false]) {
        unary.set('now', (request, call) => {
          both(call);
          if (isOk) call.reply(Uint8Array.from(request));
          else call.fail(Status.NOT_FOUND, 'no');
        });
        const seen: grpc.Metadata[] = [];
        let status: Promise<grpc.StatusObject> | undefined;
        const { code } = await callUnary(Buffer.from('x'), {
          onCall: (call) => {
            call.on('metadata', (metadata) => seen.push(metadata));
            status = new Promise((resolve) => call.on('status', resolve));
          },
        });
        expect(code).toBe(isOk ? 0 : Status.NOT_FOUND);
        const trailers = (await status!).metadata;
        // An answer that is an error alone has one section for both.
        const head = [...seen, trailers].find((metadata) => metadata.get('x-head').length > 0)!;
        expect(head.get('x-head')).toEqual(['h']);
        expect(head.get('x-head-bin')).toEqual([Buffer.from([0, 255])]);
        expect(trailers.get('x-trailer')).toEqual(['t']);
      }
      streams.set('now', (call) => {
        both(call);
        return { onMessage: (message) => void call.write(message), onHalfClose: () => call.end() };
      });
      const { call, status } = openStream();
      const head = new Promise<grpc.Metadata>((resolve) => call.on('metadata', resolve));
      call.write(Buffer.from('x'));
      expect((await head).get('x-head')).toEqual(['h']);
      call.end();
      expect((await status).metadata.get('x-trailer')).toEqual(['t']);
    });

    it('a unary call is answered with the bytes the handler gave', async () => {
      unary.set('now', (request, call) => call.reply(Buffer.concat([Buffer.from('<'), request])));
      expect((await callUnary(Buffer.from('a'))).body?.toString()).toBe('<a');
      expect((await callUnary(new Uint8Array(0))).body?.toString()).toBe('<');
    });

    it('an empty answer is an answer', async () => {
      unary.set('now', (_request, call) => call.reply(new Uint8Array(0)));
      expect(await callUnary(Buffer.from('a'))).toEqual({ code: 0, details: '', body: Buffer.alloc(0) });
    });

    it('a large request and a large answer arrive whole', async () => {
      unary.set('now', (request, call) => call.reply(Buffer.from(request)));
      const large = Buffer.alloc(1_500_000, 'x');
      expect((await callUnary(large)).body?.equals(large)).toBe(true);
    });

    it('an answer in pieces arrives as one message, whatever their sizes', async () => {
      for (const sizes of [[0], [3, 0, 4], [20, 8_200, 0, 3], [1, 70_000, 9_000, 500, 300_000, 0, 2]]) {
        const parts = sizes.map((size, index) => Buffer.alloc(size, 97 + index));
        unary.set('now', (_request, call) => {
          if (call.replyParts === undefined) call.reply(Buffer.concat(parts));
          else call.replyParts(parts);
        });
        const answer = await callUnary(Buffer.from('a'));
        expect([answer.code, answer.body?.equals(Buffer.concat(parts))]).toEqual([0, true]);
      }
    });

    it('a failure has its status and its text, whatever the characters', async () => {
      unary.set('now', (_request, call) => call.fail(Status.OUT_OF_RANGE, 'schön: 100 %\n"x"'));
      expect(await callUnary(Buffer.from('a'))).toEqual({ code: 11, details: 'schön: 100 %\n"x"' });
    });

    it('the second answer of a unary call is ignored', async () => {
      unary.set('now', (_request, call) => {
        call.reply(Buffer.from('1'));
        call.reply(Buffer.from('2'));
        call.fail(Status.INTERNAL, '3');
      });
      expect((await callUnary(Buffer.from('a'))).body?.toString()).toBe('1');
    });

    it('metadata reaches the handler, binary values decoded', async () => {
      let seen: unknown[] = [];
      unary.set('now', (_request, call) => {
        const { metadata } = call;
        const all = new Map(metadata.entries());
        seen = [
          metadata.get('token'),
          metadata.get('key-bin'),
          metadata.get('none'),
          all.get('token'),
          call.path,
        ];
        call.reply(new Uint8Array(0));
      });
      const metadata = new grpc.Metadata();
      metadata.set('token', 'abc');
      metadata.set('key-bin', Buffer.from([0, 255, 7]));
      await callUnary(new Uint8Array(0), { metadata });
      expect([seen[0], seen[2], seen[3], seen[4]]).toEqual(['abc', undefined, 'abc', '/c.C/Unary']);
      expect(Buffer.from(seen[1] as Uint8Array)).toEqual(Buffer.from([0, 255, 7]));
    });

    it('a call without a deadline has none', async () => {
      let deadlineMs = 0;
      unary.set('now', (_request, call) => {
        deadlineMs = call.deadlineMs;
        call.reply(new Uint8Array(0));
      });
      await callUnary(new Uint8Array(0));
      expect(deadlineMs).toBe(Number.POSITIVE_INFINITY);
    });

    it('a cancelled call tells its handler, once, and drops its answer', async () => {
      const reasons: string[] = [];
      const cancelled = new Promise<UnaryCall>((resolve) => {
        unary.set('now', (_request, call) => {
          call.onCancel((reason) => {
            reasons.push(reason);
            resolve(call);
          });
          started.resolve();
        });
      });
      const started = Promise.withResolvers<void>();
      const answer = callUnary(new Uint8Array(0), {
        onCall: (call) => void started.promise.then(() => call.cancel()),
      });
      const call = await cancelled;
      expect(call.cancelled).toBe(true);
      call.reply(new Uint8Array(1));
      call.reply(new Uint8Array(1));
      // A listener that comes late runs at once.
      call.onCancel((reason) => reasons.push(`late ${reason}`));
      expect(reasons).toEqual(['cancelled', 'late cancelled']);
      expect((await answer).code).toBe(Status.CANCELLED);
    });

    it('a listener for the cancel of an answered call never runs', async () => {
      let ran = false;
      unary.set('now', (_request, call) => {
        call.onCancel(() => {
          ran = true;
        });
        call.reply(new Uint8Array(0));
      });
      await callUnary(new Uint8Array(0));
      await callUnary(new Uint8Array(0));
      expect(ran).toBe(false);
    });

    it('a stream carries messages both ways, in order, and ends OK', async () => {
      streams.set('now', (call) => ({
        onMessage: (message) => void call.write(Buffer.concat([Buffer.from('>'), message])),
        onHalfClose: () => call.end(),
      }));
      const { call, received, status } = openStream();
      for (let index = 0; index < 300; index++) call.write(Buffer.from(String(index)));
      call.end();
      expect((await status).code).toBe(0);
      expect(received.map(String)).toEqual(Array.from({ length: 300 }, (_, index) => `>${index}`));
    });

    it('messages of a stream may be kept', async () => {
      const kept: Uint8Array[] = [];
      streams.set('now', (call) => ({
        onMessage: (message) => void kept.push(message),
        onHalfClose: () => call.end(),
      }));
      const { call, status } = openStream();
      for (let index = 0; index < 100; index++) call.write(Buffer.alloc(5_000, index));
      call.end();
      await status;
      expect(
        kept.every((message, index) => message.length === 5_000 && message.every((byte) => byte === index)),
      ).toBe(true);
      expect(kept.length).toBe(100);
    });

    it('a stream may fail before and after messages', async () => {
      streams.set('now', (call) => {
        call.end(Status.PERMISSION_DENIED, 'no');
        return { onMessage() {}, onHalfClose() {} };
      });
      const early = openStream();
      expect(await early.status).toMatchObject({ code: 7, details: 'no' });
      streams.set('now', (call) => {
        call.write(Buffer.from('1'));
        call.end(Status.UNAVAILABLE, 'later');
        call.write(Buffer.from('2'));
        return { onMessage() {}, onHalfClose() {} };
      });
      const late = openStream();
      expect(await late.status).toMatchObject({ code: 14, details: 'later' });
      expect(late.received.map(String)).toEqual(['1']);
    });

    it('a paused stream gets no message until it resumes, and loses none', async () => {
      let paused = true;
      let count = 0;
      let overtaken = false;
      let resume = () => {};
      streams.set('now', (call) => {
        call.pause();
        resume = () => {
          paused = false;
          call.resume();
        };
        call.write(Buffer.from('opened'));
        return {
          onMessage: () => {
            count++;
            overtaken ||= paused;
          },
          onHalfClose: () => call.end(),
        };
      });
      const { call, status } = openStream();
      for (let index = 0; index < 50; index++) call.write(Buffer.alloc(1_000));
      call.end();
      await new Promise((resolve) => call.once('data', resolve));
      // Round trips on the same connection: what was sent has had every chance to arrive.
      unary.set('now', (_request, unaryCall) => unaryCall.reply(new Uint8Array(0)));
      for (let round = 0; round < 5; round++) await callUnary(new Uint8Array(0));
      resume();
      expect((await status).code).toBe(0);
      expect([count, overtaken]).toEqual([50, false]);
    });

    it('a stream whose reader does not keep up says so, and drains', async () => {
      const total = 8 * 1024 * 1024;
      let refusals = 0;
      let drains = 0;
      streams.set('now', (call) => {
        let written = 0;
        const pump = () => {
          while (written < total) {
            written += 65_536;
            if (!call.write(new Uint8Array(65_536))) {
              refusals++;
              call.onDrain(() => {
                drains++;
                pump();
              });
              return;
            }
          }
          call.end();
        };
        pump();
        return { onMessage() {}, onHalfClose() {} };
      });
      const { received, status } = openStream();
      expect((await status).code).toBe(0);
      expect(received.reduce((sum, message) => sum + message.length, 0)).toBe(total);
      expect(refusals).toBeGreaterThan(0);
      expect(drains).toBe(refusals);
    });

    it('a cancelled stream tells its handler and delivers nothing after', async () => {
      const cancelled = Promise.withResolvers<string>();
      let after = 0;
      streams.set('now', (call) => {
        let gone = false;
        call.onCancel((reason) => {
          gone = true;
          cancelled.resolve(reason);
        });
        call.write(Buffer.from('opened'));
        return {
          onMessage: () => {
            if (gone) after++;
          },
          onHalfClose: () => {
            if (gone) after++;
          },
        };
      });
      const { call } = openStream();
      await new Promise((resolve) => call.once('data', resolve));
      call.write(Buffer.from('x'));
      call.cancel();
      expect(await cancelled.promise).toBe('cancelled');
      unary.set('now', (_request, unaryCall) => unaryCall.reply(new Uint8Array(0)));
      await callUnary(new Uint8Array(0));
      expect(after).toBe(0);
    });

    it('an unknown path is UNIMPLEMENTED', async () => {
      const code = await new Promise((resolve) => {
        client.makeUnaryRequest('/c.C/Nope', identity, identity, Buffer.alloc(0), (error) =>
          resolve(error?.code),
        );
      });
      expect(code).toBe(Status.UNIMPLEMENTED);
    });
  });
}
