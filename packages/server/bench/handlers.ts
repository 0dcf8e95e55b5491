/**
 * Processor time of one request between the transport and its answer: handlers of a real member, called in-process.
 *
 *     node --conditions=@quorate/source --max-semi-space-size=32 packages/server/bench/handlers.ts
 *
 * 64 requests are always under way, as 64 clients would have them. "main" is the thread that everything here runs on,
 * "all" adds the threads of log and store. The first round warms up and is not shown.
 */
import type { UnaryCall } from '@quorate/grpc-server';
import { PutRequest, RangeRequest, services, TxnRequest } from '@quorate/proto';
import { type RunningMember, runMember } from '../test/support/running-member.ts';

const KEYS = 20_000;
const UNDER_WAY = 64;

const key = (index: number) =>
  Buffer.from(`/registry/pods/default/pod-${String(index % KEYS).padStart(8, '0')}`);
const value = Buffer.alloc(256, 7);
const KV = services['etcdserverpb.KV'];

const cases = [
  ['put, 256 B', KV.Put.path, 50_000, (index: number) => PutRequest.encode({ key: key(index), value })],
  ['get', KV.Range.path, 100_000, (index: number) => RangeRequest.encode({ key: key(index) })],
  [
    'get, serializable',
    KV.Range.path,
    100_000,
    (index: number) => RangeRequest.encode({ key: key(index), serializable: true }),
  ],
  [
    'txn: compare and put',
    KV.Txn.path,
    50_000,
    (index: number) =>
      TxnRequest.encode({
        compare: [{ key: key(index), target: 2, result: 1, modRevision: 0n }],
        success: [{ requestPut: { key: key(index), value } }],
        failure: [{ requestRange: { key: key(index) } }],
      }),
  ],
] as const;

interface Cost {
  readonly mainUs: number;
  readonly allUs: number;
}

function measure(
  member: RunningMember,
  path: string,
  count: number,
  requests: readonly Uint8Array[],
): Promise<Cost> {
  const handler = member.services.handlers.get(path);
  if (handler?.kind !== 'unary') throw new Error('no such method');
  return new Promise((resolve, reject) => {
    let sent = 0;
    let answered = 0;
    let idle = UNDER_WAY;
    let scheduled = false;
    const thread = process.threadCpuUsage();
    const all = process.cpuUsage();
    const call: UnaryCall = {
      path,
      metadata: { get: () => undefined, entries: () => [] },
      deadlineMs: Number.POSITIVE_INFINITY,
      peer: '',
      peerCommonName: '',
      cancelled: false,
      onCancel() {},
      setHeaders() {},
      setTrailers() {},
      reply() {
        answered++;
        idle++;
        // One turn for all that are answered together; none while nothing is, which would count as work.
        if (!scheduled) setImmediate(turn);
        scheduled = true;
      },
      fail: (_status, message) => reject(new Error(message)),
    };
    const turn = (): void => {
      scheduled = false;
      for (; idle > 0 && sent < count; idle--) handler.handle(requests[sent++ % requests.length]!, call);
      if (answered < count) return;
      const main = process.threadCpuUsage(thread);
      const total = process.cpuUsage(all);
      resolve({ mainUs: (main.user + main.system) / count, allUs: (total.user + total.system) / count });
    };
    turn();
  });
}

const member = await runMember();
for (const round of [0, 1, 2]) {
  for (const [name, path, count, make] of cases) {
    const requests = Array.from({ length: 1000 }, (_, index) => make(index * 7));
    const { mainUs, allUs } = await measure(member, path, count, requests);
    if (round > 0) console.log(`${name}: ${mainUs.toFixed(1)} us main, ${allUs.toFixed(1)} us all`);
  }
}
await member.stop();
