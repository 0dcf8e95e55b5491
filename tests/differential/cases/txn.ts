import {
  b,
  del,
  EQUAL,
  type Fields,
  GREATER,
  hashKv,
  INT64_MAX,
  INT64_MIN,
  LESS,
  NOT_EQUAL,
  op,
  put,
  range,
  txn,
  when,
} from '../build.ts';
import type { Case } from './case.ts';

const all = { rangeEnd: b('\0') };
const clean = del('\0', all);
const many = (count: number, make: (i: number) => Fields): Fields[] =>
  Array.from({ length: count }, (_, i) => make(i));

/** `depth` transactions inside each other around `inner`. */
function nest(depth: number, inner: Fields): Fields {
  return depth === 0 ? inner : op.txn([], [nest(depth - 1, inner)]);
}

export const txnCases: readonly Case[] = [
  {
    name: 'sem-052 sem-053 sem-055: revisions of transactions',
    steps: [
      clean,
      txn([], []),
      txn([], [op.put('a', '1'), op.put('b', '1')]),
      txn([], [op.del('nothing')]),
      txn([], [op.range('a'), op.put('c', '1'), op.range('c'), op.del('a'), op.range('a', all)]),
      txn([], [op.put('d', '1'), op.txn([], [op.put('e', '1')]), op.put('f', '1')]),
      range('a', all),
      hashKv(),
    ],
  },
  {
    name: 'sem-054 err-ErrGRPCTooManyOps: list lengths',
    steps: [
      txn(
        [],
        many(128, (i) => op.range(`k${i}`)),
      ),
      txn(
        [],
        many(129, (i) => op.range(`k${i}`)),
      ),
      txn(
        many(129, () => when('a', 'version', GREATER, -1)),
        [],
      ),
      txn(
        [],
        [],
        many(129, (i) => op.range(`k${i}`)),
      ),
      txn(
        [],
        [
          op.txn(
            [],
            many(127, (i) => op.range(`k${i}`)),
          ),
        ],
      ),
      txn(
        [],
        [
          op.txn(
            [],
            many(128, (i) => op.range(`k${i}`)),
          ),
        ],
      ),
      txn(
        [],
        [
          op.range('a'),
          op.range('b'),
          op.txn(
            [],
            many(127, (i) => op.range(`k${i}`)),
          ),
        ],
      ),
      txn([], [nest(20, op.put('deep', '1'))]),
      txn([], [nest(126, op.put('deep', '2'))]),
      txn([], [nest(127, op.put('deep', '3'))]),
      txn([], [nest(128, op.put('deep', '4'))]),
    ],
  },
  {
    name: 'sem-056 sem-059: every operation is validated, in both branches',
    steps: [
      txn([when('', 'version', EQUAL, 0)], []),
      txn([], [op.none]),
      txn([], [], [op.none]),
      txn([], [op.put('', 'v')]),
      txn([], [], [op.del('')]),
      txn([], [op.range('')]),
      {
        ...txn([], [op.range('a', { sortTarget: 9 })]),
        why: 'etcd 3.4.23 does not check sort options',
        expected: { code: 3, message: 'etcdserver: invalid sort option' },
      },
      txn([], [], [op.put('a', 'v', { ignoreValue: true })]),
      txn([], [op.put('a', 'v', { ignoreLease: true, lease: 5n })]),
      txn([], [op.txn([when('', 'value', EQUAL, 'x')], [])]),
      txn([], [], [op.txn([], [op.none])]),
    ],
  },
  {
    name: 'sem-057 sem-058 sem-060 err-ErrGRPCDuplicateKey: puts and deletes that overlap',
    steps: [
      txn([], [op.put('a', '1'), op.put('a', '2')]),
      txn([], [op.put('a', '1'), op.del('a')]),
      txn([], [op.del('a'), op.put('a', '1')]),
      txn([], [op.put('b', '1'), op.del('a', { rangeEnd: b('c') })]),
      txn([], [op.put('c', '1'), op.del('a', { rangeEnd: b('c') })]),
      txn([], [op.put('a', '1'), op.del('b', all)]),
      txn([], [op.put('c', '1'), op.del('b', all)]),
      txn([], [op.del('a'), op.del('a', { rangeEnd: b('b') })]),
      txn([], [op.put('a', '1')], [op.put('a', '2')]),
      txn([], [op.txn([], [op.put('a', '1')], [op.put('a', '2')])]),
      txn([], [op.put('a', '1'), op.txn([], [op.put('a', '2')])]),
      txn([], [op.txn([], [op.put('a', '1')]), op.put('a', '2')]),
      txn([], [op.txn([], [op.put('a', '1')]), op.txn([], [op.put('a', '2')])]),
      txn([], [op.txn([], [op.put('a', '1')]), op.txn([], [op.del('a')])]),
      txn([], [op.txn([], [op.del('a')]), op.txn([], [op.put('a', '1')])]),
      txn([], [op.txn([], [op.del('a')]), op.put('a', '1')]),
      txn([], [op.put('a', '1'), op.range('a'), op.range('a', all)]),
      hashKv(),
    ],
  },
  {
    name: 'sem-061 sem-067 sem-070: ranges inside transactions',
    steps: [
      clean,
      put('a', '1'),
      put('b', '2'),
      txn([], [op.range('a', { revision: -1 }), op.put('x', '1')]),
      txn([], [op.range('a', { revision: -1 })]),
      txn([], [op.range('a', { revision: INT64_MIN })]),
      txn([], [op.range('a', { revision: INT64_MAX })]),
      txn([], [op.put('y', '1'), op.range('a', { revision: INT64_MAX })]),
      range('y'),
      (revision) => txn([], [op.put('z', '1'), op.range('z', { revision: revision + 1n })]),
      (revision) => txn([], [op.put('z', '2'), op.range('a', { ...all, revision })]),
      txn([], [op.del('a'), op.range('a', all), op.range('a', { ...all, countOnly: true })]),
      txn(
        [],
        [op.range('a', { ...all, sortOrder: 2, sortTarget: 0, limit: 2 }), op.range('b', { keysOnly: true })],
      ),
    ],
  },
  {
    name: 'sem-062 sem-064: comparing a key that does not exist',
    steps: [
      del('m'),
      ...(['version', 'createRevision', 'modRevision', 'lease'] as const).flatMap((target) =>
        [EQUAL, GREATER, LESS, NOT_EQUAL, 17].flatMap((result) =>
          [0, 1, -1].map((operand) => txn([when('m', target, result, operand)], [op.range('m')])),
        ),
      ),
      ...[EQUAL, GREATER, LESS, NOT_EQUAL, 17].flatMap((result) =>
        ['', 'v'].map((operand) => txn([when('m', 'value', result, operand)], [op.range('m')])),
      ),
    ],
  },
  {
    name: 'sem-064 sem-065: comparing a key that exists',
    steps: [
      del('e'),
      put('e', 'mm'),
      ...(['version', 'createRevision', 'modRevision', 'lease'] as const).flatMap((target) =>
        [EQUAL, GREATER, LESS, NOT_EQUAL].flatMap((result) =>
          [0n, 1n, 2n, INT64_MAX, INT64_MIN].map((operand) => txn([when('e', target, result, operand)], [])),
        ),
      ),
      ...[EQUAL, GREATER, LESS, NOT_EQUAL].flatMap((result) =>
        ['', 'mm', 'm', 'mmm', '\xff', '\0'].map((operand) => txn([when('e', 'value', result, operand)], [])),
      ),
      txn([{ key: b('e'), target: 0, result: EQUAL }], []),
      txn([{ key: b('e'), target: 3, result: EQUAL }], []),
      txn([{ key: b('e'), target: 3, result: GREATER }], []),
      txn([{ key: b('e'), target: 0, result: EQUAL, modRevision: 1n }], []),
      txn([{ key: b('e'), target: 77, result: EQUAL, version: 1n }], []),
      txn([{ key: b('e'), target: 0, result: 99, version: 55n }], []),
    ],
  },
  {
    name: 'sem-063: comparing ranges',
    steps: [
      clean,
      put('r1', 'x'),
      put('r2', 'x'),
      put('r2', 'x'),
      txn([when('r', 'value', EQUAL, 'x', { rangeEnd: b('s') })], []),
      txn([when('r', 'version', GREATER, 0, { rangeEnd: b('s') })], []),
      txn([when('r', 'version', EQUAL, 1, { rangeEnd: b('s') })], []),
      txn([when('t', 'version', EQUAL, 0, { rangeEnd: b('u') })], []),
      txn([when('t', 'value', NOT_EQUAL, 'x', { rangeEnd: b('u') })], []),
      txn([when('r', 'createRevision', GREATER, 0, all)], []),
      txn([when('s', 'version', EQUAL, 0, { rangeEnd: b('r') })], []),
      txn([when('\0', 'lease', EQUAL, 0, all)], []),
    ],
  },
  {
    name: 'sem-066 sem-068: nested compares see the state before, and an error leaves nothing behind',
    steps: [
      clean,
      txn(
        [],
        [
          op.put('n', '1'),
          op.txn([when('n', 'version', GREATER, 0)], [op.put('seen', '1')], [op.put('unseen', '1')]),
        ],
      ),
      range('\0', all),
      txn([], [op.put('p', '1'), op.put('q', '1', { lease: 99999n })]),
      txn([], [op.put('p', '1'), op.put('q', '', { ignoreValue: true })]),
      txn([], [op.put('p', '1'), op.txn([], [op.put('q', '1', { lease: 99999n })])]),
      txn(
        [],
        [op.put('p', '1'), op.txn([when('p', 'version', EQUAL, 9)], [op.put('q', '1', { lease: 99999n })])],
      ),
      txn([], [op.put('u', '1'), op.put('v', '2', { prevKv: true }), op.del('n', { prevKv: true })]),
      range('\0', all),
      hashKv(),
    ],
  },
  {
    name: 'sem-069: read-only transactions',
    steps: [
      put('ro', '1'),
      txn([when('ro', 'version', GREATER, 0)], [op.range('ro')], [op.range('none')]),
      txn([], [op.range('ro', { serializable: true })]),
      txn([], [op.txn([], [op.range('ro')])]),
    ],
  },
];
