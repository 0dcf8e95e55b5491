/**
 * The checkers checked by hand-made histories: good ones that pass, and for every rule bad ones that it must name
 * (those of watches are in `watch.test.ts`).
 */
import { describe, expect, it } from 'vitest';
import { checkHistory, type Evidence } from './check-history.ts';
import { CONSERVATION_RULES } from './conservation.ts';
import {
  drained,
  evidence,
  failed,
  get,
  gone,
  grant,
  hash,
  keepAlive,
  kv,
  ok,
  put,
  remove,
  revision,
  status,
  swap,
  swapped,
  unknown,
} from './golden.ts';
import type { TxnCall } from './history.ts';
import { LEASE_RULES } from './lease.ts';
import { LINEARIZABLE_RULES } from './linearizable.ts';
import { checkBySearch } from './linearizable-search.ts';
import { MEMBER_RULES } from './members.ts';

const COMPACTED = 'etcdserver: mvcc: required revision has been compacted';
const FUTURE = 'etcdserver: mvcc: required revision is a future revision';

// a=x at 2, a=y at 3.
const x = kv('a', 'x', 2);
const y = kv('a', 'y', 2, 3, 2);
const xThenY = [revision(2, x), revision(3, y)];
const putX = put('c1', [0, 5], 'a', 'x', 2);
const putY = put('c1', [10, 15], 'a', 'y', 3);
const deleteA = { kind: 'delete', key: 'a', end: '' } as const;
/** Puts z when a is gone, deletes a when it is not: deleting leaves no value of its own. */
const flip: TxnCall = {
  kind: 'txn',
  compare: [{ key: 'a', target: 'version', result: 'equal', operand: 0 }],
  success: [{ kind: 'put', key: 'a', value: 'z' }],
  failure: [deleteA],
};
const putXCall = { kind: 'put', key: 'a', value: 'x' } as const;

// Lease 7 of 2 s, granted at 0; two keys hang on it; both go at revision 4.
const L = 7n;
const leased = [
  revision(2, kv('a', 'x', 2, 2, 1, L)),
  revision(3, kv('b', 'y', 3, 3, 1, L)),
  revision(4, gone('a', 4), gone('b', 4)),
];
const leasedCalls = [
  grant('c1', [0, 5], L, 2),
  put('c1', [6, 8], 'a', 'x', 2, L),
  put('c1', [9, 11], 'b', 'y', 3, L),
];
const seenAt = (ms: number) => ({ drained: [drained(leased, 'm1', { 4: ms })] });
const bounds = (endMs: number, more = {}) => ({ leases: { endNs: endMs * 1e6, ...more } });
const timeToLive = (keys: string[]) =>
  ok(
    'c2',
    [20, 25],
    { kind: 'lease-time-to-live', lease: L },
    { kind: 'lease-time-to-live', ttlSec: 1, grantedTtlSec: 2, keys },
    3,
  );

// Two accounts of 50.
const transfer: TxnCall = {
  kind: 'txn',
  compare: [],
  success: [
    { kind: 'put', key: 'bank/1', value: '40 t' },
    { kind: 'put', key: 'bank/2', value: '60 t' },
  ],
  failure: [],
};
const bankOpened = [revision(2, kv('bank/1', '50 s', 2)), revision(3, kv('bank/2', '50 s2', 3))];
const bankCalls = [put('c1', [0, 1], 'bank/1', '50 s', 2), put('c1', [2, 3], 'bank/2', '50 s2', 3)];
const bank = { conservation: { bankTotal: 100, bankAccounts: 2 } };
const transferred = ok(
  'c1',
  [10, 11],
  transfer,
  {
    kind: 'txn',
    succeeded: true,
    responses: [
      { kind: 'put', previous: null },
      { kind: 'put', previous: null },
    ],
  },
  4,
);
const after40And60 = revision(4, kv('bank/1', '40 t', 2, 4, 2), kv('bank/2', '60 t', 3, 4, 2));

const lockTaken = put('c1', [0, 1], 'lock', 'c1', 2);
const fencedPut = put('c1', [10, 11], 'fenced/1', '2 c1', 4);

describe('good histories', () => {
  const good: Record<string, Evidence> = {
    'a write, a read, a write': evidence([putX, get('c2', [6, 9], 'a', x, 2), putY], xThenY),
    'a read beside a write sees the old': evidence([putX, putY, get('c2', [10, 20], 'a', x, 2)], xThenY),
    'a read beside a write sees the new': evidence([putX, putY, get('c2', [10, 12], 'a', y, 3)], xThenY),
    'an unknown write that happened': evidence(
      [unknown('c1', 0, putXCall), get('c2', [50, 60], 'a', x, 2)],
      [revision(2, x)],
    ),
    'an unknown write that did not': evidence(
      [unknown('c1', 0, putXCall), get('c2', [50, 60], 'a', null, 1)],
      [],
    ),
    'an unknown delete that happened late': evidence(
      [putX, unknown('c2', 6, { kind: 'delete', key: 'a', end: '' }), get('c3', [20, 30], 'a', x, 2)],
      [revision(2, x), revision(3, gone('a', 3))],
    ),
    'two unknown deletes that happened, each once': evidence(
      [
        putX,
        unknown('c2', 6, deleteA),
        put('c1', [20, 25], 'a', 'y', 4),
        unknown('c3', 26, deleteA),
        get('c4', [60, 65], 'a', null, 5),
      ],
      [revision(2, x), revision(3, gone('a', 3)), revision(4, kv('a', 'y', 4)), revision(5, gone('a', 5))],
    ),
    'a swap that lost': evidence(
      [putX, swapped('c2', [6, 8], swap('a', 9, 'z'), false, 2)],
      [revision(2, x)],
    ),
    'a read of an old revision': evidence(
      [putX, putY, get('c2', [20, 25], 'a', x, 3, { revision: 2 })],
      xThenY,
    ),
    'an old serializable read': evidence(
      [putX, putY, get('c2', [20, 25], 'a', x, 2, { serializable: true })],
      xThenY,
    ),
    'a refusal with a cause': evidence(
      [
        putX,
        putY,
        ok('c1', [16, 17], { kind: 'compact', revision: 3 }, { kind: 'compact' }, 3),
        failed('c2', [20, 21], { kind: 'range', key: 'a', end: '', revision: 2 }, COMPACTED),
      ],
      xThenY,
    ),
    'a delete of nothing': evidence([putX, remove('c1', [6, 7], 'b', 0, 2)], [revision(2, x)]),
    'a lease that expires in time': evidence(leasedCalls, leased, { ...seenAt(2300), ...bounds(9000) }),
    'a lease that is renewed': evidence([...leasedCalls, keepAlive('c1', [1500, 1505], L, 2)], leased, {
      ...seenAt(3600),
      ...bounds(9000),
    }),
    'a lease that a leader change prolongs': evidence(leasedCalls, leased, {
      ...seenAt(5900),
      ...bounds(9000, { leaderChangesNs: [1e9] }),
    }),
    'a lease that is revoked': evidence(
      [...leasedCalls, ok('c1', [20, 25], { kind: 'lease-revoke', lease: L }, { kind: 'lease-revoke' }, 4)],
      leased,
      { ...seenAt(24), ...bounds(9000) },
    ),
    'time to live with its keys': evidence([...leasedCalls, timeToLive(['a', 'b'])], leased, seenAt(2300)),
    'a transfer': evidence([...bankCalls, transferred], [...bankOpened, after40And60], bank),
    'fenced by the lock held': evidence(
      [lockTaken, put('c1', [10, 11], 'fenced/1', '2 c1', 3)],
      [revision(2, kv('lock', 'c1', 2)), revision(3, kv('fenced/1', '2 c1', 3))],
    ),
    'a member that was killed, and hears only later how much is committed': evidence([putX, putY], xThenY, {
      statuses: [
        status(0, 'm1', { revision: 3, appliedIndex: 9 }),
        status(5, 'm1', { revision: 2, appliedIndex: 8, incarnation: 1 }),
        status(9, 'm1', { revision: 3, appliedIndex: 9, incarnation: 1 }),
      ],
    }),
    'members that agree': evidence([putX], [revision(2, x)], {
      statuses: [
        status(0, 'm1', { leader: 'm1', revision: 2 }),
        status(1, 'm2', { leader: 'm1' }),
        status(5, 'm2', { term: 3, leader: 'm2', incarnation: 1, appliedIndex: 0 }),
      ],
      hashes: [hash('m1', 2, 99), hash('m2', 2, 99), hash('m3', 2, 98, 2)],
      dumps: [{ member: 'm1', kvs: [x] }],
    }),
  };
  it.each(Object.keys(good))('%s', (name) => {
    expect(checkHistory(good[name]!)).toEqual([]);
  });
});

const bad: [rule: string, why: string, evidence: Evidence][] = [
  [
    'gapless',
    'a revision nobody ever saw',
    evidence([putX, put('c1', [6, 7], 'a', 'y', 4)], [revision(2, x), revision(4, kv('a', 'y', 2, 4, 2))]),
  ],
  [
    'oneAuthor',
    'two writes were told the same revision',
    evidence([putX, put('c2', [0, 5], 'b', 'z', 2)], [revision(2, x)]),
  ],
  [
    'explained',
    'a write that nobody made',
    evidence([putX], [...xThenY.slice(0, 1), revision(3, kv('b', 'ghost', 3))]),
  ],
  ['explained', 'a delete that nobody made', evidence([putX], [revision(2, x), revision(3, gone('a', 3))])],
  [
    'explained',
    'an unknown delete that happened twice',
    evidence(
      [putX, unknown('c2', 6, deleteA), put('c1', [20, 25], 'a', 'y', 4)],
      [revision(2, x), revision(3, gone('a', 3)), revision(4, kv('a', 'y', 4)), revision(5, gone('a', 5))],
    ),
  ],
  [
    'explained',
    'three deletes by two who asked for one each',
    evidence(
      [
        putX,
        unknown('c2', 6, deleteA),
        unknown('c3', 6, deleteA),
        put('c1', [20, 25], 'a', 'y', 4),
        put('c1', [30, 35], 'a', 'w', 6),
      ],
      [
        revision(2, x),
        revision(3, gone('a', 3)),
        revision(4, kv('a', 'y', 4)),
        revision(5, gone('a', 5)),
        revision(6, kv('a', 'w', 6)),
        revision(7, gone('a', 7)),
      ],
    ),
  ],
  [
    'explained',
    'an unknown delete that happened before it was asked for',
    evidence(
      [putX, put('c1', [20, 25], 'a', 'y', 4), unknown('c2', 30, deleteA)],
      [revision(2, x), revision(3, gone('a', 3)), revision(4, kv('a', 'y', 4))],
    ),
  ],
  [
    'explained',
    'an unknown txn that put its value, and deleted as well',
    evidence(
      [putX, unknown('c2', 6, deleteA), unknown('c3', 6, flip), put('c1', [20, 25], 'a', 'y', 6)],
      [
        revision(2, x),
        revision(3, gone('a', 3)),
        revision(4, kv('a', 'z', 4)),
        revision(5, gone('a', 5)),
        revision(6, kv('a', 'y', 6)),
      ],
    ),
  ],
  ['lostWrite', 'acknowledged, then gone', evidence([putX, putY], [revision(2, x)])],
  [
    'effects',
    'the revision of a put holds another value',
    evidence([putX], [revision(2, kv('a', 'other', 2))]),
  ],
  [
    'effects',
    'a version that skips one',
    evidence([putX, putY], [revision(2, x), revision(3, kv('a', 'y', 2, 3, 3))]),
  ],
  [
    'effects',
    'half of a transaction',
    evidence([...bankCalls, transferred], [...bankOpened, revision(4, kv('bank/1', '40 t', 2, 4, 2))]),
  ],
  [
    'answer',
    'a read of a value that was not there yet',
    evidence([putX, putY, get('c2', [6, 9], 'a', y, 2)], xThenY),
  ],
  ['answer', 'a read that misses a key', evidence([putX, get('c2', [6, 9], 'a', null, 2)], [revision(2, x)])],
  [
    'answer',
    'a delete that counts wrongly',
    evidence([putX, remove('c1', [6, 7], 'a', 2, 3)], [revision(2, x), revision(3, gone('a', 3))]),
  ],
  [
    'answer',
    'a swap that won though the key had changed',
    evidence(
      [putX, putY, swapped('c2', [16, 18], swap('a', 2, 'z'), true, 4)],
      [...xThenY, revision(4, kv('a', 'z', 2, 4, 3))],
    ),
  ],
  [
    'answer',
    'a swap that lost though the key was as expected',
    evidence([putX, swapped('c2', [6, 8], swap('a', 2, 'z'), false, 2)], [revision(2, x)]),
  ],
  [
    'answer',
    'an old revision read wrongly',
    evidence([putX, putY, get('c2', [20, 25], 'a', y, 3, { revision: 2 })], xThenY),
  ],
  [
    'answer',
    'a serializable read of what never was',
    evidence([putX, get('c2', [6, 9], 'a', kv('a', 'w', 2), 2, { serializable: true })], [revision(2, x)]),
  ],
  [
    'beyondCommitted',
    'a read of what was then lost',
    evidence([putX, get('c2', [6, 9], 'a', y, 3)], [revision(2, x)]),
  ],
  [
    'failedButApplied',
    'refused, and yet done',
    evidence([failed('c1', [0, 5], putXCall, 'etcdserver: too many requests')], [revision(2, x)]),
  ],
  [
    'failedButApplied',
    'a swap that said it had lost',
    evidence([putX, swapped('c2', [6, 8], swap('a', 9, 'y'), false, 2)], xThenY),
  ],
  [
    'appliedTwice',
    'a write that was sent again',
    evidence([putX], [revision(2, x), revision(3, kv('a', 'x', 2, 3, 2))]),
  ],
  [
    'appliedTwice',
    'an unknown write that happened twice',
    evidence([unknown('c1', 0, putXCall)], [revision(2, x), revision(3, kv('a', 'x', 2, 3, 2))]),
  ],
  [
    'staleRead',
    'a read behind an answered write',
    evidence([putX, putY, get('c2', [20, 25], 'a', x, 2)], xThenY),
  ],
  [
    'staleRead',
    'a read behind another read',
    evidence(
      [
        putX,
        put('c1', [10, 99], 'a', 'y', 3),
        get('c2', [20, 25], 'a', y, 3),
        get('c3', [30, 35], 'a', x, 2),
      ],
      xThenY,
    ),
  ],
  [
    'staleRead',
    'a swap that lost by looking at old keys',
    evidence([putX, putY, swapped('c2', [20, 25], swap('a', 3, 'z'), false, 2)], xThenY),
  ],
  [
    'lateWrite',
    'a write before one that had been answered',
    evidence(
      [put('c1', [0, 5], 'b', 'y', 3), put('c2', [10, 15], 'a', 'x', 2)],
      [revision(2, x), revision(3, kv('b', 'y', 3))],
    ),
  ],
  [
    'unknownTooEarly',
    'a write from before its call',
    evidence(
      [put('c1', [0, 5], 'b', 'y', 3), unknown('c2', 10, putXCall)],
      [revision(2, x), revision(3, kv('b', 'y', 3))],
    ),
  ],
  [
    'refusal',
    'compacted by nobody',
    evidence(
      [putX, putY, failed('c2', [20, 21], { kind: 'range', key: 'a', end: '', revision: 2 }, COMPACTED)],
      xThenY,
    ),
  ],
  [
    'refusal',
    'a known revision called future',
    evidence(
      [putX, putY, failed('c2', [20, 21], { kind: 'range', key: 'a', end: '', revision: 3 }, FUTURE)],
      xThenY,
    ),
  ],
  [
    'equalHistory',
    'two members tell different stories',
    evidence([putX], [revision(2, x)], {
      drained: [drained([revision(2, x)], 'm1'), drained([revision(2, kv('a', 'w', 2))], 'm2')],
    }),
  ],
  [
    'equalHistory',
    'one member lacks the end',
    evidence([putX, putY], xThenY, {
      drained: [drained(xThenY, 'm1'), drained([revision(2, x)], 'm2')],
    }),
  ],
  ['leaseNotBefore', 'gone before its time', evidence(leasedCalls, leased, seenAt(1500))],
  [
    'leaseNotBefore',
    'gone though it was renewed',
    evidence([...leasedCalls, keepAlive('c1', [1500, 1505], L, 2)], leased, seenAt(3400)),
  ],
  ['leaseNotAfter', 'gone too late', evidence(leasedCalls, leased, { ...seenAt(4500), ...bounds(9000) })],
  ['leaseNotAfter', 'never gone', evidence(leasedCalls, leased.slice(0, 2), bounds(9000))],
  [
    'renewedAfterEnd',
    'renewed after it was revoked',
    evidence(
      [
        ...leasedCalls,
        ok('c1', [20, 25], { kind: 'lease-revoke', lease: L }, { kind: 'lease-revoke' }, 4),
        keepAlive('c1', [30, 35], L, 2),
      ],
      leased,
    ),
  ],
  [
    'renewedAfterEnd',
    'renewed after its keys were seen to go',
    evidence([...leasedCalls, keepAlive('c1', [2500, 2505], L, 2)], leased, seenAt(2300)),
  ],
  [
    'leaseAtomic',
    'one key goes, the other stays',
    evidence(leasedCalls, [...leased.slice(0, 2), revision(4, gone('a', 4))]),
  ],
  [
    'leaseKeys',
    'a key that hangs on nothing',
    evidence([...leasedCalls, timeToLive(['a', 'c'])], leased, seenAt(2300)),
  ],
  [
    'grantedTwice',
    'one id, two leases',
    evidence([grant('c1', [0, 5], L, 2), grant('c2', [6, 9], L, 2)], []),
  ],
  [
    'termFalls',
    'a term that falls',
    evidence([], [], { statuses: [status(0, 'm1', { term: 5 }), status(9, 'm1', { term: 4 })] }),
  ],
  [
    'revisionFalls',
    'a member forgets over a restart',
    evidence([putX, putY], xThenY, {
      statuses: [status(0, 'm1', { revision: 3 }), status(9, 'm1', { revision: 2, incarnation: 1 })],
    }),
  ],
  [
    'revisionFalls',
    'a member that has applied all it ever had, and shows less',
    evidence([putX, putY], xThenY, {
      statuses: [
        status(0, 'm1', { revision: 3, appliedIndex: 9 }),
        status(5, 'm1', { revision: 2, appliedIndex: 8, incarnation: 1 }),
        status(9, 'm1', { revision: 2, appliedIndex: 10, incarnation: 1 }),
      ],
    }),
  ],
  [
    'appliedFalls',
    'a member applies backwards',
    evidence([], [], {
      statuses: [status(0, 'm1', { appliedIndex: 7 }), status(9, 'm1', { appliedIndex: 6 })],
    }),
  ],
  [
    'oneLeaderPerTerm',
    'two leaders',
    evidence([], [], {
      statuses: [status(0, 'm1', { term: 4, leader: 'm1' }), status(3, 'm2', { term: 4, leader: 'm2' })],
    }),
  ],
  [
    'equalHash',
    'one member holds something else',
    evidence([putX], [revision(2, x)], {
      hashes: [hash('m1', 2, 99), hash('m2', 2, 98)],
    }),
  ],
  [
    'serializableFalls',
    'a member goes back in time',
    evidence(
      [
        putX,
        putY,
        get('c2', [20, 25], 'a', y, 3, { serializable: true }),
        get('c2', [30, 35], 'a', x, 2, { serializable: true }),
      ],
      xThenY,
    ),
  ],
  [
    'serializableAhead',
    'a member shows what nobody committed',
    evidence([putX, get('c2', [6, 9], 'a', y, 3, { serializable: true })], [revision(2, x)]),
  ],
  [
    'finalState',
    'a member holds an old value in the end',
    evidence([putX, putY], xThenY, {
      dumps: [{ member: 'm2', kvs: [x] }],
    }),
  ],
  [
    'finalState',
    'a member holds a key too many',
    evidence([putX], [revision(2, x)], {
      dumps: [{ member: 'm2', kvs: [x, kv('b', 'z', 2)] }],
    }),
  ],
  [
    'bankSum',
    'money made in a transaction',
    evidence(
      [...bankCalls, transferred],
      [...bankOpened, revision(4, kv('bank/1', '50 t', 2, 4, 2), kv('bank/2', '60 t', 3, 4, 2))],
      bank,
    ),
  ],
  [
    'bankRead',
    'a read between the two halves',
    evidence(
      [
        ...bankCalls,
        transferred,
        ok(
          'c2',
          [20, 21],
          { kind: 'range', key: 'bank/', end: 'bank0' },
          {
            kind: 'range',
            kvs: [kv('bank/1', '40 t', 2, 4, 2), kv('bank/2', '50 s2', 3)],
            count: 2,
            more: false,
          },
          4,
        ),
      ],
      [...bankOpened, after40And60],
      bank,
    ),
  ],
  [
    'setLost',
    'an acknowledged element is gone',
    evidence(
      [put('c1', [0, 1], 'set', 'e1', 2), swapped('c2', [2, 3], swap('set', 2, 'e1,e2'), true, 3)],
      [revision(2, kv('set', 'e1', 2))],
    ),
  ],
  [
    'setOrder',
    'an append that overwrote another',
    evidence(
      [put('c1', [0, 1], 'set', 'e1', 2), put('c2', [0, 9], 'set', 'e2', 3)],
      [revision(2, kv('set', 'e1', 2)), revision(3, kv('set', 'e2', 2, 3, 2))],
    ),
  ],
  ['setUnasked', 'an element from nowhere', evidence([], [revision(2, kv('set', 'e9', 2))])],
  [
    'setUnasked',
    'an element whose append had been refused',
    evidence(
      [failed('c1', [0, 1], { kind: 'put', key: 'set', value: 'e1' }, 'etcdserver: too many requests')],
      [revision(2, kv('set', 'e1', 2))],
    ),
  ],
  [
    'fenced',
    'a write under a lock that had passed on',
    evidence(
      [lockTaken, remove('c3', [2, 3], 'lock', 1, 3), fencedPut],
      [
        revision(2, kv('lock', 'c1', 2)),
        revision(3, gone('lock', 3)),
        revision(4, kv('fenced/1', '2 c1', 4)),
      ],
    ),
  ],
];

describe('bad histories are named', () => {
  it.each(bad)('%s: %s', (rule, _why, of) => {
    expect(checkHistory(of).map((violation) => violation.rule)).toContain(rule);
  });

  it('every rule has at least one', () => {
    const rules = [
      ...LINEARIZABLE_RULES,
      ...LEASE_RULES,
      ...MEMBER_RULES,
      ...CONSERVATION_RULES,
      'equalHistory',
    ];
    expect(new Set(bad.map(([rule]) => rule))).toEqual(new Set(rules));
  });

  it('there are enough', () => expect(bad.length).toBeGreaterThanOrEqual(40));
});

describe('the search is of the same opinion', () => {
  // What the search can see: contradictions between answers. What was committed, times of leases and members it cannot.
  const visible = ['staleRead', 'lateWrite', 'oneAuthor'];
  it.each(bad.filter(([rule]) => visible.includes(rule)))('%s: %s', (_rule, _why, { history }) => {
    expect(checkBySearch(history.calls).map((violation) => violation.rule)).toEqual(['linearizable']);
  });
});
