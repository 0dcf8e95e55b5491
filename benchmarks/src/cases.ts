/**
 * The cases as data. A group has a fresh server and folder (once a repeat and server), fills it, and runs its cases in
 * order; so cases that only read share the time of filling.
 *
 * Clients are spread over connections as a service's instances would: 64 clients are 8 processes of 8 callers.
 */
import type { KeyOrder, Share } from './load/job.ts';
import type { Operation } from './load/operations.ts';

export interface Group {
  readonly name: string;
  /** Of the cluster, all on this machine; 1 by default. */
  readonly members?: number;
  readonly fill?: Fill;
  /** At most so often: for a group whose filling takes minutes. */
  readonly repeats?: number;
  readonly cases: readonly Case[];
}

export interface Fill {
  /** Keys 0, 1, ... are put, 100 in a transaction. */
  readonly keys: number;
  /** Then one further key is put so often. */
  readonly versionsOfOneKey?: number;
  /** Then so often a random one of the keys is put, by itself: revisions, and what a compaction removes. */
  readonly puts?: number;
}

interface Common {
  /** Unique; what the table shows and what `--only` matches. */
  readonly name: string;
  /** What is counted when it is not a call. */
  readonly unit?: string;
}

export interface Clients {
  readonly connections: number;
  readonly perConnection: number;
}

export type Case =
  | (Common & {
      readonly kind: 'closed';
      readonly clients: Clients;
      readonly mix: readonly Share[];
      /** Whom the connections are made to, one after the other; the leader by default. */
      readonly at?: 'all members';
      readonly meanwhile?: Meanwhile;
    })
  /** Open loop at a share of the peak that the real etcd reached in the closed-loop case `peakOf`. */
  | (Common & {
      readonly kind: 'open';
      readonly connections: number;
      readonly peakOf: string;
      readonly share: number;
      readonly mix: readonly Share[];
      readonly meanwhile?: Meanwhile;
    })
  | (Common & {
      readonly kind: 'watch';
      readonly connections: number;
      readonly watchers: number;
      readonly on: 'prefix' | 'own-key';
      readonly ratePerSec: number;
    })
  | (Common & { readonly kind: 'keep-alive'; readonly clients: Clients; readonly leases: number })
  /** Nothing is asked (but by the probe of other cases, which rests): processor time of a server at rest. */
  | (Common & { readonly kind: 'idle' })
  /** kill -9, start again on the same folder, until the first linearizable get is answered. */
  | (Common & { readonly kind: 'restart' });

/**
 * What is done again and again by another client while the load is measured; `compact-history` once, from the begin of the measurement on, and its answer
 * is that everything was removed.
 */
export type Meanwhile = 'lists' | 'compact' | 'compact-history' | 'defragment' | 'snapshot';

export const VALUE_BYTES = 256;
const K = 1_000;
const M = 1_000_000;

const ONE: Clients = { connections: 1, perConnection: 1 };
const FEW: Clients = { connections: 2, perConnection: 2 };
const C64: Clients = { connections: 8, perConnection: 8 };
const C256: Clients = { connections: 16, perConnection: 16 };
const C1000: Clients = { connections: 50, perConnection: 20 };

const random = (keys: number): KeyOrder => ({ order: 'random', keys });
const share = (operation: Operation, keys: KeyOrder, weight = 1): Share => ({ operation, keys, weight });
const put = (keys: number, weight = 1) =>
  share({ kind: 'put', valueBytes: VALUE_BYTES }, random(keys), weight);
const get = (keys: number, weight = 1) => share({ kind: 'get', serializable: false }, random(keys), weight);

function putGroup(clients: number, spread: Clients): Group {
  const name = `put, ${clients} client${clients === 1 ? '' : 's'}`;
  return { name, cases: [{ name, kind: 'closed', clients: spread, mix: [put(M)] }] };
}

/** Revision of a folder that was filled with so many keys: every transaction is one, and a new folder begins at 1. */
export const PUTS_PER_TXN = 100;
const filledRevision = (keys: number) => 1 + Math.ceil(keys / PUTS_PER_TXN);

export const groups: readonly Group[] = [
  putGroup(1, ONE),
  putGroup(64, C64),
  putGroup(256, C256),
  putGroup(1_000, C1000),
  {
    name: 'put at a rate',
    cases: [
      {
        name: "put, open loop at 50 % of etcd's peak",
        kind: 'open',
        connections: 16,
        peakOf: 'put, 256 clients',
        share: 0.5,
        mix: [put(M)],
      },
    ],
  },
  {
    name: 'reads of 100k keys',
    fill: { keys: 100 * K },
    cases: [
      { name: 'get, linearizable, 1 client', kind: 'closed', clients: ONE, mix: [get(100 * K)] },
      { name: 'get, linearizable, 64 clients', kind: 'closed', clients: C64, mix: [get(100 * K)] },
      { name: 'get, linearizable, 256 clients', kind: 'closed', clients: C256, mix: [get(100 * K)] },
      {
        name: 'get, serializable, 256 clients',
        kind: 'closed',
        clients: C256,
        mix: [share({ kind: 'get', serializable: true }, random(100 * K))],
      },
      {
        name: 'range of 100 keys of 100k',
        kind: 'closed',
        clients: C64,
        mix: [share({ kind: 'range', span: 100 }, random(100 * K - 100))],
      },
      {
        name: 'range of 10,000 keys of 100k',
        kind: 'closed',
        clients: FEW,
        mix: [share({ kind: 'range', span: 10 * K }, random(90 * K))],
      },
      {
        name: 'list of 100k keys in pages of 500, fixed revision',
        unit: 'pages',
        kind: 'closed',
        clients: FEW,
        mix: [
          share(
            { kind: 'page', limit: 500, revision: filledRevision(100 * K) },
            { order: 'steps', keys: 100 * K, step: 500 },
          ),
        ],
      },
      {
        name: 'mixed 90 % get, 10 % put, 256 clients',
        kind: 'closed',
        clients: C256,
        mix: [get(100 * K, 9), put(100 * K, 1)],
      },
      ...(
        [
          [64, C64],
          [256, C256],
        ] as const
      ).map(
        ([clients, spread]): Case => ({
          name: `txn: compare and put, ${clients} clients`,
          kind: 'closed',
          clients: spread,
          mix: [share({ kind: 'compare-and-put', valueBytes: VALUE_BYTES }, random(100 * K))],
        }),
      ),
      {
        name: 'put, 64 clients, beside lists of 100k keys',
        kind: 'closed',
        clients: C64,
        mix: [put(100 * K)],
        meanwhile: 'lists',
      },
    ],
  },
  {
    name: '1M keys',
    fill: { keys: M },
    cases: [
      {
        name: 'count of 1M keys',
        kind: 'closed',
        clients: FEW,
        mix: [share({ kind: 'count' }, random(1))],
      },
      { name: 'at rest, 1M keys', kind: 'idle' },
      { name: 'put, 64 clients, 1M keys', kind: 'closed', clients: C64, mix: [put(M)] },
      { name: 'restart, 1M keys', kind: 'restart' },
      {
        name: 'put, 64 clients, 1M keys, beside compactions',
        kind: 'closed',
        clients: C64,
        mix: [put(M)],
        meanwhile: 'compact',
      },
      {
        name: 'put, 64 clients, 1M keys, beside snapshots',
        kind: 'closed',
        clients: C64,
        mix: [put(M)],
        meanwhile: 'snapshot',
      },
      {
        name: 'put, 64 clients, 1M keys, beside defragmentation',
        kind: 'closed',
        clients: C64,
        mix: [put(M)],
        meanwhile: 'defragment',
      },
    ],
  },
  {
    name: 'compaction of 1M revisions',
    fill: { keys: M, puts: M },
    cases: [
      {
        name: 'put, 64 clients, beside the compaction of 1M revisions',
        kind: 'closed',
        clients: C64,
        mix: [put(M)],
        meanwhile: 'compact-history',
      },
    ],
  },
  {
    name: 'old revision',
    fill: { keys: K, versionsOfOneKey: M },
    cases: [
      {
        name: 'list of 1,000 keys at an old revision, one more key with 1M versions',
        kind: 'closed',
        clients: FEW,
        mix: [share({ kind: 'list-at', revision: filledRevision(K) }, random(1))],
      },
    ],
  },
  {
    name: 'leases',
    cases: [
      {
        name: 'lease grant, 64 clients',
        kind: 'closed',
        clients: C64,
        mix: [share({ kind: 'lease-grant' }, random(1))],
      },
      { name: 'lease keep-alive, 64 clients, 1,000 leases', kind: 'keep-alive', clients: C64, leases: K },
    ],
  },
  ...(
    [
      [1, 'prefix', 2_000],
      [100, 'prefix', 200],
      [1_000, 'prefix', 20],
      [10_000, 'own-key', 2_000],
    ] as const
  ).map(([watchers, on, ratePerSec]): Group => {
    const where = on === 'prefix' ? 'on a prefix' : 'on keys of their own';
    const name = `watch: ${watchers.toLocaleString('en')} ${where}, ${ratePerSec.toLocaleString('en')} puts/s`;
    return {
      name,
      cases: [{ name, unit: 'events', kind: 'watch', connections: 10, watchers, on, ratePerSec }],
    };
  }),
  {
    name: 'put of 64 kB, 64 clients',
    cases: [
      {
        name: 'put of 64 kB, 64 clients',
        kind: 'closed',
        clients: C64,
        mix: [share({ kind: 'put', valueBytes: 65_536 }, random(K))],
      },
    ],
  },
  {
    name: 'three members',
    members: 3,
    fill: { keys: 100 * K },
    cases: (
      [
        ['put, 64 clients', put(100 * K)],
        ['get, linearizable, 64 clients', get(100 * K)],
      ] as const
    ).flatMap(([what, part]): Case[] => {
      const closed = { kind: 'closed', clients: C64, mix: [part] } as const;
      return [
        { ...closed, name: `${what} at the leader of three members` },
        { ...closed, name: `${what} at all of three members`, at: 'all members' },
      ];
    }),
  },
  { name: 'at rest', cases: [{ name: 'at rest, empty', kind: 'idle' }] },
  ...[100 * K, 5 * M].map((keys): Group => {
    const name = `restart, ${keys === 5 * M ? '5M' : '100k'} keys`;
    const puts = {
      name: 'put, 64 clients, 5M keys',
      kind: 'closed',
      clients: C64,
      mix: [put(keys)],
    } as const;
    const restart = { name, kind: 'restart' } as const;
    if (keys < M) return { name, fill: { keys }, cases: [restart] };
    return { name, fill: { keys }, repeats: 1, cases: [restart, puts] };
  }),
];

/** The same groups so small that each takes a second: for checking that they run. */
export function quick(all: readonly Group[]): Group[] {
  const fewer = (keys: number) => Math.min(keys, 2_000);
  return all.map((group) => ({
    ...group,
    ...(group.fill === undefined
      ? {}
      : {
          fill: {
            keys: fewer(group.fill.keys),
            ...(group.fill.versionsOfOneKey === undefined ? {} : { versionsOfOneKey: 2_000 }),
            ...(group.fill.puts === undefined ? {} : { puts: 2_000 }),
          },
        }),
    cases: group.cases.map((one): Case => {
      if (one.kind === 'watch') return { ...one, watchers: Math.min(one.watchers, 100), ratePerSec: 20 };
      if (one.kind === 'keep-alive') return { ...one, leases: 100 };
      if (one.kind !== 'closed' && one.kind !== 'open') return one;
      const mix = one.mix.map((part) => {
        const { operation, keys } = part;
        const inFill = group.fill === undefined ? keys.keys : Math.min(keys.keys, fewer(group.fill.keys));
        if (operation.kind === 'range') {
          const span = Math.min(operation.span, 1_000);
          return { ...part, operation: { ...operation, span }, keys: random(Math.max(1, inFill - span)) };
        }
        if (operation.kind === 'page') {
          return {
            ...part,
            operation: { ...operation, revision: filledRevision(inFill) },
            keys: { ...keys, keys: inFill },
          };
        }
        return { ...part, keys: { ...keys, keys: inFill } };
      });
      return { ...one, mix };
    }),
  }));
}
