/** Members that reach each other over TLS. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import { parseUrl } from '../../src/config/urls.ts';
import type { PeerNetworkOptions } from '../../src/peers/options.ts';
import type { PeerNetwork } from '../../src/peers/peer-network.ts';
import { loggingEnv, openPeer, until } from '../support/peer-networks.ts';

const folder = mkdtempSync(join(tmpdir(), 'peer-tls-'));
const [keyFile, certFile] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
const request = '-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=member';
const files = ['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', keyFile, '-out', certFile];
execFileSync('openssl', ['req', ...request.split(' '), ...files], { stdio: 'ignore' });
const [key, cert] = [readFileSync(keyFile), readFileSync(certFile)];
afterAll(() => rmSync(folder, { recursive: true }));

const opened: PeerNetwork[] = [];
afterEach(async () => {
  for (const network of opened.splice(0)) await network.close();
});

async function open(id: bigint, options: Partial<PeerNetworkOptions> = {}): Promise<PeerNetwork> {
  const tls = { key, cert };
  const network = await openPeer(id, { listenUrls: [parseUrl('https://127.0.0.1:0')], tls, ...options });
  opened.push(network);
  return network;
}

const secureUrl = (network: PeerNetwork) => `https://${network.addresses[0]}`;

test('who trusts the other one reaches it: messages and calls', async () => {
  const [one, two] = [await open(1n, { dialTls: { ca: cert } }), await open(2n, { dialTls: { ca: cert } })];
  const came: Buffer[] = [];
  two.onMessage((_, message) => came.push(Buffer.from(message)));
  two.onCall('echo', (_from, bytes, done) => done(null, bytes));
  one.setPeers(new Map([[2n, [secureUrl(two)]]]));
  two.setPeers(new Map([[1n, [secureUrl(one)]]]));
  await until(() => one.connectedSince(2n) !== null);
  const long = Buffer.alloc(300_000, 0x5a);
  await until(() => {
    if (came.length === 0) one.send(2n, long, 'append');
    return came.length > 0;
  });
  expect(came[0]!.equals(long)).toBe(true);
  const answer = await new Promise<Uint8Array | null>((resolve) => {
    one.call(2n, 'echo', Buffer.from('q'), 10_000, (_, response) => resolve(response));
  });
  expect(Buffer.from(answer!).toString()).toBe('q');
});

test('who does not trust it says so, and sends it nothing', async () => {
  const { env, lines } = loggingEnv();
  const [one, two] = [await open(1n, { env }), await open(2n)];
  let came = 0;
  two.onMessage(() => came++);
  two.setPeers(new Map([[1n, [secureUrl(one)]]]));
  one.setPeers(new Map([[2n, [secureUrl(two)]]]));
  one.send(2n, Buffer.from('m'), 'vote');
  await until(() => lines.some(({ fields }) => String(fields.reason).includes('certificate')));
  expect([came, one.connectedSince(2n)]).toEqual([0, null]);
});
