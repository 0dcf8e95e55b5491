/**
 * `RaftDriver` over an in-process network: proposals, reads, membership, snapshots, failure of the disk.
 */
import {
  DriverError,
  EMPTY_CONF,
  MemoryDriverStorage,
  type Message,
  type NodeId,
  RaftDriver,
  type SaveStep,
  type StateMachine,
} from '@quorate/raft';
import { describe, expect, it } from 'vitest';

class Counter implements StateMachine<number> {
  value = 0;
  apply(data: Uint8Array): number {
    this.value += data[0]!;
    return this.value;
  }
  snapshot(): Uint8Array {
    return new TextEncoder().encode(String(this.value));
  }
  restore(data: Uint8Array): void {
    this.value = Number(new TextDecoder().decode(data));
  }
}

class Cluster {
  readonly drivers = new Map<NodeId, RaftDriver<number>>();
  readonly machines = new Map<NodeId, Counter>();
  down = new Set<NodeId>();

  add(
    id: NodeId,
    voters: readonly NodeId[],
    storage = new MemoryDriverStorage({ ...EMPTY_CONF, voters }),
    keepEntries = 0,
  ): void {
    const machine = new Counter();
    const deliver = (message: Message): boolean => {
      if (this.down.has(message.to) || this.down.has(message.from)) return false;
      void Promise.resolve().then(() => this.drivers.get(message.to)?.receive(message));
      return true;
    };
    const driver = new RaftDriver({
      node: { id, random: (bound) => Number(id) % bound },
      storage,
      machine,
      transport: {
        send: (message) => void deliver(message),
        sendSnapshot: (message) => (deliver(message) ? Promise.resolve() : Promise.reject(new Error('down'))),
      },
      snapshotEvery: 5,
      keepEntries,
    });
    this.drivers.set(id, driver);
    this.machines.set(id, machine);
  }

  /** Lets everything that is under way finish: each await lets queued microtasks run. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 300; turn += 1) await Promise.resolve();
  }

  async ticks(count: number): Promise<void> {
    for (; count > 0; count -= 1) {
      for (const [id, driver] of this.drivers) if (!this.down.has(id)) driver.tick();
      await this.settle();
    }
  }
}

const add = (amount: number) => new Uint8Array([amount]);

async function trio(): Promise<Cluster> {
  const cluster = new Cluster();
  for (const id of [1n, 2n, 3n]) cluster.add(id, [1n, 2n, 3n]);
  await cluster.ticks(14);
  expect(cluster.drivers.get(1n)!.status().role).toBe('leader');
  return cluster;
}

describe('driver', () => {
  it('answers a proposal with what the state machine returned, on the leader and through a follower', async () => {
    const cluster = await trio();
    expect(await cluster.drivers.get(1n)!.propose(add(5))).toBe(5);
    expect(await cluster.drivers.get(2n)!.propose(add(7))).toBe(12);
    await cluster.settle();
    expect([...cluster.machines.values()].map((machine) => machine.value)).toEqual([12, 12, 12]);
  });

  it('serves linearizable reads on a follower', async () => {
    const cluster = await trio();
    await cluster.drivers.get(1n)!.propose(add(5));
    await cluster.drivers.get(3n)!.read();
    expect(cluster.machines.get(3n)!.value).toBe(5);
  });

  it('goes on after the leader is gone, and brings a late node up to date by snapshot', async () => {
    const cluster = await trio();
    cluster.down.add(3n);
    for (let count = 0; count < 12; count += 1) await cluster.drivers.get(1n)!.propose(add(1));
    cluster.down.delete(3n);
    await cluster.ticks(3);
    expect(cluster.machines.get(3n)!.value).toBe(12);
    cluster.down.add(1n);
    await cluster.ticks(40);
    const leader = [2n, 3n].find((id) => cluster.drivers.get(id)!.status().role === 'leader')!;
    expect(await cluster.drivers.get(leader)!.propose(add(1))).toBe(13);
  });

  it('changes members: a new node joins and a voter leaves', async () => {
    const cluster = await trio();
    await cluster.drivers.get(1n)!.propose(add(9));
    cluster.add(4n, []);
    const conf = await cluster.drivers.get(1n)!.changeMembers({
      transition: 'auto',
      steps: [
        { kind: 'add-voter', id: 4n },
        { kind: 'remove-node', id: 3n },
      ],
    });
    expect(conf.votersOutgoing).toEqual([1n, 2n, 3n]);
    await cluster.ticks(3);
    expect(cluster.drivers.get(4n)!.status().conf.voters).toEqual([1n, 2n, 4n]);
    expect(cluster.machines.get(4n)!.value).toBe(9);
  });

  it('rejects with a code: no leader, a change that does not fit, no outcome in time, stopped', async () => {
    const lone = new Cluster();
    lone.add(1n, [1n, 2n]);
    const driver = lone.drivers.get(1n)!;
    await expect(driver.propose(add(1))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(driver.read()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const cluster = await trio();
    const leader = cluster.drivers.get(1n)!;
    await expect(leader.changeMembers({ transition: 'auto', steps: [] })).rejects.toMatchObject({
      code: 'INVALID',
    });
    cluster.down.add(2n).add(3n);
    const lost = expect(leader.propose(add(1))).rejects.toMatchObject({ code: 'TIMEOUT' });
    await cluster.ticks(60);
    await lost;
    leader.stop();
    await expect(leader.propose(add(1))).rejects.toMatchObject({ code: 'STOPPED' });
  });

  it('starts again from its newest snapshot and applies what came after it once', async () => {
    const storage = new MemoryDriverStorage({ ...EMPTY_CONF, voters: [1n] });
    const before = new Cluster();
    // Entries before the snapshot are kept for slow followers: the log begins before the snapshot ends.
    before.add(1n, [], storage, 2);
    before.drivers.get(1n)!.campaign();
    await before.settle();
    for (let count = 0; count < 7; count += 1) await before.drivers.get(1n)!.propose(add(1));
    before.drivers.get(1n)!.stop();
    expect(storage.snapshot().meta.index).toBeGreaterThan(storage.firstIndex());

    const after = new Cluster();
    after.add(1n, [], storage, 2);
    const driver = after.drivers.get(1n)!;
    expect(driver.status().applied).toBe(storage.snapshot().meta.index);
    driver.campaign();
    await after.settle();
    expect(await driver.propose(add(1))).toBe(8);
  });

  it('takes a failed write as final', async () => {
    class BrokenDisk extends MemoryDriverStorage {
      broken = false;
      override save(step: SaveStep): void {
        if (this.broken) throw new Error('EIO');
        super.save(step);
      }
    }
    const cluster = new Cluster();
    const disk = new BrokenDisk({ ...EMPTY_CONF, voters: [1n] });
    cluster.add(1n, [], disk);
    const driver = cluster.drivers.get(1n)!;
    driver.campaign();
    await cluster.settle();
    disk.broken = true;
    await expect(driver.propose(add(1))).rejects.toBeInstanceOf(DriverError);
    expect(driver.stopped).toMatchObject({ code: 'STOPPED', cause: { message: 'EIO' } });
  });

  it.each(['tick', 'campaign'] as const)('ends with a core that fails, and %s does not throw', (event) => {
    let broken = false;
    const driver = new RaftDriver({
      node: {
        id: 1n,
        random: (bound) => {
          if (broken) throw new Error('no randomness');
          return bound - 1;
        },
      },
      storage: new MemoryDriverStorage({ ...EMPTY_CONF, voters: [1n, 2n, 3n] }),
      machine: new Counter(),
      transport: { send: () => {}, sendSnapshot: () => Promise.resolve() },
    });
    broken = true;
    for (let calls = 0; calls < 30; calls += 1) driver[event]();
    expect(driver.stopped).toMatchObject({ code: 'STOPPED', cause: { message: 'no randomness' } });
  });
});
