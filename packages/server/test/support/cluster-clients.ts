/** Callers of the members of a simulated cluster: one set of services per member, unary calls and streams on them. */
import type { HandlerTable, Status } from '@quorate/grpc-server';
import {
  type Codec,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  type MethodDescriptor,
  services,
} from '@quorate/proto';
import { createServices } from '../../src/api/services.ts';
import type { Member } from '../../src/member.ts';
import { TestStreamCall } from './calls.ts';
import { call, type Headers } from './direct-calls.ts';
import type { SimCluster } from './sim-cluster.ts';

const handlers = new WeakMap<Member, HandlerTable>();

/** As one server has them: made once a member. */
export function handlersOf(member: Member): HandlerTable {
  let table = handlers.get(member);
  if (table === undefined) {
    table = createServices(member).handlers;
    handlers.set(member, table);
  }
  return table;
}

/** A unary call on one member; time passes until it is answered. */
export function ask<Request, Response>(
  cluster: SimCluster,
  member: Member,
  method: MethodDescriptor<Request, Response>,
  request: Parameters<Codec<Request>['encode']>[0],
  headers: Headers = {},
): Promise<Response> {
  return cluster.until(call(handlersOf(member), method, request, headers));
}

/** Status and text of a refusal. */
export function refusalOf(answer: Promise<unknown>): Promise<[Status, string] | 'no refusal'> {
  return answer.then(
    () => 'no refusal' as const,
    (error) => [error.status, error.message],
  );
}

export function openStream(member: Member, path: string, headers: Headers = {}): TestStreamCall {
  return new TestStreamCall(path, headers).open(handlersOf(member).get(path)!);
}

/** A stream of renewals. */
export class KeepAlive {
  readonly stream: TestStreamCall;
  readonly #cluster: SimCluster;

  constructor(cluster: SimCluster, member: Member, headers: Headers = {}) {
    this.#cluster = cluster;
    this.stream = openStream(member, services['etcdserverpb.Lease'].LeaseKeepAlive.path, headers);
  }

  send(id: bigint): void {
    this.stream.send(LeaseKeepAliveRequest.encode({ ID: id }));
  }

  /** @returns the TTL of the answer, or the text of the stream's end */
  async renew(id: bigint, limitMs = 20_000): Promise<bigint | string> {
    this.send(id);
    const answered = () => this.stream.messages.length > 0 || this.stream.ended !== null;
    await this.#cluster.eventually(answered, limitMs);
    const [message] = this.stream.take();
    return message === undefined ? this.stream.ended!.message : LeaseKeepAliveResponse.decode(message).TTL;
  }
}
