import { describe, expect, test } from 'vitest';
import { clusterIdOf, formatId, memberIdOf } from './ids.ts';

describe('sem-160 identities', () => {
  // As printed by etcd 3.4.23 started without any flags.
  test('the default single member is named as by etcd', () => {
    const id = memberIdOf(['http://localhost:2380'], 'etcd-cluster', null);
    expect(formatId(id)).toBe('8e9e05c52164694d');
    expect(formatId(clusterIdOf([id]))).toBe('cdf818194e3a8c32');
  });

  test('the order of URLs and members does not matter, the token and the time do', () => {
    const urls = ['http://b:2380', 'http://a:2380'];
    expect(memberIdOf(urls, 't', null)).toBe(memberIdOf(urls.toReversed(), 't', null));
    expect(memberIdOf(urls, 't', null)).not.toBe(memberIdOf(urls, 'u', null));
    expect(memberIdOf(urls, 't', 1)).not.toBe(memberIdOf(urls, 't', null));
    expect(clusterIdOf([1n, 2n])).toBe(clusterIdOf([2n, 1n]));
  });
});
