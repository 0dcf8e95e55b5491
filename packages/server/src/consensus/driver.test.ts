/**
 * The driver over real raft and a real log on a simulated disk, in virtual time; the state machine is a list.
 */
import {
  type ConfState,
  type Entry,
  EntryType,
  type HardState,
  MessageType,
  NONE,
  RawNode,
} from '@quorate/raft';
import { Random, SimDisk, SimEnv, SimNetwork } from '@quorate/testing';
import { type Disk, type DiskFile, openWalInline } from '@quorate/wal';
import { describe, expect, test } from 'vitest';
import type { Env } from '../env.ts';
import type { Network } from '../network.ts';
import { NO_PEERS } from '../network.ts';
import { TurnEnd } from '../turn-end.ts';
import { Driver } from './driver.ts';
import { Proposals } from './proposals.ts';
import { Reads } from './reads.ts';
import { SnapshotImages } from './snapshot-images.ts';
import { WalStorage } from './wal-storage.ts';

const TICK_MS = 100;
/** Nobody here falls so far behind as to need a snapshot. */
const NO_STORE = {
  openImageSource: () => {},
  receiveImage: (): never => {
    throw new Error('no snapshot was announced');
  },
};

function confOf(ids: readonly bigint[]): ConfState {
  return { voters: ids, votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };
}

function start(options: {
  env: SimEnv;
  disk: Disk;
  id?: bigint;
  ids?: readonly bigint[];
  network?: Network;
}) {
  const { env, disk, id = 1n, ids = [1n], network = NO_PEERS } = options;
  const { wal, recovered } = openWalInline({
    directory: `/${id}`,
    metadata: new Uint8Array(0),
    disk,
    schedule: (flush) => env.afterPoll(flush),
  });
  const hardState: HardState = recovered.hardState ?? { term: 0, vote: NONE, commit: 0 };
  const conf = confOf(ids);
  const images = new SnapshotImages(NO_STORE, env as unknown as Env, () => conf);
  const storage = new WalStorage(wal, { hardState, conf }, (logBegin) => images.take(logBegin));
  const node = new RawNode({
    id,
    storage,
    conf,
    random: (bound) => env.randomInt(bound),
  });
  const applied: string[] = [];
  const turnEnd = new TurnEnd(env);
  /** What the ends of turns have come by. */
  const told: string[] = [];
  const apply = (text: string) => {
    applied.push(text);
    turnEnd.afterPoll(() => told.push(text));
  };
  const failures: Error[] = [];
  const proposals = new Proposals(Number(id));
  const reads = new Reads();
  const driver = new Driver(
    {
      node,
      wal,
      storage,
      images,
      store: NO_STORE,
      network,
      env: env as unknown as Env,
      turnEnd,
      proposals,
      reads,
      failpoint: () => {},
    },
    { tickMs: TICK_MS, committedIndex: hardState.commit },
    {
      onCommitted: (entries: readonly Entry[]) => {
        for (const entry of entries)
          if (entry.type === EntryType.normal && entry.data.length > 0)
            apply(Buffer.from(entry.data).toString());
        driver.applied(entries.at(-1)!.index);
      },
      onInstall: () => {},
      onInstalled: () => {},
      onSoftState: () => {},
      onTick: () => {},
      onFatal: (error) => failures.push(error),
    },
  );
  const propose = (text: string) => {
    const sequence = proposals.nextSequence();
    proposals.add(sequence, Buffer.from(text), 0, Number.POSITIVE_INFINITY, () => {});
    driver.propose(sequence);
  };
  const readResults: (string | null)[] = [];
  const read = () => {
    reads.add(env.monotonicMs(), Number.POSITIVE_INFINITY, (error) =>
      readResults.push(error?.message ?? null),
    );
    driver.readsWait();
  };
  driver.start();
  return { driver, node, wal, applied, told, failures, propose, read, readResults };
}

describe('a cluster of one', () => {
  describe('the end of the turn in which a batch is saved', () => {
    function applied(count: number, meanwhile: (member: ReturnType<typeof start>) => void = () => {}) {
      const env = new SimEnv(1);
      const member = start({ env, disk: new SimDisk(new Random(1)) });
      env.settle();
      for (let index = 0; index < count; index++) member.propose(`${index}`);
      meanwhile(member);
      while (member.applied.length < count) expect(env.turn()).toBe(true);
      return { env, member };
    }

    test('follows at once where nobody waits for anything else', () => {
      const { member } = applied(2);
      expect(member.told).toEqual(['0', '1']);
    });

    test('waits for the sockets after a batch of many', () => {
      const { env, member } = applied(9);
      expect(member.told).toEqual([]);
      env.settle();
      expect(member.told).toEqual(member.applied);
    });

    test('waits for the sockets while a read waits, too', () => {
      const { env, member } = applied(1, ({ read }) => read());
      expect(member.told).toEqual([]);
      env.settle();
      expect(member.told).toEqual(['0']);
    });
  });

  test('campaigns at once: it leads before the first tick', () => {
    const env = new SimEnv(1);
    const { driver } = start({ env, disk: new SimDisk(new Random(1)) });
    env.settle();
    expect([driver.role, driver.leader]).toEqual(['leader', 1n]);
  });

  test('everything proposed in one turn is one append and one sync', () => {
    const env = new SimEnv(1);
    const { disk, syncs } = counting(new SimDisk(new Random(1)));
    const member = start({ env, disk });
    env.settle();
    const before = syncs();
    const texts = Array.from({ length: 64 }, (_, i) => `p${i}`);
    for (const text of texts) member.propose(text);
    env.settle();
    expect(member.applied).toEqual(texts);
    expect(syncs() - before).toBe(1);
  });

  test('what comes in the polls that follow is part of the same append, as long as each brings some, and not for ever', () => {
    const sizesOf = (arrivals: readonly number[]): number[] => {
      const env = new SimEnv(1);
      const member = start({ env, disk: new SimDisk(new Random(1)) });
      env.settle();
      const sizes: number[] = [];
      const append = member.wal.append.bind(member.wal);
      member.wal.append = (batch, done) => {
        sizes.push(batch.entries.length);
        append(batch, done);
      };
      const arrive = (poll: number): void => {
        for (let i = 0; i < arrivals[poll]!; i++) member.propose(`${poll}.${i}`);
        if (poll + 1 < arrivals.length) env.afterPoll(() => arrive(poll + 1));
      };
      arrive(0);
      env.settle();
      expect(member.applied).toHaveLength(arrivals.reduce((sum, count) => sum + count, 0));
      return sizes;
    };
    expect(sizesOf([2, 1, 3])).toEqual([6]);
    // A poll that brings none ends it.
    expect(sizesOf([2, 1, 0, 1])[0]).toBe(3);
    // So does the number of looks.
    expect(sizesOf(Array(20).fill(2))[0]).toBe(10);
    // Who is alone does not wait for a second look.
    expect(sizesOf([1, 0, 1])).toEqual([1, 1]);
    expect(sizesOf([1, 1])).toEqual([1, 1]);
  });

  test('an append may block when nobody waits for anything else: no earlier proposal, no read', () => {
    const appendsOf = (work: (member: ReturnType<typeof start>) => void): (boolean | undefined)[] => {
      const env = new SimEnv(1);
      const member = start({ env, disk: new SimDisk(new Random(1)) });
      env.settle();
      const mayBlock: (boolean | undefined)[] = [];
      const append = member.wal.append.bind(member.wal);
      member.wal.append = (batch, done) => {
        mayBlock.push(batch.mayBlock);
        append(batch, done);
      };
      work(member);
      env.settle();
      return mayBlock;
    };
    const alone = appendsOf(({ propose }) => {
      propose('a');
      propose('b');
    });
    expect(alone).toEqual([true]);
    const besideRead = appendsOf(({ propose, read }) => {
      propose('a');
      read();
    });
    expect(besideRead).toEqual([false]);
    // Here nobody takes the outcome: the first proposal still waits when the second is appended.
    const afterAnother = appendsOf(({ propose, driver }) => {
      propose('a');
      const applied = driver.applied.bind(driver);
      driver.applied = (index) => {
        driver.applied = applied;
        applied(index);
        propose('b');
      };
    });
    expect(afterAnother).toEqual([true, false]);
  });

  test('what is proposed during an append forms the next batch, in order', () => {
    const env = new SimEnv(1);
    const member = start({ env, disk: new SimDisk(new Random(1)) });
    env.settle();
    member.propose('a');
    env.turn(); // raft has it, the log has not written it
    member.propose('b');
    member.propose('c');
    expect(member.applied).toEqual([]);
    env.settle();
    expect(member.applied).toEqual(['a', 'b', 'c']);
  });

  test('case-16 a failed sync ends the member, and nothing of the batch is applied', () => {
    const env = new SimEnv(1);
    const disk = new SimDisk(new Random(1));
    const member = start({ env, disk });
    env.settle();
    disk.inject({ operation: 'sync' });
    member.propose('lost');
    env.settle();
    member.propose('after');
    env.advance(1000);
    expect(member.applied).toEqual([]);
    expect(member.failures).toHaveLength(1);
    expect(member.failures[0]!.message).toMatch(/./);
  });

  test('a crash at any moment keeps what was applied', () => {
    for (let turns = 0; turns < 12; turns++) {
      const env = new SimEnv(turns);
      const disk = new SimDisk(new Random(turns));
      const first = start({ env, disk });
      env.settle();
      const proposed = ['a', 'b', 'c', 'd', 'e'];
      for (const text of proposed) {
        first.propose(text);
        for (let i = 0; i < turns; i++) env.turn();
      }
      const acknowledged = [...first.applied];
      first.driver.end();
      disk.crash();
      const restarted = new SimEnv(turns + 100);
      const second = start({ env: restarted, disk });
      restarted.settle();
      const reopened = second.applied;
      expect(proposed.slice(0, reopened.length)).toEqual(reopened);
      expect(reopened.slice(0, acknowledged.length)).toEqual(acknowledged);
    }
  });

  test('sem-034 reads are confirmed without a log entry', () => {
    const env = new SimEnv(1);
    const member = start({ env, disk: new SimDisk(new Random(1)) });
    env.settle();
    const lastIndex = member.wal.lastIndex();
    member.read();
    member.read();
    env.settle();
    expect(member.readResults).toEqual([null, null]);
    expect(member.wal.lastIndex()).toBe(lastIndex);
  });
});

describe('a cluster of three', () => {
  function cluster(seed: number) {
    const env = new SimEnv(seed);
    const network = new SimNetwork(env, new Random(seed, 'network'));
    const ids = [1n, 2n, 3n];
    const members = ids.map((id) =>
      start({ env, disk: new SimDisk(new Random(seed, `disk ${id}`)), id, ids, network: network.port(id) }),
    );
    return { env, network, members, leader: () => members.find(({ driver }) => driver.role === 'leader')! };
  }

  test('elects a leader, and every member applies the same entries', () => {
    const { env, members, leader } = cluster(7);
    env.advance(5000);
    for (let i = 0; i < 20; i++) leader().propose(`p${i}`);
    members.find((member) => member !== leader())!.propose('from a follower');
    env.advance(2000);
    for (const { applied, failures } of members) {
      expect(failures).toEqual([]);
      expect(applied.toSorted()).toEqual(members[0]!.applied.toSorted());
      expect(applied).toHaveLength(21);
    }
  });

  test('appends may block in followers, never in their leader; what tells of a commit alone is not answered', () => {
    const { env, members, leader } = cluster(7);
    // Between two heartbeats: an answer to one that overtakes an append asks for that append's place.
    env.advance(5030);
    const own = leader();
    const appended = new Map(members.map((member) => [member, [] as string[]]));
    for (const member of members) {
      const append = member.wal.append.bind(member.wal);
      member.wal.append = (batch, done) => {
        if (batch.entries.length > 0) appended.get(member)!.push(`${batch.entries.length} ${batch.mayBlock}`);
        append(batch, done);
      };
    }
    const answers: string[] = [];
    const step = own.node.step.bind(own.node);
    own.node.step = (message) => {
      if (message.type === MessageType.appendResponse) answers.push(`${message.from} ${message.index}`);
      step(message);
    };
    own.propose('lone');
    env.advance(30);
    own.propose('a');
    own.propose('b');
    env.advance(30);
    for (const member of members) {
      const expected = member === own ? ['1 false', '2 false'] : ['1 true', '2 true'];
      expect(appended.get(member)).toEqual(expected);
      expect(member.applied).toEqual(['lone', 'a', 'b']);
    }
    // Two appends for each of two followers; what told them of the commits is not among them.
    expect(answers).toHaveLength(4);
    expect(new Set(answers).size).toBe(4);
  });

  test('what followers pass on during an append is part of the next one, beside what the leader was asked itself', () => {
    const { env, members, leader } = cluster(7);
    env.advance(5030);
    const own = leader();
    const sizes: number[] = [];
    let isHeld = true;
    const held: (() => void)[] = [];
    const append = own.wal.append.bind(own.wal);
    own.wal.append = (batch, done) => {
      sizes.push(batch.entries.length);
      append(batch, (error) => (isHeld ? held.push(() => done(error)) : done(error)));
    };
    own.propose('first');
    env.settle();
    for (const member of members) member.propose('later');
    env.advance(30);
    expect(sizes).toEqual([1]);
    isHeld = false;
    for (const done of held) done();
    env.advance(30);
    expect(sizes.slice(0, 2)).toEqual([1, 3]);
    for (const { applied } of members) expect(applied).toEqual(['first', 'later', 'later', 'later']);
  });

  test('what followers pass on beyond the bytes of an append is left to the bounds of raft at once', () => {
    const { env, members, leader } = cluster(7);
    env.advance(5030);
    const own = leader();
    // The first append does not end.
    own.wal.append = () => {};
    own.propose('first');
    env.settle();
    const taken: number[] = [];
    const step = own.node.step.bind(own.node);
    own.node.step = (message) => {
      if (message.type === MessageType.propose) taken.push(message.entries.length);
      step(message);
    };
    const follower = members.find((member) => member !== own)!;
    for (let i = 0; i < 3; i++) follower.propose('x'.repeat(1024 * 1024));
    env.advance(30);
    expect(taken).toEqual([]);
    for (let i = 0; i < 2; i++) follower.propose('x'.repeat(1024 * 1024));
    env.advance(30);
    expect(taken.reduce((sum, count) => sum + count, 0)).toBe(5);
  });

  test('case-27 a leader cut off confirms no read and applies nothing; the others go on', () => {
    const { env, network, members, leader } = cluster(8);
    env.advance(5000);
    const old = leader();
    const oldId = BigInt(members.indexOf(old) + 1);
    network.partition(
      [oldId],
      [1n, 2n, 3n].filter((id) => id !== oldId),
    );
    old.propose('lost');
    old.read();
    env.advance(10_000);
    expect(old.applied).toEqual([]);
    expect(old.readResults.filter((result) => result === null)).toEqual([]);
    const fresh = members.find((member) => member !== old && member.driver.role === 'leader')!;
    fresh.propose('kept');
    fresh.read();
    env.advance(2000);
    expect(fresh.applied).toEqual(['kept']);
    expect(fresh.readResults).toEqual([null]);
    network.heal();
    env.advance(5000);
    expect(old.applied).toEqual(['kept']);
  });

  test('case-30 case-31 losses, repetitions and reordering delay entries and change none', () => {
    const { env, network, members, leader } = cluster(9);
    env.advance(5000);
    network.quality = { delayMs: 5, jitterMs: 120, loss: 0.15, repeat: 0.2 };
    for (let i = 0; i < 30; i++) {
      leader()?.propose(`p${i}`);
      env.advance(50);
    }
    network.quality = { delayMs: 1, jitterMs: 0, loss: 0, repeat: 0 };
    env.advance(20_000);
    const first = members[0]!.applied;
    expect(network.tally.lost).toBeGreaterThan(0);
    expect(network.tally.repeated).toBeGreaterThan(0);
    expect(first.length).toBeGreaterThan(10);
    for (const { applied, failures } of members) {
      expect(failures).toEqual([]);
      expect(applied).toEqual(first);
    }
  });
});

/** A disk that counts the syncs of its files. */
function counting(disk: Disk): { disk: Disk; syncs: () => number } {
  let syncs = 0;
  const countSyncs = (file: DiskFile): DiskFile =>
    replacing(file, {
      sync: () => {
        syncs++;
        file.sync();
      },
    });
  return {
    disk: replacing(disk, {
      open: (path: string, mode: 'create' | 'write' | 'read') => countSyncs(disk.open(path, mode)),
    }),
    syncs: () => syncs,
  };
}

/** The same object with some methods exchanged; the others still run on the original. */
function replacing<T extends object>(original: T, methods: Partial<T>): T {
  return new Proxy(original, {
    get(target, name) {
      const value = Reflect.get(methods, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
