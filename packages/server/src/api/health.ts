/**
 * The standard gRPC health service (grpc.health.v1): Check, List, Watch.
 *
 *   ""         as etcd has it: SERVING for as long as this member takes requests, whatever they may come to; with the
 *              feature gate StopGRPCServiceOnDefrag not during a defragmentation (sem-082)
 *   "readyz"   beyond etcd: SERVING while a leader is known and no alarm is raised, as /health over HTTP
 *
 * The two are apart because clients that check health by themselves ask for "" and drop a member that does not serve.
 * With no leader or no space left, reads of local data, deletions and the clearing of alarms must still get through.
 */
import {
  type Handler,
  Status,
  type StreamCall,
  type StreamListener,
  type UnaryCall,
} from '@quorate/grpc-server';
import {
  type HealthCheckRequest,
  HealthCheckResponse,
  HealthListResponse,
  HealthCheckResponse_ServingStatus as Serving,
  services,
} from '@quorate/proto';
import type { Timer } from '../env.ts';
import type { Member } from '../member.ts';
import { statusOfCode, statusOfError } from './error-map.ts';
import { refuseByMetadata } from './guard.ts';
import { unaryMethod } from './unary.ts';

export const READINESS = 'readyz';

export type HealthMember = Pick<Member, 'env' | 'leader' | 'ended' | 'alarms' | 'onLeaderChange'>;

export interface HealthService {
  readonly handlers: readonly (readonly [path: string, handler: Handler])[];
  /** A defragmentation begins or ends, and clients are to go elsewhere meanwhile. */
  rests(resting: boolean): void;
  /** From here on the member does not serve; watching callers hear it as their last answer. */
  close(): void;
}

/** Alarms change without telling anybody: between two looks, while somebody watches. */
const LOOK_MS = 1_000;

interface Watcher {
  readonly call: StreamCall;
  readonly name: string;
  told: number | null;
  /** The caller has not read the last answer yet; the newest waits. */
  blocked: boolean;
}

export function createHealthService(member: HealthMember): HealthService {
  const { Check, List, Watch } = services['grpc.health.v1.Health'];
  const watchers = new Set<Watcher>();
  let closed = false;
  let restingCount = 0;
  let timer: Timer | null = null;

  /** Null: no such service. */
  function statusOf(name: string): number | null {
    if (name !== '' && name !== READINESS) return null;
    const serves = !closed && !member.ended && restingCount === 0;
    const ready = name === '' || (member.leader !== 0n && member.alarms().length === 0);
    return serves && ready ? Serving.SERVING : Serving.NOT_SERVING;
  }

  function tell(watcher: Watcher): void {
    const status = statusOf(watcher.name) ?? Serving.SERVICE_UNKNOWN;
    if (watcher.blocked || watcher.told === status) return;
    watcher.told = status;
    if (watcher.call.write(HealthCheckResponse.encode({ status }))) return;
    watcher.blocked = true;
    watcher.call.onDrain(() => {
      watcher.blocked = false;
      if (watchers.has(watcher)) tell(watcher);
    });
  }

  function look(): void {
    for (const watcher of watchers) tell(watcher);
    if (timer === null && watchers.size > 0 && !closed && !member.ended) {
      timer = member.env.setTimer(LOOK_MS, () => {
        timer = null;
        look();
      });
    }
  }

  function remove(watcher: Watcher): void {
    watchers.delete(watcher);
    if (watchers.size > 0) return;
    timer?.cancel();
    timer = null;
  }

  function watch(call: StreamCall): StreamListener {
    let watcher: Watcher | null = null;
    return {
      onMessage(message) {
        if (watcher !== null) return;
        let request: HealthCheckRequest;
        try {
          request = Watch.request.decode(message);
        } catch (error) {
          const { status, message: text } = statusOfError(error as Error);
          call.end(status, text);
          return;
        }
        const refusal = closed ? null : member.ended ? 'SERVER_STOPPED' : refuseByMetadata(call, member);
        if (refusal !== null) {
          const { status, message: text } = statusOfCode(refusal);
          call.end(status, text);
          return;
        }
        const added: Watcher = { call, name: request.service, told: null, blocked: false };
        watcher = added;
        if (closed) {
          const { status, message: text } = statusOfCode('SERVER_STOPPED');
          tell(added);
          call.end(status, text);
          return;
        }
        watchers.add(added);
        call.onCancel(() => remove(added));
        look();
      },
      onHalfClose() {
        if (watcher === null) call.end();
      },
    };
  }

  member.onLeaderChange(() => look());
  return {
    handlers: [
      [
        Check.path,
        unaryMethod(
          member,
          (bytes) => Check.request.decode(bytes),
          ({ service }, call: UnaryCall) => {
            const status = statusOf(service);
            if (status === null) call.fail(Status.NOT_FOUND, 'unknown service');
            else call.reply(HealthCheckResponse.encode({ status }));
          },
        ),
      ],
      [
        List.path,
        unaryMethod(
          member,
          (bytes) => List.request.decode(bytes),
          (_request, call) => {
            const statuses = new Map(['', READINESS].map((name) => [name, { status: statusOf(name)! }]));
            call.reply(HealthListResponse.encode({ statuses }));
          },
        ),
      ],
      [Watch.path, { kind: 'stream', open: watch }],
    ],
    rests(resting) {
      restingCount += resting ? 1 : -1;
      look();
    },
    close() {
      closed = true;
      for (const watcher of [...watchers]) {
        tell(watcher);
        remove(watcher);
        const { status, message } = statusOfCode('SERVER_STOPPED');
        watcher.call.end(status, message);
      }
    },
  };
}
