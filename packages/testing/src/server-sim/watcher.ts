/**
 * A watching client: opens its watch again where it left off whenever the stream breaks, and writes down every answer.
 *
 * When a compaction has passed it, the recording ends, as a client would be told, and a new one begins at the compact
 * revision.
 */
import { type Event, services, WatchRequest, WatchResponse } from '@quorate/proto';
import type { HistoryRecorder } from '../checkers/recorder.ts';
import type { WatchObservation, WatchRecord } from '../checkers/watch-record.ts';
import { recordOf } from '../checkers/wire-messages.ts';
import type { SimEnv } from '../sim/env.ts';
import type { Random } from '../sim/random.ts';
import type { ClientStream, Connections } from './connection.ts';
import type { Machine } from './machine.ts';

export interface WatcherWorld {
  readonly env: SimEnv;
  readonly recorder: HistoryRecorder;
  readonly connections: Connections;
  machines(): readonly Machine[];
  count(what: string): void;
}

export interface Wish {
  readonly key: string;
  readonly end: string | null;
  readonly withoutPuts: boolean;
  readonly withoutDeletes: boolean;
  readonly withPrevious: boolean;
  readonly progress: boolean;
  readonly needsLeader: boolean;
  readonly startRevision: number;
  /** Chance that the client stops reading for a while after a message. */
  readonly stalls: number;
}

const WATCH = services['etcdserverpb.Watch'].Watch.path;
const RETRY_MS = 100;
const MAX_STALL_MS = 600;
/** A stream that says nothing for so long is asked how far it is; without an answer it is opened again. */
const SILENCE_MS = 1_500;

interface Session {
  readonly startRevision: number;
  readonly responses: WatchObservation[];
}

export class Watcher {
  readonly #world: WatcherWorld;
  readonly #wish: Wish;
  readonly #random: Random;
  #machine: number;
  #stream: ClientStream | null = null;
  #session: Session | null = null;
  #sessions: Session[] = [];
  /** Where the next session begins. */
  #next: number;
  #heardMs = 0;
  #askedMs = 0;
  #stopped = false;

  constructor(machine: number, wish: Wish, world: WatcherWorld, random: Random) {
    this.#world = world;
    this.#wish = wish;
    this.#random = random;
    this.#machine = machine;
    this.#next = wish.startRevision;
  }

  /** Everything below has been seen, or is not wanted. */
  get next(): number {
    return this.#next;
  }

  /** Whether the watch stands. */
  get created(): boolean {
    return this.#session?.responses.some(({ created }) => created) ?? false;
  }

  start(): void {
    this.#open();
    this.#look();
  }

  /** @param completeUpTo claims that all until there must have been seen; null: no such claim */
  stop(completeUpTo: number | null): void {
    this.#stopped = true;
    this.#stream?.close();
    this.#finish(completeUpTo);
  }

  /** Asks how far the watch is. */
  ask(): void {
    this.#stream?.send(WatchRequest.encode({ progressRequest: {} }));
  }

  #open(): void {
    if (this.#stopped) return;
    const machines = this.#world.machines();
    const machine = machines[this.#machine % machines.length]!;
    const session: Session = { startRevision: this.#next, responses: [] };
    if (this.#sessions.length > 0) this.#world.count('watches resumed');
    this.#sessions.push(session);
    this.#session = session;
    this.#heardMs = this.#world.env.monotonicMs();
    this.#askedMs = 0;
    const { key, end, withoutPuts, withoutDeletes, withPrevious, progress, needsLeader } = this.#wish;
    // Asked while the watch is still catching up: it must not say more than it has seen.
    const asksAtOnce = progress && this.#random.chance(0.5);
    const stream = this.#world.connections.open(
      machine,
      WATCH,
      {
        needsLeader,
        stallMs: () => (this.#random.chance(this.#wish.stalls) ? this.#random.between(20, MAX_STALL_MS) : 0),
      },
      (message) => this.#heard(session, WatchResponse.decode(message)),
      () => this.#again(session),
    );
    this.#stream = stream;
    stream.send(
      WatchRequest.encode({
        createRequest: {
          key: Buffer.from(key, 'latin1'),
          rangeEnd: end === null ? new Uint8Array(0) : Buffer.from(end, 'latin1'),
          startRevision: BigInt(session.startRevision),
          filters: [...(withoutPuts ? [0] : []), ...(withoutDeletes ? [1] : [])],
          prevKv: withPrevious,
          progressNotify: progress,
        },
      }),
    );
    if (asksAtOnce) this.ask();
    if (progress) this.#askSometimes(session);
  }

  #askSometimes(session: Session): void {
    this.#world.env.setTimer(this.#random.between(50, 1_500), () => {
      if (session !== this.#session || this.#stopped) return;
      this.ask();
      this.#askSometimes(session);
    });
  }

  #heard(session: Session, response: WatchResponse): void {
    if (session !== this.#session || this.#stopped) return;
    this.#heardMs = this.#world.env.monotonicMs();
    this.#askedMs = 0;
    const headerRevision = Number(response.header?.revision ?? 0n);
    const compactRevision = Number(response.compactRevision);
    session.responses.push({
      headerRevision,
      created: response.created,
      canceled: response.canceled,
      compactRevision,
      fragment: response.fragment,
      events: response.events.map(eventOf),
    });
    if (response.canceled) {
      this.#world.count(compactRevision > 0 ? 'watches compacted' : 'watches cancelled');
      if (compactRevision > 0) {
        this.#finish(null);
        this.#next = compactRevision;
      }
      this.#again(session);
      return;
    }
    const last = response.events.at(-1);
    if (last !== undefined) this.#next = Number(last.kv!.modRevision) + 1;
    else if (!response.created) this.#next = Math.max(this.#next, headerRevision + 1);
    else if (session.startRevision === 0) this.#next = headerRevision + 1;
  }

  #again(session: Session): void {
    if (session !== this.#session || this.#stopped) return;
    this.#stream?.close();
    this.#stream = null;
    this.#session = null;
    // One that never stood says nothing.
    if (session.responses.length === 0) this.#sessions = this.#sessions.filter((one) => one !== session);
    this.#machine++;
    this.#world.env.setTimer(this.#random.between(1, RETRY_MS), () => this.#open());
  }

  #look(): void {
    this.#world.env.setTimer(500, () => {
      if (this.#stopped) return;
      const nowMs = this.#world.env.monotonicMs();
      const session = this.#session;
      if (session !== null && this.#askedMs > 0 && nowMs - this.#askedMs > SILENCE_MS) this.#again(session);
      else if (session !== null && this.#askedMs === 0 && nowMs - this.#heardMs > SILENCE_MS) {
        this.#askedMs = nowMs;
        this.ask();
      }
      this.#look();
    });
  }

  #finish(completeUpTo: number | null): void {
    const sessions = this.#sessions.filter(({ responses }) => responses.length > 0);
    this.#sessions = [];
    if (sessions.length === 0) return;
    const { key, end, withoutPuts, withoutDeletes, withPrevious } = this.#wish;
    const record: WatchRecord = {
      key,
      end,
      withoutPuts,
      withoutDeletes,
      withPrevious,
      sessions,
      ...(completeUpTo === null ? {} : { completeUpTo }),
    };
    const machines = this.#world.machines();
    const { name } = machines[this.#machine % machines.length]!;
    this.#world.recorder.watches.push({ member: name, endpoint: name, record });
  }
}

function eventOf(event: Event) {
  const previous = event.prevKv === undefined ? null : recordOf(event.prevKv);
  return {
    type: event.type === 1 ? ('delete' as const) : ('put' as const),
    record: recordOf(event.kv!),
    previous,
  };
}
