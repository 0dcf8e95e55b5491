/** Whoever reaches the peer port: strangers, broken peers, other protocols. Nothing of it gets to the listeners (case 70). */
import { connect } from 'node:net';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CallMetadata, Connection } from '../../src/peers/connection.ts';
import { decodeFrames, encodeFrames, FrameKind, frame, readTexts } from '../../src/peers/frames.ts';
import { Path } from '../../src/peers/handshake.ts';
import { helloMetadata } from '../../src/peers/hello.ts';
import { fetchAllClusters, fetchCluster } from '../../src/peers/join.ts';
import type { PeerNetwork } from '../../src/peers/peer-network.ts';
import { CLUSTER_ID, type LogLine, loggingEnv, openPeer, until, urlOf } from '../support/peer-networks.ts';

const ME = { clusterId: CLUSTER_ID, memberId: 1n, serverVersion: '3.7.0' };
const REMOVED = 66n;

let two: PeerNetwork;
let one: PeerNetwork | null;
let lines: LogLine[];
/** All that got through. */
let came: string[];
const connections: Connection[] = [];

beforeEach(async () => {
  const logging = loggingEnv();
  lines = logging.lines;
  came = [];
  one = null;
  two = await openPeer(2n, {
    env: logging.env,
    isRemoved: (id) => id === REMOVED,
    limits: { maxMessageBytes: 1_000_000 },
    describe: () => ({
      clusterVersion: '3.7.0',
      members: [
        { id: 2n, name: 'two', peerUrls: ['http://two:2380'], clientUrls: [], isLearner: false },
        {
          id: 2n ** 64n - 1n,
          name: '',
          peerUrls: ['http://x:1'],
          clientUrls: ['http://x:2'],
          isLearner: true,
        },
      ],
    }),
  });
  two.onMessage((from) => came.push(`message of ${from}`));
  two.onSnapshot((from) => came.push(`snapshot of ${from}`));
  two.onCall('ask', (from, _request, done) => {
    came.push(`call of ${from}`);
    done(null, Buffer.from('answer'));
  });
  two.setPeers(new Map([[1n, ['http://127.0.0.1:1']]]));
});
afterEach(async () => {
  for (const connection of connections.splice(0)) connection.destroy();
  await one?.close();
  await two.close();
});

function reach(): Connection {
  const connection = new Connection(urlOf(two), { maxMessageBytes: 10_000_000 });
  connections.push(connection);
  return connection;
}

/** Opens a stream, writes, and waits for its end. */
function stream(
  path: string,
  metadata: CallMetadata,
  messages: readonly Buffer[],
): Promise<{ kinds: number[]; refusal: string; status: string }> {
  return new Promise((resolve) => {
    const kinds: number[] = [];
    let refusal = '';
    const call = reach().stream(path, metadata, {
      onMessage: (message) => {
        for (const part of decodeFrames(message)) {
          kinds.push(part.kind);
          if (part.kind === FrameKind.refusal) refusal = readTexts(part, 'code').code;
        }
      },
      onEnd: (_status, details) => resolve({ kinds, refusal, status: details }),
    });
    for (const message of messages) call.write(message);
  });
}

/** A correct peer is served as ever. */
async function expectServiceForOthers(): Promise<void> {
  one ??= await openPeer(1n);
  two.setPeers(new Map([[1n, [urlOf(one)]]]));
  one.setPeers(new Map([[2n, [urlOf(two)]]]));
  came.length = 0;
  await until(() => {
    one!.send(2n, Buffer.from('m'), 'append');
    return came.includes('message of 1');
  });
}

function changed(change: (metadata: Map<string, string>) => void): CallMetadata {
  const metadata = helloMetadata(ME, 2n, 'log');
  change(metadata);
  return metadata;
}

describe('strangers', () => {
  const message = encodeFrames([frame(FrameKind.message, Buffer.from('m'))]);
  const refusals: [string, CallMetadata, string][] = [
    ['of another cluster', helloMetadata({ ...ME, clusterId: 9n }, 2n), 'PEER_OTHER_CLUSTER'],
    ['who mean another member', helloMetadata(ME, 3n), 'PEER_OTHER_MEMBER'],
    ['who were removed', helloMetadata({ ...ME, memberId: REMOVED }, 2n), 'PEER_REMOVED'],
    ['nobody knows', helloMetadata({ ...ME, memberId: 77n }, 2n), 'PEER_UNKNOWN'],
    ['who pretend to be this member', helloMetadata({ ...ME, memberId: 2n }, 2n), 'PEER_UNKNOWN'],
    ['who are too old', helloMetadata({ ...ME, serverVersion: '3.5.9' }, 2n), 'PEER_VERSION'],
    ['who want newer', changed((metadata) => metadata.set('quorate-min-version', '3.8.0')), 'PEER_VERSION'],
    ['of another protocol', changed((metadata) => metadata.set('quorate-protocol', '2')), 'PEER_VERSION'],
    ['without a version', changed((metadata) => metadata.delete('quorate-version')), 'PEER_VERSION'],
    ['without a name', changed((metadata) => metadata.delete('quorate-from')), 'PEER_HANDSHAKE'],
    [
      'with an id that is none',
      changed((metadata) => metadata.set('quorate-from', '1'.repeat(17))),
      'PEER_HANDSHAKE',
    ],
  ];

  test.each(refusals)(
    'case-70 %s are refused, with a code and a line in the log',
    async (_, metadata, code) => {
      for (const path of [Path.messages, Path.snapshot]) {
        const { kinds, refusal, status } = await stream(path, metadata, [message, message]);
        expect(kinds).toEqual([FrameKind.refusal]);
        expect(refusal).toBe(code);
        expect(status).not.toBe('');
      }
      const answer = await new Promise<Uint8Array | undefined>((resolve) => {
        const call = encodeFrames([frame(FrameKind.method, Buffer.from('ask')), frame(FrameKind.body)]);
        reach().unary(Path.call, metadata, call, (_error, response) => resolve(response));
      });
      expect(readTexts(decodeFrames(answer!)[0]!, 'code').code).toBe(code);
      expect(came).toEqual([]);
      // Three attempts, one line.
      expect(
        lines.filter((line) => line.message === 'refused a peer' && line.fields.code === code),
      ).toHaveLength(1);
      await expectServiceForOthers();
    },
  );

  test('case-70 a stream of messages is one of two channels', async () => {
    for (const channel of ['', 'third']) {
      const metadata = changed((it) => it.set('quorate-channel', channel));
      expect((await stream(Path.messages, metadata, [message])).refusal).toBe('PEER_HANDSHAKE');
    }
    expect(came).toEqual([]);
  });

  test('a member that was removed is told so by the others, once', async () => {
    const told: bigint[] = [];
    one = await openPeer(REMOVED, { onRemoved: (by) => told.push(by) });
    one.setPeers(new Map([[2n, [urlOf(two)]]]));
    await until(() => told.length > 0);
    one.setPeers(new Map([[2n, [`${urlOf(two)}`.replace('127.0.0.1', 'localhost')]]]));
    await until(() => lines.some((line) => line.fields.code === 'PEER_REMOVED'));
    expect(told).toEqual([2n]);
  });

  test('a member that is removed while it is connected is told so', async () => {
    const told: bigint[] = [];
    let isRemoved = false;
    const host = await openPeer(3n, { isRemoved: (id) => isRemoved && id === 1n });
    try {
      one = await openPeer(1n, { onRemoved: (by) => told.push(by) });
      one.setPeers(new Map([[3n, [urlOf(host)]]]));
      host.setPeers(new Map([[1n, [urlOf(one)]]]));
      await until(() => one!.connectedSince(3n) !== null);
      isRemoved = true;
      host.setPeers(new Map());
      await until(() => told.length > 0);
      expect(told).toEqual([3n]);
    } finally {
      await host.close();
    }
  });

  test('the word of another cluster that we were removed does not count', async () => {
    const told: bigint[] = [];
    one = await openPeer(REMOVED, { clusterId: 5n, onRemoved: (by) => told.push(by) });
    one.setPeers(new Map([[2n, [urlOf(two)]]]));
    await until(() => lines.some((line) => line.fields.code === 'PEER_OTHER_CLUSTER'));
    expect(told).toEqual([]);
  });
});

describe('callers of this cluster that are not known as members here yet', () => {
  const namely = (urls: string, memberId = 77n): CallMetadata => {
    const metadata = helloMetadata({ ...ME, memberId }, 2n, 'log');
    metadata.set('quorate-peer-urls', urls);
    return metadata;
  };
  const opened: PeerNetwork[] = [];
  afterEach(async () => {
    for (const network of opened.splice(0)) await network.close();
  });

  /** Knows its own URL as applied, and dials `two`. */
  async function newcomer(memberId: bigint, clusterId = CLUSTER_ID): Promise<PeerNetwork> {
    let peerUrls: string[] = [];
    const network = await openPeer(memberId, {
      clusterId,
      describe: () => ({
        clusterVersion: null,
        members: [{ id: memberId, name: '', peerUrls, clientUrls: [], isLearner: false }],
      }),
    });
    opened.push(network);
    peerUrls = ['http://127.0.0.1:1', urlOf(network)];
    network.setPeers(new Map([[2n, [urlOf(two)]]]));
    return network;
  }

  test('case-42 are let in, and answered at the URLs that they name, until the list says what they are', async () => {
    const network = await newcomer(77n);
    const answers: string[] = [];
    network.onMessage((from, message) => answers.push(`${from} ${Buffer.from(message)}`));
    network.onCall('who', (from, _request, done) => done(null, Buffer.from(`${from}`)));
    await until(() => {
      network.send(2n, Buffer.from('append'), 'append');
      two.send(77n, Buffer.from('response'), 'append');
      return came.includes('message of 77') && answers.includes('2 response');
    });
    let called = '';
    await until(() => {
      two.call(77n, 'who', Buffer.alloc(0), 5_000, (_error, response) => {
        called ||= Buffer.from(response ?? []).toString();
      });
      network.call(2n, 'ask', Buffer.alloc(0), 5_000, () => {});
      return called !== '' && came.includes('call of 77');
    });
    expect(called).toBe('2');
    // Its addition is applied, as it was before its address changed: answers go on reaching it.
    const sinceMs = two.connectedSince(77n);
    two.setPeers(new Map([[77n, ['http://127.0.0.1:2']]]));
    expect(two.connectedSince(77n)).toBe(sinceMs);
    two.setPeers(new Map());
    expect(two.connectedSince(77n)).toBeNull();
    await until(() => network.connectedSince(2n) !== null);
    await network.close();
    await until(() => two.connectedSince(77n) === null);
  });

  test('a member that has moved is reached where it says, though the list does not say so yet', async () => {
    await newcomer(1n);
    await until(() => two.connectedSince(1n) !== null);
  });

  test('case-70 of another cluster and removed ones are refused whatever they name', async () => {
    await Promise.all([newcomer(77n, 9n), newcomer(REMOVED)]);
    for (const code of ['PEER_OTHER_CLUSTER', 'PEER_REMOVED'])
      await until(() => lines.some((line) => line.fields.code === code));
    expect([two.connectedSince(77n), two.connectedSince(REMOVED)]).toEqual([null, null]);
    expect((await stream(Path.messages, namely('http://x:1', 2n), [])).refusal).toBe('PEER_UNKNOWN');
    // Only a stream of messages introduces its caller.
    expect((await stream(Path.snapshot, namely('http://x:1'), [])).refusal).toBe('PEER_UNKNOWN');
  });

  test('case-70 there is a bound to them, and a place is free again when one has left', async () => {
    const welcomed = (metadata: CallMetadata): Promise<{ welcome: boolean; cancel: () => void }> =>
      new Promise((resolve) => {
        const call = reach().stream(Path.messages, metadata, {
          onMessage: (message) => {
            const [first] = decodeFrames(message);
            if (first!.kind !== FrameKind.welcome) expect(readTexts(first!, 'code').code).toBe('PEER_BUSY');
            resolve({ welcome: first!.kind === FrameKind.welcome, cancel: () => call.cancel() });
          },
          onEnd() {},
        });
      });
    const many = Array.from({ length: 16 }, (_, number) =>
      namely('http://127.0.0.1:1', BigInt(100 + number)),
    );
    const calls = await Promise.all(many.map(welcomed));
    expect(calls.every(({ welcome }) => welcome)).toBe(true);
    expect((await welcomed(namely('http://127.0.0.1:1', 200n))).welcome).toBe(false);
    await expectServiceForOthers();
    calls[0]!.cancel();
    while (!(await welcomed(namely('http://127.0.0.1:1', 200n))).welcome) {
      // The end of the first one is on its way.
    }
  });

  test.each([
    ['no URLs', 'x'],
    ['too many', Array.from({ length: 9 }, (_, number) => `http://x:${number}`).join(',')],
    ['too long ones', `http://${'x'.repeat(300)}:1`],
    ['blanks', 'http://x :1'],
    ['nothing between two', 'http://x:1,,http://x:2'],
    ['another scheme', 'file://x:1'],
  ])('case-70 who name %s are refused', async (_, urls) => {
    expect((await stream(Path.messages, namely(urls), [])).refusal).toBe('PEER_HANDSHAKE');
  });

  test('what cannot be named is left out', () => {
    const peerUrls = () => ['anything', 'http://\u00fc:1', 'http://a,b:1', 'http://x:1'];
    expect(helloMetadata({ ...ME, peerUrls }, 2n, 'log').get('quorate-peer-urls')).toBe('http://x:1');
  });
});

describe('peers that break the protocol', () => {
  const header = (kind: number, length: number) => {
    const bytes = Buffer.alloc(5);
    bytes[0] = kind;
    bytes.writeUInt32BE(length, 1);
    return bytes;
  };
  const messageFrame = frame(FrameKind.message, Buffer.from('m'));
  const chunkFrame = frame(FrameKind.chunk, Buffer.from('c'));
  const broken: [string, string, Buffer][] = [
    ['a length that lies', Path.messages, header(FrameKind.message, 0xffffffff)],
    ['half a header', Path.messages, Buffer.from([1, 0, 0])],
    ['an empty message', Path.messages, encodeFrames([frame(FrameKind.message)])],
    ['a frame of no kind', Path.messages, encodeFrames([{ kind: 99, bytes: Buffer.from('x') }])],
    [
      'a good frame before a bad one',
      Path.messages,
      Buffer.concat([encodeFrames([messageFrame]), header(1, 9)]),
    ],
    ['a chunk where there is no snapshot', Path.messages, encodeFrames([chunkFrame])],
    ['a ping as long as a message', Path.messages, encodeFrames([frame(FrameKind.ping, Buffer.alloc(100))])],
    ['more frames than any turn has', Path.messages, Buffer.alloc(70_000 * 5, header(FrameKind.ping, 0))],
    [
      'more than a message may hold',
      Path.messages,
      encodeFrames([frame(FrameKind.message, Buffer.alloc(1_500_000))]),
    ],
    ['a chunk before the snapshot', Path.snapshot, encodeFrames([chunkFrame, messageFrame])],
  ];

  test.each(broken)('case-70 %s: the stream ends and nothing is delivered', async (_, path, bytes) => {
    const { kinds, status } = await stream(path, helloMetadata(ME, 2n, 'log'), [bytes]);
    expect(kinds).toEqual([FrameKind.welcome]);
    expect(status).not.toBe('');
    expect(came).toEqual([]);
    await expectServiceForOthers();
  });

  test('case-70 a snapshot of 2 GiB is announced: nothing is allocated for it', async () => {
    const announced = header(FrameKind.chunk, 2 ** 31);
    const before = process.memoryUsage().arrayBuffers;
    const errors: (Error | null)[] = [];
    two.onSnapshot((_from, _message, content) => content.next((error) => errors.push(error)));
    const { status } = await stream(Path.snapshot, helloMetadata(ME, 2n), [
      encodeFrames([messageFrame]),
      Buffer.concat([announced, Buffer.alloc(1_000)]),
    ]);
    expect(status).toContain('longer than its message');
    expect(errors[0]).toBeInstanceOf(Error);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
  });

  test('a call that is none is answered with an error', async () => {
    for (const request of [Buffer.from([1]), encodeFrames([messageFrame]), Buffer.alloc(0)]) {
      const answer = await new Promise<Uint8Array | undefined>((resolve) => {
        reach().unary(Path.call, helloMetadata(ME, 2n), request, (_error, response) => resolve(response));
      });
      expect(readTexts(decodeFrames(answer!)[0]!, 'code').code).toBe('PEER_PROTOCOL');
    }
    expect(came).toEqual([]);
  });
});

describe('other protocols', () => {
  /** Sends bytes and waits for the connection's end. */
  function throwAt(bytes: Uint8Array): Promise<string> {
    return new Promise((resolve) => {
      const socket = connect(Number(two.addresses[0]!.split(':')[1]), '127.0.0.1');
      let answer = '';
      socket.on('data', (chunk) => {
        answer += chunk.toString('latin1');
      });
      socket.on('error', () => {});
      socket.on('close', () => resolve(answer));
      socket.end(bytes);
    });
  }

  test('case-70 random bytes end their own connection only', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, preface) => {
        await throwAt(
          preface ? Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), bytes]) : bytes,
        );
      }),
      { numRuns: 100 },
    );
    expect(came).toEqual([]);
    await expectServiceForOthers();
  });

  test('HTTP/1 gets what etcd answers there, and its garbage a refusal', async () => {
    const version = await fetch(`${urlOf(two)}/version`);
    expect(await version.json()).toEqual({ etcdserver: '3.7.0', etcdcluster: '3.7.0', storage: '3.7.0' });
    const members = await fetch(`${urlOf(two)}/members`);
    expect(members.headers.get('x-etcd-cluster-id')).toBe(CLUSTER_ID.toString(16));
    expect(await members.text()).toBe(
      '[{"id":2,"peerURLs":["http://two:2380"],"name":"two"},' +
        '{"id":18446744073709551615,"peerURLs":["http://x:1"],"isLearner":true,"clientURLs":["http://x:2"]}]\n',
    );
    expect((await fetch(`${urlOf(two)}/version`, { method: 'POST', body: 'x' })).status).toBe(405);
    expect((await fetch(`${urlOf(two)}/v2/keys`)).status).toBe(404);
    expect(await throwAt(Buffer.from('GET / HTTP/9\r\n\0\r\n\r\n'))).toMatch(/^(HTTP\/1.1 400|$)/);
  });
});

describe('joining by URL', () => {
  const { env } = loggingEnv();

  test('the first that answers tells cluster, version and members; ids of 64 bits survive', async () => {
    const view = await fetchCluster(['http://127.0.0.1:1', 'no url', urlOf(two)], { env, timeoutMs: 5_000 });
    expect(view.clusterId).toBe(CLUSTER_ID);
    expect(view.memberId).toBe(2n);
    expect([view.serverVersion, view.clusterVersion]).toEqual(['3.7.0', '3.7.0']);
    expect(view.members.map(({ id }) => id)).toEqual([2n, 2n ** 64n - 1n]);
    expect(view.members[1]!.isLearner).toBe(true);
  });

  test('when none answers, the error says why of each', async () => {
    const asked = fetchCluster(['http://127.0.0.1:1', 'no url'], { env, timeoutMs: 5_000 });
    await expect(asked).rejects.toThrow(/127\.0\.0\.1:1: .*ECONNREFUSED.*; no url: /);
  });

  test('all are asked and answer for themselves', async () => {
    const answers = await fetchAllClusters([urlOf(two), 'http://127.0.0.1:1'], { env, timeoutMs: 5_000 });
    expect(answers.map(({ view }) => view?.memberId ?? null)).toEqual([2n, null]);
    expect(answers[1]!.error).toBeInstanceOf(Error);
  });
});
