/**
 * Closed loop: every client has one call open and makes the next when it is answered, so the load follows the server.
 * It tells what a server can do, and hides what waits: a pause of a second costs each client one slow call.
 */
import type { Connection, StreamListener } from './connection.ts';
import type { Span } from './job.ts';
import type { Measurement } from './measurement.ts';
import type { Mix, MixedCall } from './mix.ts';
import { measure } from './span.ts';

export interface ClosedLoop {
  readonly connections: readonly Connection[];
  readonly clientsPerConnection: number;
  readonly mix: Mix;
  readonly span: Span;
  readonly measurement: Measurement;
  /** The load is warm, and is measured from now on. */
  onMeasuring(): void;
  onFailure(call: MixedCall, key: number): void;
}

export async function runClosedLoop(loop: ClosedLoop): Promise<void> {
  const { mix, measurement, span } = loop;
  const budget = 'operations' in span ? span.operations : Number.POSITIVE_INFINITY;
  let begun = 0;
  let running = true;
  let open = 0;
  let onIdle: () => void = () => {};
  const idle = new Promise<void>((resolve) => {
    onIdle = resolve;
  });

  class Client implements StreamListener {
    readonly #connection: Connection;
    #call: MixedCall = mix.calls[0] as MixedCall;
    #key = 0;
    #beganMs = 0;

    constructor(connection: Connection) {
      this.#connection = connection;
    }

    begin(): void {
      if (!running || begun >= budget) {
        if (open === 0) onIdle();
        return;
      }
      begun++;
      open++;
      this.#call = mix.next();
      this.#key = this.#call.nextKey();
      this.#beganMs = performance.now();
      this.#connection.call(this.#call.prepared, this.#key, this);
    }

    onEnd(succeeded: boolean): void {
      open--;
      if (!succeeded) {
        measurement.fail();
        loop.onFailure(this.#call, this.#key);
      } else if (measurement.recording) {
        measurement.histogram(this.#call.name).record((performance.now() - this.#beganMs) * 1_000);
      }
      this.begin();
    }
  }

  const begin = () => {
    for (const connection of loop.connections) {
      for (let i = 0; i < loop.clientsPerConnection; i++) new Client(connection).begin();
      connection.flush();
    }
  };
  if ('operations' in span) {
    measurement.begin();
    loop.onMeasuring();
    begin();
    await idle;
    measurement.end();
  } else {
    begin();
    await measure(span, measurement, loop.onMeasuring);
    running = false;
    await idle;
  }
}
