/**
 * Members broken on purpose. A simulator that lets one of them pass proves nothing about the sound ones.
 *
 * The list is that of reliability section 3.7(c) and two of the store's own. Each mutant exchanges one interface between parts
 * (`mutations.ts`); raft's are its broken rules. Those that only concern raft's core are caught by the Raft simulator,
 * which draws the same rules a thousand times faster.
 */
import type { Backend, BackendTransaction, Store } from '@quorate/mvcc';
import { WatchRequest, WatchResponse } from '@quorate/proto';
import { createMutant, MUTANTS, type Rules } from '@quorate/raft/testing';
import type { Disk } from '@quorate/wal';
import { hashStory } from './hash-kv.ts';
import { type Mutations, SOUND } from './mutations.ts';
import type { Plan, TimedFault } from './plan.ts';
import { replacing } from './replacing.ts';

export interface ServerMutant {
  readonly name: string;
  /** What it leads to. */
  readonly breaks: string;
  /** The weather in which it shows, where the usual one brings it too rarely. */
  readonly weather?: (plan: Plan) => Plan;
  readonly caughtBy: { readonly server: Mutations } | { readonly raft: Partial<Rules> };
}

export const SERVER_MUTANTS: readonly ServerMutant[] = [
  {
    name: 'skips the sync of the log',
    breaks: 'acknowledged writes are lost with the power',
    caughtBy: { server: { ...SOUND, disk: withoutSync } },
  },
  {
    name: 'answers before a quorum has the entry',
    breaks: 'acknowledged writes are lost with their leader',
    caughtBy: {
      server: withRules({
        reached: (conf, reached) => Math.max(...conf.voters.map((id) => reached(id))),
      }),
    },
  },
  {
    name: 'reads without asking the leader',
    breaks: 'stale reads',
    caughtBy: { server: { ...SOUND, confirmRead: (_member, _deadlineMs, done) => done(null) } },
  },
  { name: 'reuses the context of a read', breaks: 'stale reads', caughtBy: raftRule('reuses a read round') },
  { name: 'ignores the term in votes', breaks: 'two leaders', caughtBy: raftRule('votes twice in a term') },
  {
    name: 'persists the vote late',
    breaks: 'two leaders after a restart',
    caughtBy: raftRule('forgets to persist the vote'),
  },
  {
    name: 'commits entries of an old term by counting',
    breaks: 'a committed entry is overwritten',
    caughtBy: raftRule('commits an old term by counting'),
  },
  {
    name: 'writes the applied index in a transaction of its own',
    breaks: 'a crash between the two leaves an index without its data',
    weather: (plan) =>
      withFaults(plan, (machine, atMs) => [
        {
          atMs,
          fault: {
            kind: 'failpoint',
            machine,
            name: 'mvccBeforeLogCommit',
            nth: 2,
            power: false,
            downMs: 50,
          },
        },
      ]),
    caughtBy: { server: { ...SOUND, backend: indexFirst } },
  },
  {
    name: 'drops an event when a watch catches up',
    breaks: 'a watch misses a change',
    caughtBy: { server: { ...SOUND, store: (store) => dropLastCaughtUp(store) } },
  },
  {
    name: 'reports progress before the watch has caught up',
    breaks: 'a bookmark promises what has not been seen',
    caughtBy: { server: { ...SOUND, handlers: progressAtOnce } },
  },
  {
    name: 'lets leases expire on a follower',
    breaks: 'a lease ends before its time',
    caughtBy: {
      server: { ...SOUND, lessor: (lessor) => replacing(lessor, { demote: () => {} }) },
    },
  },
  {
    name: 'renews a lease that is dead',
    breaks: 'a client goes on believing in its lease',
    caughtBy: {
      server: {
        ...SOUND,
        lessor: (lessor) =>
          replacing(lessor, {
            renew: (id, done) => lessor.renew(id, (error, ttlSec) => done(error, ttlSec === 0 ? 2 : ttlSec)),
          }),
      },
    },
  },
  {
    name: 'applies half of a txn',
    breaks: 'a txn is not atomic',
    caughtBy: { server: { ...SOUND, store: (store) => halfTransactions(store) } },
  },
  {
    name: 'compaction takes the tombstone at its own revision',
    breaks: 'a watch from the compact revision misses a delete',
    caughtBy: { server: { ...SOUND, store: (store) => withoutTombstoneAtCompaction(store) } },
  },
  {
    name: 'leaves leases out of snapshots',
    breaks: 'members differ in their leases',
    caughtBy: { server: { ...SOUND, store: (store) => snapshotWithout(store, 'leases') } },
  },
  {
    // In etcd it was auth's revision; until there is auth, the alarms stand for the small tables.
    name: 'leaves a small table (alarms) out of snapshots',
    breaks: 'members differ in what they refuse',
    weather: (plan) =>
      withFaults({ ...plan, catchUpEntries: 0 }, (machine, atMs) => [
        { atMs, fault: { kind: 'alarm', machine, forMs: 10_000 } },
        { atMs, fault: { kind: 'crash', machine, power: false, downMs: 2_000 } },
      ]),
    caughtBy: { server: { ...SOUND, store: (store) => snapshotWithout(store, 'alarms') } },
  },
  {
    name: 'applies a configuration change at append',
    breaks: 'configurations differ where logs agree',
    caughtBy: raftRule('applies a configuration at append'),
  },
  {
    name: 'asks one majority in a joint configuration',
    breaks: 'two quorums that do not overlap',
    caughtBy: raftRule('ignores the outgoing majority when committing'),
  },
  {
    name: 'leaves the lease out of the hash',
    breaks: 'members that differ have equal hashes',
    caughtBy: { server: { ...SOUND, store: (store) => hashWithoutLease(store) } },
  },
  {
    name: 'deletes without taking a revision',
    breaks: 'two states have one revision',
    caughtBy: { server: { ...SOUND, store: (store) => deleteWithoutRevision(store) } },
  },
  {
    name: 'drops a sealed memtable before the reader has moved',
    breaks: 'acknowledged writes vanish from reads for a while',
    caughtBy: { server: { ...SOUND, backend: withoutRefresh } },
  },
  {
    name: 'flushes the applied index without its data',
    breaks: 'acknowledged writes are lost in a restart',
    caughtBy: { server: { ...SOUND, backend: dataLater } },
  },
];

/** Adds faults on one machine after the other, all through the lifetime. */
function withFaults(plan: Plan, faultsAt: (machine: number, atMs: number) => readonly TimedFault[]): Plan {
  const faults = [...plan.faults];
  for (let round = 0; round * 1_500 + 1_000 < plan.durationMs; round++) {
    faults.push(...faultsAt(round % plan.members, round * 1_500 + 1_000));
  }
  return { ...plan, faults: faults.sort((a, b) => a.atMs - b.atMs) };
}

function raftRule(name: string): { readonly raft: Partial<Rules> } {
  const mutant = MUTANTS.find((one) => one.name === name);
  if (mutant === undefined) throw new Error(`raft has no mutant "${name}"`);
  return { raft: mutant.rules };
}

function withRules(rules: Partial<Rules>): Mutations {
  return { ...SOUND, node: (config) => createMutant(config, rules) };
}

function withoutSync(disk: Disk): Disk {
  return replacing(disk, {
    open: (path, mode) => replacing(disk.open(path, mode), { sync: () => {} }),
  });
}

function isAppliedState(table: string, key: Uint8Array): boolean {
  return table === 'state' && Buffer.from(key).toString() === 'applied';
}

/** The applied index is written first, the data in a second transaction; the member may crash between them. */
function indexFirst(backend: Backend, visit: (failpoint: string) => void): Backend {
  return replacing(backend, {
    openWriter: () => {
      const writer = backend.openWriter();
      return replacing(writer, {
        write: (work) => {
          let index: { key: Uint8Array; value: Uint8Array } | null = null;
          try {
            writer.write((transaction) => {
              work(
                replacing(transaction, {
                  put: (table, key, value) => {
                    if (isAppliedState(table, key)) index = { key: key.slice(), value: value.slice() };
                    transaction.put(table, key, value);
                  },
                }),
              );
              if (index !== null) throw new DryRun();
            });
          } catch (error) {
            if (!(error instanceof DryRun)) throw error;
            const { key, value } = index!;
            writer.write((transaction) => transaction.put('state', key, value));
            visit('mvccBeforeLogCommit');
            writer.write(work);
          }
        },
      });
    },
  });
}

class DryRun extends Error {}

/** Records of a flush reach the tables with the next one; the index that speaks of them goes at once. */
function dataLater(backend: Backend): Backend {
  return replacing(backend, {
    openWriter: () => {
      const writer = backend.openWriter();
      let late: ((transaction: BackendTransaction) => void)[] = [];
      return replacing(writer, {
        write: (work) =>
          writer.write((transaction) => {
            const before = late;
            late = [];
            for (const one of before) one(transaction);
            work(
              replacing(transaction, {
                append: (table, key, value) => {
                  if (table !== 'log') {
                    transaction.append(table, key, value);
                    return;
                  }
                  const copy = [key.slice(), value.slice()] as const;
                  late.push((later) => later.put(table, ...copy));
                },
              }),
            );
          }),
      });
    },
  });
}

function withoutRefresh(backend: Backend): Backend {
  return replacing(backend, {
    openReader: () => replacing(backend.openReader(), { refresh: () => {} }),
  });
}

/** Methods of a store that came with it are shadowed on the object itself. */
function override<S extends Store>(store: S, methods: Partial<Store>): S {
  return Object.assign(store, methods);
}

function dropLastCaughtUp<S extends Store>(store: S): S {
  const readEvents = store.readEvents.bind(store);
  return override(store, {
    readEvents: (from, maxBytes) => {
      const { batches, next } = readEvents(from, maxBytes);
      return { batches: next > store.revision ? batches.slice(0, -1) : batches, next };
    },
  });
}

function withoutTombstoneAtCompaction<S extends Store>(store: S): S {
  const readEvents = store.readEvents.bind(store);
  return override(store, {
    readEvents: (from, maxBytes) => {
      const { batches, next } = readEvents(from, maxBytes);
      const left = batches.flatMap((batch) => {
        if (batch.revision !== store.compactRevision) return [batch];
        const events = batch.events.filter(({ type }) => type !== 'delete');
        return events.length === 0 ? [] : [{ ...batch, events }];
      });
      return { batches: left, next };
    },
  });
}

/** The last put of a transaction with several changes is lost. */
function halfTransactions<S extends Store>(store: S): S {
  const begin = store.begin.bind(store);
  return override(store, {
    begin: (index, term) => {
      const transaction = begin(index, term);
      return replacing(transaction, {
        put: (key, value, lease) =>
          transaction.changeCount >= 1 ? transaction.get(key) : transaction.put(key, value, lease),
      });
    },
  });
}

function deleteWithoutRevision<S extends Store>(store: S): S {
  const begin = store.begin.bind(store);
  return override(store, {
    begin: (index, term) => {
      const before = store.revision;
      const transaction = begin(index, term);
      let puts = 0;
      return new Proxy(transaction, {
        get(target, name) {
          if (name === 'put') {
            return (...put: Parameters<typeof target.put>) => {
              puts++;
              return target.put(...put);
            };
          }
          if (name === 'revision' && puts === 0) return before;
          const value = Reflect.get(target, name, target);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
  });
}

/** After an image of another member was installed, a small table is found empty. */
function snapshotWithout<S extends Store>(store: S, left: string): S {
  const install = store.install.bind(store);
  const scanMeta = store.scanMeta.bind(store);
  let installed = false;
  return override(store, {
    install: (sink, done) => {
      install(sink, (error) => {
        installed = error === null;
        done(error);
      });
    },
    scanMeta: (table, visit) => {
      if (!installed || table !== left) scanMeta(table, visit);
    },
  });
}

/** Hashes what a hash is of, with the lease as if there were none. */
function hashWithoutLease<S extends Store>(store: S): S {
  const hashKv = store.hashKv.bind(store);
  return override(store, {
    hashKv: (revision, done) => {
      if (store.compactRevision >= 0) {
        hashKv(revision, done);
        return;
      }
      const hashRevision = revision === 0 ? store.revision : revision;
      const { batches } = store.readEvents(1, Number.MAX_SAFE_INTEGER);
      const events = batches.flatMap((batch) => batch.events);
      const hash = hashStory(events, hashRevision, -1, false);
      done(null, { hash, hashRevision, compactRevision: -1 });
    },
  });
}

/** Asked how far it is, a watch names the newest revision, whatever it has seen. */
function progressAtOnce(
  handlers: Parameters<Mutations['handlers']>[0],
  member: Parameters<Mutations['handlers']>[1],
): ReturnType<Mutations['handlers']> {
  const path = '/etcdserverpb.Watch/Watch';
  const watch = handlers.get(path);
  if (watch?.kind !== 'stream') return handlers;
  return new Map(handlers).set(path, {
    kind: 'stream',
    open: (call) => {
      const listener = watch.open(call);
      return replacing(listener, {
        onMessage: (message) => {
          const { progressRequest } = WatchRequest.decode(message);
          if (progressRequest === undefined) listener.onMessage(message);
          else {
            const header = {
              clusterId: member.clusterId,
              memberId: member.memberId,
              revision: BigInt(member.store.revision),
              raftTerm: BigInt(member.term),
            };
            call.write(WatchResponse.encode({ header, watchId: -1n }));
          }
        },
      });
    },
  });
}
