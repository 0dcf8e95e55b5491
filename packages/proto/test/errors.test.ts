/** The registry, the table of etcd's errors and docs/errors.md state the same set, in both directions. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  type ErrorCode,
  errorCodeOf,
  errorCodes,
  errorFacts,
  GrpcStatus,
  grpcStatusName,
  messageTooLargeText,
  watchCancelCodeOf,
  watchCancelReasons,
  wireStatus,
} from '../src/index.ts';
import { readTable } from './facts.ts';

const rows = readTable('errors.tsv');
const statusRows = rows.filter((row) => row.symbol !== 'watch cancel_reason');
const cancelRows = rows.filter((row) => row.symbol === 'watch cancel_reason');
const page = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');

describe('error registry', () => {
  for (const row of statusRows) {
    test(`err-${row.symbol} has its statuses and its exact text`, () => {
      const code = errorCodes.find((c) => errorFacts[c].symbol === row.symbol);
      expect(code).toBeDefined();
      const fact = errorFacts[code as ErrorCode];
      expect(fact).toMatchObject({ declared: row.declared_code, wire: row.wire_code, message: row.message });
      expect(grpcStatusName(wireStatus(code as ErrorCode))).toBe(row.wire_code);
    });
  }

  test('holds nothing besides the table', () => {
    expect(errorCodes.map((code) => errorFacts[code].symbol).sort()).toEqual(
      statusRows.map((r) => r.symbol).sort(),
    );
    expect(Object.values(watchCancelReasons)).toEqual(cancelRows.map((row) => row.message));
  });

  test('codes and texts are unique', () => {
    expect(new Set(errorCodes.map((code) => errorFacts[code].message)).size).toBe(errorCodes.length);
  });

  test('a text leads back to its code by equality alone', () => {
    for (const code of errorCodes.filter((c) => c !== 'MESSAGE_TOO_LARGE')) {
      expect(errorCodeOf(errorFacts[code].message)).toBe(code);
      expect(errorCodeOf(`${errorFacts[code].message}.`)).toBeUndefined();
    }
    expect(errorCodeOf(messageTooLargeText(5, 4))).toBe('MESSAGE_TOO_LARGE');
    expect(errorCodeOf('etcdserver: something new')).toBeUndefined();
    expect(watchCancelCodeOf('mvcc: watcher range is empty')).toBe('WATCHER_RANGE_EMPTY');
    expect(watchCancelCodeOf('mvcc: watcher')).toBeUndefined();
  });

  test('docs/errors.md lists exactly the registry', () => {
    const documented = [...page.matchAll(/^\| `([A-Z_]+)` \| ([^|]+) \| `([^|]+)` \|/gm)].map((m) =>
      [m[1], m[2]?.trim(), m[3]].join(' | '),
    );
    const registered = errorCodes.map((code) => {
      const { wire, declared, message } = errorFacts[code];
      return [code, wire === declared ? wire : `${wire} (declared ${declared})`, message].join(' | ');
    });
    expect(documented).toEqual(registered);
    const reasons = [...page.matchAll(/^\| `([A-Z_]+)` \| `([^`]+)` \|/gm)].map((m) => [m[1], m[2]]);
    expect(reasons).toEqual(Object.entries(watchCancelReasons));
  });

  test('status names and numbers agree', () => {
    for (const [name, value] of Object.entries(GrpcStatus)) expect(grpcStatusName(value)).toBe(name);
  });
});
