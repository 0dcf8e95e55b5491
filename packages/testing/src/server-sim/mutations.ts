/**
 * Where a member can be broken on purpose: the seams between its parts, each with a wrapper that changes nothing by default.
 *
 * Production code knows nothing of this. What the wrappers exchange are the interfaces that a member is built from anyway.
 * `mutants.ts` holds the broken ones.
 */
import type { HandlerTable } from '@quorate/grpc-server';
import type { Backend, Store } from '@quorate/mvcc';
import type { RaftConfig, RawNode } from '@quorate/raft';
import type { Env, Member, Network } from '@quorate/server';
import type { Lessor } from '@quorate/server/testing';
import type { Disk } from '@quorate/wal';

export interface Mutations {
  disk(disk: Disk): Disk;
  /** @param visit a place where the member may crash */
  backend(backend: Backend, visit: (failpoint: string) => void): Backend;
  network(network: Network): Network;
  store<S extends Store>(store: S, env: Env): S;
  lessor(lessor: Lessor, member: Member): Lessor;
  /** Asks the member whether a read may be answered. */
  confirmRead(member: Member, deadlineMs: number, done: (error: Error | null) => void): void;
  handlers(handlers: HandlerTable, member: Member): HandlerTable;
  /** Null: raft as it is. */
  readonly node: ((config: RaftConfig) => RawNode) | null;
}

export const SOUND: Mutations = {
  disk: (disk) => disk,
  backend: (backend) => backend,
  network: (network) => network,
  store: (store) => store,
  lessor: (lessor) => lessor,
  confirmRead: (member, deadlineMs, done) => member.confirmRead(deadlineMs, done),
  handlers: (handlers) => handlers,
  node: null,
};
