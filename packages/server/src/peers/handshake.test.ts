import { expect, test } from 'vitest';
import { DomainError } from '../errors.ts';
import { errorOf, failureOf, PeerError } from './errors.ts';
import { judgeVersions, parseId } from './handshake.ts';

test.each([
  // theirs, their minimum, ours, refused
  ['3.7.0', '3.6.0', '3.7.0', null],
  ['3.7.9', '3.6.0', '3.7.0', null],
  ['3.8.0', '3.7.0', '3.7.0', null],
  ['3.6.0', '3.5.0', '3.7.0', null],
  ['3.5.12', '3.0.0', '3.7.0', /too low/],
  ['3.8.0', '3.8.0', '3.7.0', /too high/],
  ['4.0.0', '3.8.0', '3.7.0', /too high/],
  ['', '3.6.0', '3.7.0', /cannot be read/],
  ['3.7.0', '', '3.7.0', /cannot be read/],
  ['3.7', '3.6', '3.7.0', null],
  ['9999999999.1.1', '3.6.0', '3.7.0', /cannot be read/],
] as const)('server %s that works with %s and later, at a server %s', (theirs, minimum, own, refusal) => {
  const result = judgeVersions(theirs, minimum, own);
  if (refusal === null) expect(result).toBeNull();
  else expect(result).toMatch(refusal);
});

test('ids are hexadecimal of at most 64 bits', () => {
  expect(parseId('8e9e05c52164694d')).toBe(0x8e9e05c52164694dn);
  for (const text of ['', 'g', '0x1', '-1', ' 1', '11111111111111111'])
    expect(parseId(text), text).toBeNull();
});

test('errors of the domain cross as themselves, others with code and text', () => {
  expect(errorOf(failureOf(new DomainError('LEASE_NOT_FOUND')))).toEqual(new DomainError('LEASE_NOT_FOUND'));
  const coded = errorOf(failureOf(Object.assign(new Error('full'), { code: 'ENOSPC' })));
  expect([coded.message, (coded as PeerError).code]).toEqual(['full', 'ENOSPC']);
  const plain = errorOf(failureOf(new Error('out of luck')));
  expect(plain).toBeInstanceOf(PeerError);
  expect([plain.message, (plain as PeerError).code]).toEqual(['out of luck', 'PEER_FAILED']);
  // Names of properties every object has are no codes.
  expect(errorOf({ code: 'constructor', message: 'm' })).toBeInstanceOf(PeerError);
});
