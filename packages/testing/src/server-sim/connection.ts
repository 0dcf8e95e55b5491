/**
 * A client's calls to machines: encoded bytes into the services' handlers and back, over links of their own.
 *
 * Each direction takes a moment. A machine that is down, or that clients cannot reach, gives no answer but a broken connection;
 * when its member dies, every open call breaks. What happens at the member runs in its own scheduler, so that a paused member
 * answers late.
 */
import type { Metadata, Status, StreamCall, StreamListener, UnaryCall } from '@quorate/grpc-server';
import type { SimEnv } from '../sim/env.ts';
import type { Random } from '../sim/random.ts';
import type { Life, Machine } from './machine.ts';

/** Words of a client for what is not an answer: the outcome is unknown. */
export const LOST = 'the connection broke';
export const TIMED_OUT = 'the client gave up';
export const REFUSED = 'nobody listens there';

export type Answer =
  | {
      readonly status: 'ok';
      readonly response: Uint8Array /** Which life of the member answered. */;
      readonly life: number;
    }
  | { readonly status: 'error'; readonly code: Status; readonly message: string }
  | { readonly status: 'lost'; readonly message: string };

const NOTHING: Metadata = { get: () => undefined, entries: () => [] };
const HAS_LEADER: Metadata = {
  get: (name) => (name === 'hasleader' ? 'true' : undefined),
  entries: () => [['hasleader', 'true']],
};

export class Connections {
  readonly #env: SimEnv;
  readonly #random: Random;

  constructor(env: SimEnv, random: Random) {
    this.#env = env;
    this.#random = random;
  }

  /** One unary call. @param done exactly once */
  call(
    machine: Machine,
    path: string,
    request: Uint8Array,
    timeoutMs: number,
    done: (answer: Answer) => void,
  ): void {
    let settled = false;
    let letGo = (): void => {};
    const settle = (answer: Answer): void => {
      if (settled) return;
      settled = true;
      timer.cancel();
      letGo();
      done(answer);
    };
    let cancel: (() => void) | null = null;
    const timer = this.#env.setTimer(timeoutMs, () => {
      cancel?.();
      settle({ status: 'lost', message: TIMED_OUT });
    });
    this.#journey(() => {
      const { life } = machine;
      if (settled) return;
      if (life === null || life.state !== 'serving' || machine.clientsCut) {
        if (!machine.clientsCut) settle({ status: 'lost', message: REFUSED });
        return;
      }
      const gone = (): void => this.#journey(() => settle({ status: 'lost', message: LOST }));
      life.onGone.add(gone);
      letGo = () => life.onGone.delete(gone);
      const back = (answer: Answer): void => {
        if (life.env.alive && !machine.clientsCut) this.#journey(() => settle(answer));
      };
      life.env.run(() => {
        const handler = life.handlers?.get(path);
        if (handler?.kind !== 'unary') {
          back({ status: 'error', code: 12, message: `no unary method at ${path}` });
          return;
        }
        const context = new Context(path, NOTHING, life.env.monotonicMs() + timeoutMs);
        cancel = () => life.env.run(() => context.cancel());
        let answered = false;
        const once = (answer: Answer): void => {
          if (answered) throw new Error('a call is answered once');
          answered = true;
          context.finish();
          back(answer);
        };
        const call: UnaryCall = Object.assign(context, {
          reply: (response: Uint8Array) => once({ status: 'ok', response, life: life.number }),
          fail: (code: Status, message: string) => once({ status: 'error', code, message }),
        });
        // As a transport does it: the bytes are the handler's for this turn only.
        const borrowed = Uint8Array.from(request);
        handler.handle(borrowed, call);
        borrowed.fill(0xee);
      });
    });
  }

  /** Opens a stream. @param onEnd exactly once, unless the client closes it first */
  open(
    machine: Machine,
    path: string,
    options: { readonly needsLeader: boolean; readonly stallMs?: () => number },
    onMessage: (message: Uint8Array) => void,
    onEnd: (message: string) => void,
  ): ClientStream {
    const stream = new ClientStream(this.#env, () => 1 + this.#random.int(3), onMessage, onEnd);
    this.#journey(() => {
      const { life } = machine;
      if (life === null || life.state !== 'serving' || machine.clientsCut) stream.broken(REFUSED);
      else {
        const metadata = options.needsLeader ? HAS_LEADER : NOTHING;
        stream.connect(machine, life, path, metadata, options.stallMs ?? (() => 0));
      }
    });
    return stream;
  }

  #journey(arrive: () => void): void {
    this.#env.setTimer(1 + this.#random.int(3), arrive);
  }
}

class Context {
  readonly path: string;
  readonly metadata: Metadata;
  readonly deadlineMs: number;
  readonly peer = 'client';
  readonly peerCommonName = '';
  cancelled = false;
  #listeners: ((reason: 'cancelled' | 'deadline') => void)[] = [];
  #over = false;

  constructor(path: string, metadata: Metadata, deadlineMs: number) {
    this.path = path;
    this.metadata = metadata;
    this.deadlineMs = deadlineMs;
  }

  onCancel(listener: (reason: 'cancelled' | 'deadline') => void): void {
    if (this.cancelled) listener('cancelled');
    else this.#listeners.push(listener);
  }

  setHeaders(): void {}

  setTrailers(): void {}

  cancel(): void {
    if (this.#over || this.cancelled) return;
    this.cancelled = true;
    for (const listener of this.#listeners.splice(0)) listener('cancelled');
  }

  /** It ended by itself. */
  finish(): void {
    this.#over = true;
    this.#listeners = [];
  }
}

/** One direction after the other stays in order, as on a connection. */
export class ClientStream {
  readonly #env: SimEnv;
  readonly #delayMs: () => number;
  readonly #onMessage: (message: Uint8Array) => void;
  readonly #onEnd: (message: string) => void;
  #outMs = 0;
  #inMs = 0;
  #toSend: (Uint8Array | null)[] = [];
  #life: Life | null = null;
  #machine: Machine | null = null;
  #listener: StreamListener | null = null;
  #context: Context | null = null;
  #over = false;
  #paused = false;
  readonly #gone = (): void => this.broken(LOST);

  constructor(
    env: SimEnv,
    delayMs: () => number,
    onMessage: (message: Uint8Array) => void,
    onEnd: (message: string) => void,
  ) {
    this.#env = env;
    this.#delayMs = delayMs;
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
  }

  send(message: Uint8Array): void {
    this.#toSend.push(message);
    this.#flush();
  }

  halfClose(): void {
    this.#toSend.push(null);
    this.#flush();
  }

  /** The client lets go of the call. */
  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#letGo();
  }

  broken(message: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#letGo();
    this.#env.setTimer(this.#delayMs(), () => this.#onEnd(message));
  }

  /** @param stallMs how long the client stops reading after a message; 0: not at all */
  connect(machine: Machine, life: Life, path: string, metadata: Metadata, stallMs: () => number): void {
    if (this.#over) return;
    this.#life = life;
    this.#machine = machine;
    life.onGone.add(this.#gone);
    life.env.run(() => {
      const handler = life.handlers?.get(path);
      if (handler?.kind !== 'stream') {
        this.broken(`no stream method at ${path}`);
        return;
      }
      const context = new Context(path, metadata, Number.POSITIVE_INFINITY);
      this.#context = context;
      const drains: (() => void)[] = [];
      const unread: Uint8Array[] = [];
      let stalled = false;
      const drain = (): void => {
        stalled = false;
        call.queuedBytes = 0;
        for (const message of unread.splice(0)) this.#arrive(() => this.#onMessage(message));
        for (const listener of drains.splice(0)) listener();
      };
      const call: StreamCall & { queuedBytes: number } = Object.assign(context, {
        queuedBytes: 0,
        write: (message: Uint8Array) => {
          if (!stalled) this.#arrive(() => this.#onMessage(message));
          else unread.push(message);
          const forMs = stalled ? 0 : stallMs();
          if (forMs > 0) {
            stalled = true;
            // The socket is full to the brim.
            call.queuedBytes = Number.MAX_SAFE_INTEGER;
            life.env.setTimer(forMs, drain);
          }
          return !stalled;
        },
        onDrain: (listener: () => void) => {
          drains.push(listener);
        },
        end: (_status: Status = 0, message = '') => {
          context.finish();
          this.#arrive(() => {
            if (this.#over) return;
            this.#over = true;
            this.#letGo();
            this.#onEnd(message);
          });
        },
        pause: () => {
          this.#paused = true;
        },
        resume: () => {
          this.#paused = false;
          this.#env.setTimer(0, () => this.#flush());
        },
      });
      this.#listener = handler.open(call);
      this.#flush();
    });
  }

  /** Something comes from the member, after all that came before. */
  #arrive(what: () => void): void {
    const life = this.#life;
    const nowMs = this.#env.monotonicMs();
    this.#inMs = Math.max(this.#inMs, nowMs + this.#delayMs());
    this.#env.setTimer(this.#inMs - nowMs, () => {
      if (this.#over || life === null) return;
      if (this.#machine?.clientsCut) this.broken(LOST);
      else what();
    });
  }

  #flush(): void {
    const listener = this.#listener;
    const life = this.#life;
    if (listener === null || life === null || this.#over || this.#paused) return;
    for (const message of this.#toSend.splice(0)) {
      const nowMs = this.#env.monotonicMs();
      this.#outMs = Math.max(this.#outMs, nowMs + this.#delayMs());
      this.#env.setTimer(this.#outMs - nowMs, () => {
        if (this.#over) return;
        life.env.run(() => {
          if (this.#over || this.#context?.cancelled) return;
          if (message === null) listener.onHalfClose();
          else listener.onMessage(message);
        });
      });
    }
  }

  #letGo(): void {
    const life = this.#life;
    if (life === null) return;
    life.onGone.delete(this.#gone);
    if (life.env.alive) life.env.run(() => this.#context?.cancel());
  }
}
