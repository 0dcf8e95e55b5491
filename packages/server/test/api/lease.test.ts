/**
 * The Lease service as its callers see it.
 */
import { Status } from '@quorate/grpc-server';
import {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesRequest,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from '@quorate/proto';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { ResponseHeader } from '../../src/api/header.ts';
import { decodeKeepAliveRequest, encodeKeepAliveResponse } from '../../src/api/keep-alive.ts';
import { createLeaseService, type LeaseService } from '../../src/api/lease.ts';
import { DomainError } from '../../src/errors.ts';
import { NO_PEERS } from '../../src/network.ts';
import { TestStreamCall, TestUnaryCall } from '../support/calls.ts';
import { LeaseWorld } from '../support/lease-world.ts';
import { TEST_LIMITS } from '../support/watch-client.ts';

let world: LeaseWorld;
let service: LeaseService;
let member: {
  leader: bigint;
  committedIndex: number;
  memberCount: number;
  confirmReadError: Error | null;
  confirmedReads: number;
};
let onLeaderChange: (leader: bigint) => void;

beforeEach(() => {
  world = new LeaseWorld();
  world.lessor.promote(0);
  member = { leader: 1n, committedIndex: 0, memberCount: 1, confirmReadError: null, confirmedReads: 0 };
  onLeaderChange = () => {};
  service = createLeaseService(
    {
      env: world.env as never,
      ended: false,
      memberId: 22n,
      network: NO_PEERS,
      store: world.store as never,
      lessor: world.lessor,
      limits: TEST_LIMITS,
      get leader() {
        return member.leader;
      },
      get committedIndex() {
        return member.committedIndex;
      },
      get appliedIndex() {
        return world.store.appliedIndex;
      },
      members: () => Array.from({ length: member.memberCount }, () => ({}) as never),
      propose: (operation, _bytes, _deadline, done) => world.propose(operation, done),
      confirmRead: (_deadline, done) => {
        member.confirmedReads += 1;
        world.env.setTimer(5, () => done(member.confirmReadError));
      },
      onLeaderChange: (listener) => {
        const earlier = onLeaderChange;
        onLeaderChange = (leader) => {
          earlier(leader);
          listener(leader);
        };
      },
    },
    new ResponseHeader(11n, 22n, { term: 3 }),
  );
});

function handler(method: string) {
  return new Map(service.handlers).get(`/etcdserverpb.Lease/${method}`)!;
}

/** Makes the call and lets two seconds pass. */
function call(method: string, request: Uint8Array): TestUnaryCall {
  const unary = new TestUnaryCall(method, {});
  const target = handler(method);
  if (target.kind !== 'unary') throw new Error('a unary handler is wanted');
  target.handle(request, unary);
  world.env.advance(10);
  return unary;
}

function grant(fields: Parameters<typeof LeaseGrantRequest.encode>[0]): LeaseGrantResponse {
  return LeaseGrantResponse.decode(call('LeaseGrant', LeaseGrantRequest.encode(fields)).response!);
}

function timeToLive(ID: bigint, keys = false): LeaseTimeToLiveResponse {
  const answer = call('LeaseTimeToLive', LeaseTimeToLiveRequest.encode({ ID, keys }));
  return LeaseTimeToLiveResponse.decode(answer.response!);
}

function keepAlive(metadata: Record<string, string> = {}): TestStreamCall {
  return new TestStreamCall('/etcdserverpb.Lease/LeaseKeepAlive', metadata).open(handler('LeaseKeepAlive'));
}

function ask(stream: TestStreamCall, ...ids: bigint[]): void {
  stream.send(...ids.map((ID) => LeaseKeepAliveRequest.encode({ ID })));
}

function answers(stream: TestStreamCall): [id: bigint, ttl: bigint][] {
  return stream.take().map((message) => {
    const { ID, TTL } = LeaseKeepAliveResponse.decode(message);
    return [ID, TTL];
  });
}

const header = { clusterId: 11n, memberId: 22n, revision: 1n, raftTerm: 3n };

describe('LeaseGrant', () => {
  it('sem-001 sem-085 sem-086 answers header, id and effective TTL, no error text', () => {
    expect(grant({ ID: 77n, TTL: 60n })).toEqual({ header, ID: 77n, TTL: 60n, error: '' });
  });

  it('sem-083 case-55 id 0 is a random positive one, negative ids are taken as they are', () => {
    const ids = new Set<bigint>();
    for (let i = 0; i < 50; i++) ids.add(grant({ TTL: 60n }).ID);
    expect(ids.size).toBe(50);
    for (const id of ids) expect(id).toBeGreaterThan(0n);
    expect(grant({ ID: -(2n ** 63n), TTL: 60n }).ID).toBe(-(2n ** 63n));
    expect(grant({ ID: 2n ** 63n - 1n, TTL: 60n }).ID).toBe(2n ** 63n - 1n);
  });

  it('sem-083 err-ErrGRPCLeaseExist', () => {
    grant({ ID: 77n, TTL: 60n });
    expect(call('LeaseGrant', LeaseGrantRequest.encode({ ID: 77n, TTL: 60n })).failure).toEqual({
      status: Status.FAILED_PRECONDITION,
      message: 'etcdserver: lease already exists',
    });
  });

  it('sem-084 case-55 a TTL below the minimum, 0 or negative is raised to it', () => {
    for (const TTL of [1n, 0n, -1n, -(2n ** 63n)]) expect(grant({ TTL }).TTL).toBe(2n);
    expect(grant({ TTL: 3n }).TTL).toBe(3n);
  });

  it('sem-084 case-55 err-ErrGRPCLeaseTTLTooLarge', () => {
    expect(grant({ TTL: 9_000_000_000n }).TTL).toBe(9_000_000_000n);
    for (const TTL of [9_000_000_001n, 2n ** 63n - 1n]) {
      expect(call('LeaseGrant', LeaseGrantRequest.encode({ TTL })).failure).toEqual({
        status: Status.OUT_OF_RANGE,
        message: 'etcdserver: too large lease TTL',
      });
    }
  });

  it('garbage is refused', () => {
    expect(call('LeaseGrant', Uint8Array.of(0x0a, 0xff)).failure!.status).toBe(Status.INTERNAL);
  });
});

describe('LeaseRevoke', () => {
  it('sem-087 answers the header with the revision after the deletes', () => {
    grant({ ID: 77n, TTL: 60n });
    world.store.put('k', 'v', 77n);
    const answer = call('LeaseRevoke', LeaseRevokeRequest.encode({ ID: 77n }));
    expect(LeaseRevokeResponse.decode(answer.response!).header).toEqual({ ...header, revision: 3n });
    expect(world.exists('k')).toBe(false);
  });

  it('sem-087 err-ErrGRPCLeaseNotFound', () => {
    expect(call('LeaseRevoke', LeaseRevokeRequest.encode({ ID: 1n })).failure).toEqual({
      status: Status.NOT_FOUND,
      message: 'etcdserver: requested lease not found',
    });
  });
});

describe('LeaseTimeToLive and LeaseLeases', () => {
  it('sem-098 whole seconds left, granted TTL, keys when asked', () => {
    grant({ ID: 77n, TTL: 60n });
    world.store.put('b', 'v', 77n);
    world.store.put('a', 'v', 77n);
    world.env.advance(9_000);
    expect(timeToLive(77n)).toMatchObject({ ID: 77n, TTL: 50n, grantedTTL: 60n, keys: [] });
    expect(timeToLive(77n, true).keys.map((key) => Buffer.from(key).toString())).toEqual(['a', 'b']);
  });

  it('sem-098 an unknown lease has TTL -1, granted TTL 0, and no error', () => {
    expect(timeToLive(404n, true)).toEqual({ header, ID: 404n, TTL: -1n, grantedTTL: 0n, keys: [] });
  });

  it('sem-099 ids in order of expiry', () => {
    grant({ ID: 1n, TTL: 60n });
    grant({ ID: 2n, TTL: 30n });
    const answer = call('LeaseLeases', LeaseLeasesRequest.encode({}));
    expect(LeaseLeasesResponse.decode(answer.response!)).toEqual({
      header,
      leases: [{ ID: 2n }, { ID: 1n }],
    });
  });

  it('sem-092 in a cluster the answer waits for proof of leadership', () => {
    grant({ ID: 1n, TTL: 60n });
    member.memberCount = 3;
    expect(timeToLive(1n)).toMatchObject({ TTL: 59n });
    expect(member.confirmedReads).toBe(1);
  });
});

describe('LeaseKeepAlive', () => {
  it('sem-089 one answer per request, in order, with the granted TTL; unknown leases have TTL 0', () => {
    grant({ ID: 1n, TTL: 60n });
    grant({ ID: 2n, TTL: 30n });
    const stream = keepAlive();
    ask(stream, 2n, 404n, 1n, 2n);
    expect(answers(stream)).toEqual([
      [2n, 30n],
      [404n, 0n],
      [1n, 60n],
      [2n, 30n],
    ]);
    expect(stream.ended).toBeNull();
  });

  it('sem-090 the header is of before the renewal', () => {
    grant({ ID: 1n, TTL: 60n });
    member.memberCount = 3;
    const stream = keepAlive();
    ask(stream, 1n);
    world.store.put('k');
    world.env.advance(10);
    const [message] = stream.take();
    expect(LeaseKeepAliveResponse.decode(message!)).toEqual({ header, ID: 1n, TTL: 60n });
  });

  it('sem-094 case-54 an expired lease holds up its stream until it is revoked, then answers 0', () => {
    grant({ ID: 1n, TTL: 2n });
    grant({ ID: 2n, TTL: 60n });
    world.commitMs = 500;
    world.env.advance(2_000);
    const stream = keepAlive();
    const other = keepAlive();
    ask(stream, 1n, 2n);
    ask(other, 2n);
    expect(answers(stream)).toEqual([]);
    expect(stream.paused).toBe(true);
    expect(answers(other)).toEqual([[2n, 60n]]);
    world.env.advance(600);
    expect(answers(stream)).toEqual([
      [1n, 0n],
      [2n, 60n],
    ]);
    expect(stream.paused).toBe(false);
  });

  it('sem-091 without a leader it looks for one every 50 ms', () => {
    grant({ ID: 1n, TTL: 60n });
    world.lessor.demote();
    const stream = keepAlive();
    ask(stream, 1n);
    world.env.advance(3_000);
    expect(answers(stream)).toEqual([]);
    world.lessor.promote(0);
    world.env.advance(60);
    expect(answers(stream)).toEqual([[1n, 60n]]);
  });

  it('sem-091 err-ErrGRPCNoLeader err-ErrGRPCTimeout and gives up after the request timeout', () => {
    world.lessor.demote();
    member.leader = 0n;
    const leaderless = keepAlive();
    ask(leaderless, 1n);
    world.env.advance(7_001);
    expect(leaderless.ended).toEqual({ status: Status.UNAVAILABLE, message: 'etcdserver: no leader' });
    member.leader = 9n;
    const elsewhere = keepAlive();
    ask(elsewhere, 1n);
    world.env.advance(7_001);
    expect(elsewhere.ended).toEqual({ status: Status.UNAVAILABLE, message: 'etcdserver: request timed out' });
  });

  it('sem-093 err-lease.ErrNotPrimary a leader that cannot prove it ends the stream', () => {
    grant({ ID: 1n, TTL: 60n });
    member.memberCount = 3;
    member.confirmReadError = new DomainError('REQUEST_TIMED_OUT');
    const stream = keepAlive();
    ask(stream, 1n);
    world.env.advance(10);
    expect(stream.ended).toEqual({ status: Status.UNKNOWN, message: 'not a primary lessor' });
  });

  it('sem-092 err-ErrGRPCTimeoutWaitAppliedIndex when applying takes too long', () => {
    member.committedIndex = 1_000;
    member.confirmReadError = new DomainError('REQUEST_TIMED_OUT');
    const stream = keepAlive();
    ask(stream, 1n);
    world.env.advance(10);
    expect(stream.ended).toEqual({
      status: Status.UNAVAILABLE,
      message: 'etcdserver: request timed out, waiting for the applied index took too long',
    });
  });

  it('ends OK when the caller has ended its side and all is answered', () => {
    grant({ ID: 1n, TTL: 60n });
    member.memberCount = 3;
    const stream = keepAlive();
    ask(stream, 1n, 1n);
    stream.halfClose();
    expect(stream.ended).toBeNull();
    world.env.advance(20);
    expect(answers(stream)).toHaveLength(2);
    expect(stream.ended).toEqual({ status: Status.OK, message: '' });
  });

  it('a caller that does not read is not read from', () => {
    grant({ ID: 1n, TTL: 60n });
    const stream = keepAlive();
    stream.highWaterBytes = 200;
    stream.stall();
    for (let i = 0; i < 100; i++) ask(stream, 1n);
    expect(stream.paused).toBe(true);
    expect(stream.queuedBytes).toBeLessThan(300);
    stream.drain();
    expect(answers(stream)).toHaveLength(100);
    expect(stream.paused).toBe(false);
  });

  it('a cancelled call leaves nothing behind', () => {
    world.lessor.demote();
    const stream = keepAlive();
    ask(stream, 1n);
    stream.cancel();
    world.env.advance(100);
    expect(world.env.timerCount).toBe(0);
  });

  it('garbage ends the call', () => {
    const stream = keepAlive();
    stream.send(Uint8Array.of(0x0a, 0x01, 0x01));
    expect(stream.ended!.status).toBe(Status.INTERNAL);
  });

  it('err-ErrGRPCStopped the member stops', () => {
    const stream = keepAlive();
    service.close();
    const stopped = { status: Status.UNAVAILABLE, message: 'etcdserver: server stopped' };
    expect(stream.ended).toEqual(stopped);
    expect(keepAlive().ended).toEqual(stopped);
  });

  it('sem-008 sem-009 a stream that insists on a leader ends without one', () => {
    const insists = keepAlive({ hasleader: 'true' });
    const patient = keepAlive();
    member.leader = 0n;
    onLeaderChange(0n);
    world.env.advance(3_001);
    expect(insists.ended).toEqual({ status: Status.UNAVAILABLE, message: 'etcdserver: no leader' });
    expect(patient.ended).toBeNull();
    expect(keepAlive({ hasleader: 'true' }).ended?.message).toBe('etcdserver: no leader');
  });
});

describe('keep-alive bytes', () => {
  it('equal the generated codecs for any id', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.nat(),
        fc.nat(),
        (ID, TTL, revision) => {
          expect(decodeKeepAliveRequest(LeaseKeepAliveRequest.encode({ ID }))).toBe(ID);
          const bytes = encodeKeepAliveResponse(new ResponseHeader(1n, 2n, { term: 3 }), revision, ID, TTL);
          const expected = LeaseKeepAliveResponse.encode({
            header: { clusterId: 1n, memberId: 2n, revision, raftTerm: 3 },
            ID,
            TTL,
          });
          expect(Buffer.from(bytes)).toEqual(Buffer.from(expected));
        },
      ),
    );
  });
});
