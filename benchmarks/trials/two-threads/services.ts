/** What answers in the trial: next to nothing, or the KV service of a member with its log and store. */
import type { UnaryHandler } from '@quorate/grpc-server';
import { PutResponse, RangeResponse, services } from '@quorate/proto';
import { DEFAULT_MEMBER_CONFIG, nodeWorld } from '@quorate/server';
import { createLessor, createServices, startMember } from '@quorate/server/testing';
import type { Methods } from './calls-in.ts';

export type ServiceName = 'trivial' | 'kv';

const { Put, Range, Txn } = services['etcdserverpb.KV'];
const VALUE_BYTES = 256;

export function startService(name: ServiceName, dataDirectory: string): Promise<Methods> {
  return name === 'kv' ? startKv(dataDirectory) : Promise.resolve(trivialMethods());
}

/** Answers of the sizes that the real service gives, ready made: what remains is transport and hand-over. */
function trivialMethods(): Methods {
  const header = { clusterId: 1n, memberId: 1n, revision: 1, raftTerm: 2n };
  const kv = { key: Buffer.alloc(14, 'k'), value: Buffer.alloc(VALUE_BYTES, 'v'), modRevision: 1 };
  return [
    [Put.path, always(PutResponse.encode({ header }))],
    [Range.path, always(RangeResponse.encode({ header, kvs: [kv], count: 1 }))],
  ];
}

function always(answer: Uint8Array): UnaryHandler {
  return { kind: 'unary', handle: (_request, call) => call.reply(answer) };
}

async function startKv(dataDirectory: string): Promise<Methods> {
  const member = await startMember(
    {
      ...DEFAULT_MEMBER_CONFIG,
      name: 'trial',
      dataDirectory,
      initialCluster: [{ name: 'trial', peerUrls: ['http://127.0.0.1:2380'] }],
      clientUrls: [],
    },
    nodeWorld({ log() {} }),
    createLessor,
  );
  const { handlers } = createServices(member);
  return [Put.path, Range.path, Txn.path].map((path) => {
    const handler = handlers.get(path);
    if (handler?.kind !== 'unary') throw new Error(`${path} is a unary method`);
    return [path, handler] as const;
  });
}
