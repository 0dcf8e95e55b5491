/** Peer URLs and the names in them, with a resolver that answers from a table. */
import { SimEnv } from '@quorate/testing';
import { describe, expect, test } from 'vitest';
import type { Env } from '../env.ts';
import { BootstrapError } from './bootstrap.ts';
import { checkAdvertised, patiently, type ResolveHost, samePeerUrls } from './peer-urls.ts';

const TABLE: Readonly<Record<string, string>> = {
  m1: '10.0.0.1',
  'm1.example.org': '10.0.0.1',
  m2: '10.0.0.2',
};
const resolve: ResolveHost = async (host) => {
  const address = TABLE[host];
  if (address === undefined) throw new Error(`getaddrinfo ENOTFOUND ${host}`);
  return address;
};
const nobody: ResolveHost = () => Promise.reject(new Error('nobody should ask'));

describe('peer URLs are the same', () => {
  test.each([
    [['http://m1:2380'], ['http://10.0.0.1:2380']],
    [['http://m1:2380'], ['http://m1.example.org:2380']],
    [
      ['http://m1:2380', 'http://m2:2380'],
      ['http://10.0.0.2:2380', 'http://m1:2380'],
    ],
    [['HTTP://10.0.0.1:2380'], ['http://10.0.0.1:2380']],
  ])('when their hosts have the same address: %j, %j', async (a, b) => {
    expect(await samePeerUrls(a, b, resolve)).toBe(true);
    expect(await samePeerUrls(b, a, resolve)).toBe(true);
    expect(await samePeerUrls(a, b, undefined)).toBe(false);
  });

  test.each([
    [['http://m1:2380'], ['http://m2:2380']],
    [['http://m1:2380'], ['https://10.0.0.1:2380']],
    [['http://m1:2380'], ['http://10.0.0.1:2381']],
    [['http://m1:2380'], ['http://m1:2380', 'http://m2:2380']],
    // As in etcd: this name is never resolved.
    [['http://localhost:2380'], ['http://127.0.0.1:2380']],
    [['unix://m1:2380'], ['unix://10.0.0.1:2380']],
  ])('and differ otherwise: %j, %j', async (a, b) => {
    expect(await samePeerUrls(a, b, resolve)).toBe(false);
    expect(await samePeerUrls(b, a, resolve)).toBe(false);
  });

  test('without asking anybody where the texts are equal, in any order', async () => {
    const urls = ['http://m1:2380', 'http://unknown:2380'];
    expect(await samePeerUrls(urls, urls.toReversed(), nobody)).toBe(true);
  });
});

describe('what a member advertises', () => {
  const check = (listed: string[], advertised: string[]) =>
    checkAdvertised('m1', listed, advertised, resolve);

  test('may name its host in another way than the initial cluster', async () => {
    await check(['http://m1:2380'], ['http://10.0.0.1:2380']);
  });

  test.each([
    [
      ['http://m1:2380'],
      ['http://m2:2380'],
      '--initial-cluster has m1=http://m1:2380 but missing from --initial-advertise-peer-urls=http://m2:2380',
    ],
    [
      ['http://m1:2380'],
      ['http://m1:2380', 'http://m1:2381'],
      '--initial-advertise-peer-urls has http://m1:2381 but missing from --initial-cluster=m1=http://m1:2380',
    ],
    [
      ['http://m1:2380'],
      ['http://unknown:2380'],
      '--initial-cluster has m1=http://m1:2380 but missing from --initial-advertise-peer-urls=http://unknown:2380 (getaddrinfo ENOTFOUND unknown)',
    ],
  ])('is refused when it is something else: %j, %j', async (listed, advertised, message) => {
    await expect(check(listed, advertised)).rejects.toThrow(new BootstrapError(message));
  });
});

test('a name that is unknown is asked for again, for half a minute', async () => {
  const env = new SimEnv(1);
  const pass = async (seconds: number) => {
    for (let i = 0; i < seconds; i++) {
      env.advance(1_000);
      await new Promise((resume) => setImmediate(resume));
    }
  };
  let asked = 0;
  const late = patiently(
    async () => {
      if (++asked < 5) throw new Error('not yet');
      return '10.0.0.1';
    },
    env as unknown as Env,
  );
  const found = late('m1');
  await pass(5);
  expect(await found).toBe('10.0.0.1');
  const never = expect(patiently(nobody, env as unknown as Env)('m1')).rejects.toThrow('nobody should ask');
  await pass(31);
  await never;
});
