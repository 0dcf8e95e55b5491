/** A server behind its listener, and what it must withstand: other people's bytes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import { messageTooLargeText, PutRequest, RangeRequest, services as rpc } from '@quorate/proto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { resolveConfig, type ServerConfig } from '../src/config/config.ts';
import { findFlag } from '../src/config/flags.ts';
import { parseValue, Settings } from '../src/config/settings.ts';
import type { World } from '../src/member-config.ts';
import { nodeWorld } from '../src/node/world.ts';
import { type Server, startServer } from '../src/serve.ts';

let folder: string;
let server: Server;
let client: Client;

async function start(
  flags: Record<string, string> = {},
  change: (world: World) => World = (world) => world,
  changeConfig: (config: ServerConfig) => ServerConfig = (config) => config,
): Promise<void> {
  const texts = {
    'data-dir': join(folder, 'data'),
    'listen-client-urls': 'http://127.0.0.1:0',
    'advertise-client-urls': 'http://127.0.0.1:1',
    ...flags,
  };
  const given = Object.entries(texts).map(
    ([name, value]) => [name, parseValue(findFlag(name)!, value)] as const,
  );
  const world = change(nodeWorld({ log() {} }));
  server = await startServer(changeConfig(resolveConfig(new Settings(new Map(given)))), world);
  client = new Client(server.addresses[0]!, credentials.createInsecure());
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'quorate-serve-'));
});
afterEach(async () => {
  client.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  readonly code: number;
  readonly message: string;
}

const same = (bytes: Buffer) => bytes;

function send(path: string, bytes: Uint8Array): Promise<Answer> {
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, same, same, Buffer.from(bytes), (error: ServiceError | null) =>
      resolve({ code: error?.code ?? 0, message: error?.details ?? '' }),
    );
  });
}

const KV = rpc['etcdserverpb.KV'];
const key = Uint8Array.of(97);
const OK = { code: 0, message: '' };

describe('requests that nobody should send harm nobody else', () => {
  test('err-gRPC library: a message beyond the limit, and one just within', async () => {
    await start({ 'max-request-bytes': '1000' });
    const limit = 1000 + 512 * 1024;
    const fields = PutRequest.encode({ key, value: new Uint8Array(limit) }).length - limit;
    const big = PutRequest.encode({ key, value: new Uint8Array(limit + 1 - fields) });
    expect(big).toHaveLength(limit + 1);
    expect(await send(KV.Put.path, big)).toEqual({ code: 8, message: messageTooLargeText(limit + 1, limit) });
    const fits = PutRequest.encode({ key, value: new Uint8Array(limit - fields) });
    expect(await send(KV.Put.path, fits)).toEqual({ code: 3, message: 'etcdserver: request is too large' });
    expect(await send(KV.Put.path, PutRequest.encode({ key }))).toEqual(OK);
  });

  test('bytes that are no message', async () => {
    await start();
    expect(await send(KV.Range.path, Uint8Array.of(0x0a, 0xff))).toMatchObject({ code: 13 });
    expect(await send(KV.Txn.path, new Uint8Array(1000).fill(0x12))).toMatchObject({ code: 13 });
    expect(await send(rpc['etcdserverpb.Cluster'].MemberList.path, Uint8Array.of(0xff))).toMatchObject({
      code: 13,
    });
    expect(await send(KV.Range.path, RangeRequest.encode({ key }))).toEqual(OK);
  });

  test('methods that do not exist, or not yet', async () => {
    await start();
    expect(await send('/etcdserverpb.KV/Nope', key)).toEqual({
      code: 12,
      message: 'unknown method Nope for service etcdserverpb.KV',
    });
    expect(await send('/nobody.Service/Nope', key)).toEqual({
      code: 12,
      message: 'unknown service nobody.Service',
    });
    expect(await send('/etcdserverpb.Auth/AuthStatus', new Uint8Array(0))).toMatchObject({ code: 12 });
  });
});

describe('the life of a server', () => {
  test('stops with watches open, tells them so, and keeps what it acknowledged', async () => {
    await start();
    expect(await send(KV.Put.path, PutRequest.encode({ key, value: key }))).toEqual(OK);
    const watch = client.makeBidiStreamRequest(rpc['etcdserverpb.Watch'].Watch.path, same, same);
    const created = new Promise((resolve) => watch.once('data', resolve));
    const ended = new Promise<ServiceError>((resolve) => watch.once('error', resolve));
    // create_request { key: "a" }
    watch.write(Buffer.from([0x0a, 3, 0x0a, 1, 97]));
    await created;
    await server.stop();
    expect(await ended).toMatchObject({ code: 14, details: 'etcdserver: server stopped' });
    expect(await server.stopped).toBe(null);
    client.close();
    await start();
    expect(server.member.store.get(key)?.version).toBe(1);
  });

  test('a member that fails takes the listener down and says why', async () => {
    await start();
    const failure = new Error('the disk is gone');
    (server.member as unknown as { abort(error: Error): void }).abort(failure);
    expect(await server.stopped).toBe(failure);
    expect(await send(KV.Range.path, RangeRequest.encode({ key }))).toMatchObject({ code: 14 });
  });

  test.each(['enableGateway', 'listenClientUrls'] as const)(
    'a start that fails over %s leaves nothing open, and says why',
    async (part) => {
      const cause = new Error('nothing can be made of it');
      const broken = start({}, undefined, (config) =>
        Object.defineProperty({ ...config }, part, {
          get: () => {
            throw cause;
          },
        }),
      );
      await expect(broken).rejects.toBe(cause);
      // The folder is free: the member has stopped.
      await start();
      expect(await send(KV.Range.path, RangeRequest.encode({ key }))).toEqual(OK);
    },
  );

  test('--initial-cluster-state=existing needs data, and is content with it', async () => {
    await start();
    await server.stop();
    client.close();
    await start({ 'initial-cluster-state': 'existing' });
    expect(await send(KV.Range.path, RangeRequest.encode({ key }))).toEqual(OK);
  });

  const CONTRADICTIONS = [
    [
      {
        'initial-cluster': 'default=http://h:1,b=http://h:2',
        'initial-advertise-peer-urls': 'http://[::1]:3',
      },
      '--initial-cluster has default=http://h:1 but missing from --initial-advertise-peer-urls=http://[::1]:3',
    ],
    [
      { 'initial-cluster': 'default=http://h:1,b=http://h:1' },
      'initial cluster default=http://h:1,b=http://h:1 has duplicate url',
    ],
    [
      { name: 'bar', 'initial-cluster': 'foo=http://h:1' },
      'couldn\'t find local name "bar" in the initial cluster configuration',
    ],
  ] as const;
  test.each(CONTRADICTIONS)(
    'flags that contradict each other are refused by a member without data alone: %j',
    async (flags, message) => {
      const peers = { 'listen-peer-urls': 'http://127.0.0.1:0' };
      const resolveHost = async () => '10.0.0.1';
      const starting = start({ ...peers, ...flags }, (world) => ({ ...world, resolveHost }));
      await expect(starting).rejects.toThrow(message);
      await start(peers);
      await server.stop();
      client.close();
      await start({ ...peers, ...flags });
      expect(server.member.members()).toHaveLength(1);
    },
  );
});

describe('members found by DNS', () => {
  const flags = {
    name: 'one',
    'discovery-srv': 'example.org',
    'listen-peer-urls': 'http://127.0.0.1:0',
    'initial-advertise-peer-urls': 'http://127.0.0.1:7',
  };
  const records = [
    { name: '127.0.0.1', port: 7 },
    { name: '127.0.0.1', port: 8 },
  ];
  const resolveSrv = async (name: string) => (name.startsWith('_etcd-server.') ? records : []);

  test.each(['startAfterLock', 'startBeforeBootstrap'])(
    'are looked up again after a start that was killed at %s, and never by a member that has a log',
    async (place) => {
      const killed = start(flags, (world) => ({
        ...world,
        resolveSrv,
        failpoint: (at) => {
          if (at === place) throw new Error('killed');
        },
      }));
      await expect(killed).rejects.toThrow('killed');
      await start(flags, (world) => ({ ...world, resolveSrv }));
      expect(server.member.members().map(({ peerUrls }) => peerUrls[0])).toEqual(
        expect.arrayContaining(['http://127.0.0.1:7', 'http://127.0.0.1:8']),
      );
      client.close();
      await server.stop();
      await start(flags, (world) => ({
        ...world,
        resolveSrv: () => Promise.reject(new Error('nobody should ask')),
      }));
      expect(server.member.members()).toHaveLength(2);
    },
  );
});
