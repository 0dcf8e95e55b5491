import { expect, test } from 'vitest';
import { Names } from './names.ts';

function names() {
  const flights: { host: string; done: (error: Error | null) => void }[] = [];
  return { names: new Names((host, done) => flights.push({ host, done })), flights };
}

test('addresses and this machine need no look-up', () => {
  const { names: under, flights } = names();
  const found: (Error | null)[] = [];
  for (const host of ['127.0.0.1', '::1', 'fe80::1%eth0', 'localhost'])
    under.find(host, (error) => found.push(error));
  expect(found).toEqual([null, null, null, null]);
  expect(flights).toEqual([]);
});

test('all who want a name share one look-up; the next one after it is new', () => {
  const { names: under, flights } = names();
  const found: (Error | null)[] = [];
  for (let i = 0; i < 3; i++) under.find('a', (error) => found.push(error));
  expect(flights).toHaveLength(1);
  const error = new Error('ENOTFOUND');
  flights[0]!.done(error);
  expect(found).toEqual([error, error, error]);
  under.find('a', (result) => found.push(result));
  expect(flights).toHaveLength(2);
  flights[1]!.done(null);
  expect(found).toHaveLength(4);
  expect(found[3]).toBeNull();
});

test('look-ups that hang take three threads at most; the others have their turn', () => {
  const { names: under, flights } = names();
  const found: string[] = [];
  for (const host of ['a', 'b', 'c', 'd', 'e']) under.find(host, () => found.push(host));
  expect(flights.map(({ host }) => host)).toEqual(['a', 'b', 'c']);
  flights[1]!.done(null);
  expect(flights.map(({ host }) => host)).toEqual(['a', 'b', 'c', 'd']);
  flights[3]!.done(null);
  flights[4]!.done(null);
  expect(found).toEqual(['b', 'd', 'e']);
});
