/** Members by DNS, with a resolver that answers from a table. */
import { describe, expect, test } from 'vitest';
import { discoverBySrv, type ResolveSrv } from './srv-discovery.ts';

const DOMAIN = { domain: 'example.org', serviceSuffix: '' };
const own = { name: 'm1', peerUrls: ['http://m1.example.org:2380'] };

function resolver(
  records: Readonly<Record<string, readonly (readonly [name: string, port: number])[]>>,
): ResolveSrv {
  return async (name) => {
    const found = records[name];
    if (found === undefined) throw new Error(`querySrv ENOTFOUND ${name}`);
    return found.map(([target, port]) => ({ name: target, port }));
  };
}

describe('DNS SRV discovery', () => {
  test('each record is a member, this one is the one whose address it advertises', async () => {
    const records = [
      ['m3.example.org.', 2380],
      ['m1.example.org.', 2380],
      ['m2.example.org', 2381],
    ] as const;
    const members = await discoverBySrv(DOMAIN, own, resolver({ '_etcd-server._tcp.example.org': records }));
    expect(members).toEqual([
      own,
      { name: '0', peerUrls: ['http://m2.example.org:2381'] },
      { name: '1', peerUrls: ['http://m3.example.org:2380'] },
    ]);
    // In whatever order they come.
    const shuffled = resolver({ '_etcd-server._tcp.example.org': records.toReversed() });
    expect(await discoverBySrv(DOMAIN, own, shuffled)).toEqual(members);
  });

  test('the service with TLS gives https, a suffix asks for another service', async () => {
    const query = { domain: 'example.org', serviceSuffix: 'blue' };
    const self = { name: 'm1', peerUrls: ['https://m1.example.org:2380'] };
    const records = { '_etcd-server-ssl-blue._tcp.example.org': [['m1.example.org', 2380]] as const };
    expect(await discoverBySrv(query, self, resolver(records))).toEqual([self]);
  });

  test('this member may advertise its address where the records hold names', async () => {
    const records = ['m1', 'm2', 'm3'].map((name) => [`${name}.example.org`, 2380] as const);
    const resolveHost = async (host: string) => {
      if (host === 'm3.example.org') throw new Error('has no address yet');
      return host === 'm2.example.org' ? '10.0.0.2' : '10.0.0.1';
    };
    const self = { name: 'm2', peerUrls: ['http://10.0.0.2:2380'] };
    const table = resolver({ '_etcd-server._tcp.example.org': records });
    expect(await discoverBySrv(DOMAIN, self, table, resolveHost)).toEqual([
      { name: 'm2', peerUrls: ['http://m2.example.org:2380'] },
      { name: '0', peerUrls: ['http://m1.example.org:2380'] },
      { name: '1', peerUrls: ['http://m3.example.org:2380'] },
    ]);
  });

  test('no records, or none of this member: refused with the reason', async () => {
    await expect(discoverBySrv(DOMAIN, own, resolver({}))).rejects.toThrow(
      'error setting up initial cluster: error querying DNS SRV records for _etcd-server-ssl querySrv ENOTFOUND',
    );
    const others = resolver({ '_etcd-server._tcp.example.org': [['m2.example.org', 2380]] });
    await expect(discoverBySrv(DOMAIN, own, others)).rejects.toThrow(
      'couldn\'t find local name "m1" in the initial cluster configuration',
    );
  });
});
