/**
 * A Watch service over a store in memory and a virtual clock, and callers of it.
 */
import { type Init, WatchRequest, WatchResponse } from '@quorate/proto';
import { SimEnv } from '@quorate/testing';
import { ResponseHeader } from '../../src/api/header.ts';
import { createWatchService, type WatchService, type WatchServiceOptions } from '../../src/api/watch.ts';
import type { MemberLimits } from '../../src/member.ts';
import { TurnEnd } from '../../src/turn-end.ts';
import { TestStreamCall } from './calls.ts';
import { MemoryStore } from './memory-store.ts';

export const TEST_LIMITS: MemberLimits = {
  maxRequestBytes: 1_572_864,
  maxTxnOps: 128,
  quotaBytes: 0,
  requestTimeoutMs: 7_000,
  electionTimeoutMs: 1_000,
  minLeaseTtlSec: 2,
  watchProgressIntervalMs: 600_000,
};

/** One event in words: `put k@2 = v`, `delete k@3`, `(was v@2)` when there is a previous record. */
export function inWords(event: WatchResponse['events'][number]): string {
  const { kv, prevKv } = event;
  const was = prevKv === undefined ? '' : ` (was ${Buffer.from(prevKv.value)}@${prevKv.modRevision})`;
  const what = `${Buffer.from(kv!.key)}@${kv!.modRevision}`;
  return event.type === 1 ? `delete ${what}${was}` : `put ${what} = ${Buffer.from(kv!.value)}${was}`;
}

export class WatchWorld {
  readonly env = new SimEnv(1);
  readonly turnEnd = new TurnEnd(this.env);
  readonly store = new MemoryStore();
  readonly service: WatchService;
  leader = 1n;
  #onLeaderChange: (leader: bigint) => void = () => {};

  constructor(options: WatchServiceOptions & { limits?: Partial<MemberLimits> } = {}) {
    const { store, env } = this;
    const world = this;
    this.service = createWatchService(
      {
        env,
        turnEnd: this.turnEnd,
        store: store as never,
        limits: { ...TEST_LIMITS, ...options.limits },
        get leader() {
          return world.leader;
        },
        ended: false,
        onApplied: (listener) => store.onCommit(listener),
        onStoreReplaced: () => {},
        onLeaderChange: (listener) => {
          this.#onLeaderChange = listener;
        },
      },
      new ResponseHeader(11n, 22n, { term: 3 }),
      options,
    );
  }

  setLeader(leader: bigint): void {
    this.leader = leader;
    this.#onLeaderChange(leader);
  }

  open(metadata: Readonly<Record<string, string>> = {}): WatchCaller {
    const [[path, handler]] = this.service.handlers as [(typeof this.service.handlers)[number]];
    return new WatchCaller(this.env, new TestStreamCall(path, metadata).open(handler));
  }
}

export class WatchCaller {
  readonly call: TestStreamCall;
  readonly #env: SimEnv;

  constructor(env: SimEnv, call: TestStreamCall) {
    this.#env = env;
    this.call = call;
  }

  send(request: Init<WatchRequest>): void {
    this.call.send(WatchRequest.encode(request));
  }

  create(key: string, fields: Init<NonNullable<WatchRequest['createRequest']>> = {}): void {
    this.send({ createRequest: { key: Buffer.from(key, 'latin1'), ...fields } });
  }

  /** Lets the hub work, and takes what has been read since the last time. */
  read(): WatchResponse[] {
    this.#env.settle();
    return this.call.take().map((message) => WatchResponse.decode(message));
  }

  /** The same, as events in words. */
  readEvents(): string[] {
    return this.read().flatMap((response) => response.events.map(inWords));
  }
}
