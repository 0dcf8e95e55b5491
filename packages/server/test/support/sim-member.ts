/**
 * A whole member on one thread: virtual time, a disk that forgets what was not synced, tables in memory.
 *
 * `World` outlives its members: `powerLoss` is what the machine under them does, `start` boots the next one.
 */
import { type MemoryBackend, memoryBackend } from '@quorate/mvcc';
import { Random, SimDisk, SimEnv } from '@quorate/testing';
import type { Env } from '../../src/env.ts';
import { type Failpoint, NO_FAILPOINTS } from '../../src/failpoints.ts';
import { createLessor } from '../../src/lease/create-lessor.ts';
import type { Member } from '../../src/member.ts';
import type { MemberConfig } from '../../src/member-config.ts';
import { NO_PEERS } from '../../src/network.ts';
import type { Operation, PutOperation } from '../../src/operations.ts';
import type { Outcome } from '../../src/results.ts';
import { startMember } from '../../src/start-member.ts';
import { smallMember } from './small-member.ts';

export class SimWorld {
  env: SimEnv;
  readonly disk: SimDisk;
  backend: MemoryBackend = memoryBackend();
  /** Visited by whichever member runs. */
  failpoint: Failpoint = NO_FAILPOINTS;

  readonly #seed: number;
  #lives = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.env = new SimEnv(seed);
    this.disk = new SimDisk(new Random(seed, 'disk'));
  }

  /** Boots a member; time passes until it serves. */
  async start(config: Partial<MemberConfig> = {}): Promise<Member> {
    const { env, disk, backend } = this;
    return this.until(
      startMember(
        { ...smallMember('/data'), ...config },
        {
          env: env as unknown as Env,
          disk,
          network: NO_PEERS,
          failpoint: (name) => this.failpoint(name),
          failpointModule: null,
          modeOf: () => null,
          inThread: { backend, schedule: (flush) => env.afterPoll(flush) },
        },
        createLessor,
      ),
    );
  }

  /** The machine goes off: what was not synced is lost or torn by chance; tables keep whole transactions. */
  powerLoss(): void {
    this.failpoint = NO_FAILPOINTS;
    this.disk.crash();
    this.backend = this.backend.reopen();
    // Whatever the dead member was waiting for never comes.
    this.env = new SimEnv(`${this.#seed}, life ${++this.#lives}`);
  }

  /** Lets time pass until `promise` is settled. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    promise.then(mark, mark);
    for (let round = 0; !settled; round++) {
      if (round > 2000) throw new Error('nothing came of it');
      await drainMicrotasks();
      if (!settled) this.env.advance(10);
    }
    return promise;
  }

  /** Proposes, and lets time pass until the answer. */
  propose(member: Member, operation: Operation, encodedBytes = 0): Promise<Outcome> {
    return this.until(
      new Promise((resolve, reject) => {
        member.propose(operation, encodedBytes, Number.POSITIVE_INFINITY, (error, outcome) =>
          error === null ? resolve(outcome!) : reject(error),
        );
      }),
    );
  }
}

/** Promises of the member's own start and stop go through a few steps; none of them waits for real time. */
async function drainMicrotasks(): Promise<void> {
  for (let i = 0; i < 10; i++) await null;
}

export function put(key: string, value: string, rest: Partial<PutOperation> = {}): PutOperation {
  return {
    kind: 'put',
    key: Buffer.from(key),
    value: Buffer.from(value),
    lease: 0n,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
    ...rest,
  };
}
