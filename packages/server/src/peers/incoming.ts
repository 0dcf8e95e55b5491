/**
 * The streams and calls that peers open here, as a handler table for `@quorate/grpc-server`.
 *
 * Every one is judged by its metadata first (`handshake.ts`); nothing of a stranger is read further. What follows is
 * decoded with every length checked, and the first thing that is not as it should be ends the stream: no byte of it gets to
 * the listeners. A peer has one stream of messages for each channel and one snapshot; a new one ends the one before it, which must have
 * died without us noticing.
 */
import {
  type Handler,
  type HandlerTable,
  type Metadata,
  Status,
  type StreamCall,
  type StreamListener,
  type UnaryCall,
} from '@quorate/grpc-server';
import type { Env, Timer } from '../env.ts';
import { formatId } from '../membership/ids.ts';
import type { CallHandler, SnapshotListener } from '../network.ts';
import { encodeCluster } from './cluster-view.ts';
import { failureOf, PeerError } from './errors.ts';
import { decodeFrames, encodeFrames, type Frame, FrameKind, frame, jsonFrame } from './frames.ts';
import {
  type Caller,
  type Identity,
  isRefusal,
  judge,
  Path,
  PONG,
  type Refusal,
  refusalFrame,
  statusOfRefusal,
  welcomeFrame,
} from './handshake.ts';
import type { LogGate } from './log-gate.ts';
import type { ClusterView, PeerLimits } from './options.ts';
import { SnapshotIntake } from './snapshot-intake.ts';
import type { PeerTraffic } from './traffic.ts';

export interface IncomingHost {
  /** A member, or one who introduced itself. */
  isKnown(id: bigint): boolean;
  isRemoved(id: bigint): boolean;
  /** Somebody who may not be known yet says where it is reached. @returns whether it is let in */
  introduced(from: bigint, peerUrls: readonly string[]): boolean;
  /** The last stream of it has ended. */
  left(from: bigint): void;
  /** Of one who was let in. */
  traffic(from: bigint): PeerTraffic;
  /** A peer was let in: it is there. */
  heard(from: bigint): void;
  message(from: bigint, bytes: Uint8Array): void;
  snapshotListener(): SnapshotListener | null;
  callHandler(method: string): CallHandler | null;
  describe(): ClusterView;
}

export interface IncomingParts {
  readonly env: Env;
  readonly own: Identity;
  readonly limits: PeerLimits;
  readonly gate: LogGate;
  readonly host: IncomingHost;
}

/** Answers to pings that the peer does not read: more are not written. */
const MAX_UNREAD_PONG_BYTES = 64 * 1024;

interface Open {
  readonly from: bigint;
  readonly call: StreamCall;
}

const DEAF: StreamListener = { onMessage() {}, onHalfClose() {} };

export class Incoming {
  readonly #parts: IncomingParts;
  /** By peer and channel. */
  readonly #streams = new Map<string, Open>();
  readonly #snapshots = new Map<bigint, { readonly call: StreamCall; readonly intake: SnapshotIntake }>();

  constructor(parts: IncomingParts) {
    this.#parts = parts;
  }

  get handlers(): HandlerTable {
    return new Map<string, Handler>([
      [Path.messages, { kind: 'stream', open: (call) => this.#openMessages(call) }],
      [Path.snapshot, { kind: 'stream', open: (call) => this.#openSnapshot(call) }],
      [Path.call, { kind: 'unary', handle: (request, call) => this.#answer(request, call) }],
      [
        Path.cluster,
        { kind: 'unary', handle: (_, call) => call.reply(encodeCluster(this.#parts.host.describe())) },
      ],
    ]);
  }

  /** Ends the streams of those who are not known any more, and tells them so. */
  membershipChanged(): void {
    const { host } = this.#parts;
    const open = [
      ...this.#streams.values(),
      ...[...this.#snapshots].map(([from, { call }]) => ({ from, call })),
    ];
    for (const { from, call } of open) {
      if (host.isKnown(from)) continue;
      const refusal: Refusal = host.isRemoved(from)
        ? {
            code: 'PEER_REMOVED',
            message: `member ${formatId(from)} has been removed from the cluster`,
            from,
          }
        : { code: 'PEER_UNKNOWN', message: `${formatId(from)} is not a member of this cluster`, from };
      this.#refuse(call, refusal);
    }
  }

  close(): void {
    for (const { call } of this.#streams.values()) call.end(Status.UNAVAILABLE, 'this member is stopping');
    for (const { call } of this.#snapshots.values()) call.end(Status.UNAVAILABLE, 'this member is stopping');
    this.#streams.clear();
    const error = new PeerError('PEER_CLOSED', 'this member is stopping');
    for (const { intake } of this.#snapshots.values()) intake.fail(error);
    this.#snapshots.clear();
  }

  // ── Messages ───────────────────────────────────────────────────────────────────────────────────────────────────

  #openMessages(call: StreamCall): StreamListener {
    const caller = this.#letIn(call, ['control', 'log']);
    if (caller === null) return DEAF;
    const { host } = this.#parts;
    const { from } = caller;
    const key = `${from}/${caller.channel}`;
    this.#streams.get(key)?.call.end(Status.ABORTED, 'replaced by a newer stream');
    const open: Open = { from, call };
    this.#streams.set(key, open);
    const forget = (): void => {
      if (this.#streams.get(key) !== open) return;
      this.#streams.delete(key);
      this.#lookWhetherLeft(from);
    };
    call.onCancel(forget);
    host.heard(from);
    return {
      onMessage: (bytes) => {
        const frames = this.#decode(call, caller, bytes, (frame) => {
          if (frame.kind === FrameKind.ping) return frame.bytes.length <= 16;
          return frame.kind === FrameKind.message && frame.bytes.length > 0;
        });
        if (frames === null) {
          forget();
          return;
        }
        for (const frame of frames) {
          if (this.#streams.get(key) !== open) return;
          if (frame.kind === FrameKind.message) host.message(from, frame.bytes);
          else if (call.queuedBytes < MAX_UNREAD_PONG_BYTES) call.write(encodeFrames([PONG(frame)]));
        }
      },
      onHalfClose: () => {
        forget();
        call.end();
      },
    };
  }

  // ── Snapshots ──────────────────────────────────────────────────────────────────────────────────────────────────

  #openSnapshot(call: StreamCall): StreamListener {
    const caller = this.#letIn(call, null);
    if (caller === null) return DEAF;
    const { env, host, limits } = this.#parts;
    const { from } = caller;
    const traffic = host.traffic(from);
    const listener = host.snapshotListener();
    if (listener === null) {
      this.#refuse(call, { code: 'PEER_BUSY', message: 'no snapshots are taken in here now', from });
      return DEAF;
    }
    // A peer sends one at a time: whoever sent the one before has died without us noticing.
    const older = this.#snapshots.get(from);
    if (older !== undefined) {
      this.#snapshots.delete(from);
      older.call.end(Status.ABORTED, 'replaced by a newer snapshot');
      older.intake.fail(new PeerError('PEER_UNREACHABLE', 'the snapshot was interrupted'));
    }
    const counted = traffic.snapshotsReceived.begin(env.monotonicMs());
    let isTaken = false;
    const intake = new SnapshotIntake(call, limits.snapshotWindowBytes, () => {
      if (!isTaken) traffic.receivedFailures++;
      counted(isTaken, env.monotonicMs());
    });
    const open = { call, intake };
    let isBegun = false;
    let alive: Timer | null = null;
    const forget = (): void => {
      alive?.cancel();
      if (this.#snapshots.get(from) !== open) return;
      this.#snapshots.delete(from);
      this.#lookWhetherLeft(from);
    };
    const conclude = (error: Error | null): void => {
      if (this.#snapshots.get(from) !== open) return;
      forget();
      isTaken = error === null;
      const outcome =
        error === null ? frame(FrameKind.success) : jsonFrame(FrameKind.failure, failureOf(error));
      call.write(encodeFrames([outcome]));
      call.end();
      // Whoever is still asking for chunks gets no more.
      intake.fail(new PeerError('PEER_CLOSED', 'the snapshot is done'));
    };
    this.#snapshots.set(from, open);
    alive = this.#sayAlive(call, () => this.#snapshots.get(from) === open);
    call.onCancel(() => {
      forget();
      intake.fail(new PeerError('PEER_UNREACHABLE', 'the snapshot was interrupted'));
    });
    return {
      onMessage: (bytes) => {
        const frames = this.#decode(call, caller, bytes, (part) => {
          if (part.kind === FrameKind.message) return !isBegun;
          return (
            isBegun && !intake.isComplete && (part.kind === FrameKind.chunk || part.kind === FrameKind.end)
          );
        });
        if (frames === null) {
          forget();
          intake.fail(new PeerError('PEER_PROTOCOL', 'the snapshot stream was damaged'));
          return;
        }
        for (const part of frames) {
          if (this.#snapshots.get(from) !== open) return;
          if (part.kind === FrameKind.message) {
            isBegun = true;
            listener(from, part.bytes, intake, conclude);
          } else if (part.kind === FrameKind.chunk) intake.add(part.bytes);
          else intake.complete();
        }
      },
      onHalfClose: () => {
        if (intake.isComplete) return;
        forget();
        call.end(Status.INVALID_ARGUMENT, 'the snapshot is not complete');
        intake.fail(new PeerError('PEER_PROTOCOL', 'the snapshot is not complete'));
      },
    };
  }

  #sayAlive(call: StreamCall, isOpen: () => boolean): Timer {
    const { env, limits } = this.#parts;
    let timer: Timer;
    const arm = (): void => {
      timer = env.setTimer(limits.pingIntervalMs, () => {
        if (!isOpen()) return;
        if (call.queuedBytes < MAX_UNREAD_PONG_BYTES) call.write(encodeFrames([frame(FrameKind.alive)]));
        arm();
      });
    };
    arm();
    return { cancel: () => timer.cancel() };
  }

  // ── Calls ──────────────────────────────────────────────────────────────────────────────────────────────────────

  #answer(request: Uint8Array, call: UnaryCall): void {
    const judged = this.#judge(call.metadata, call.peer, false);
    if (isRefusal(judged)) {
      call.reply(encodeFrames([refusalFrame(this.#parts.own, judged)]));
      return;
    }
    this.#parts.host.traffic(judged.from).receivedBytes += request.length;
    const reply = (error: Error | null, response: Uint8Array | null): void => {
      const outcome =
        error === null
          ? frame(FrameKind.body, response ?? new Uint8Array(0))
          : jsonFrame(FrameKind.failure, failureOf(error));
      call.reply(encodeFrames([outcome]));
    };
    let frames: Frame[];
    try {
      frames = decodeFrames(request);
    } catch (error) {
      reply(error as Error, null);
      return;
    }
    const [method, body, ...rest] = frames;
    if (method?.kind !== FrameKind.method || body?.kind !== FrameKind.body || rest.length > 0) {
      reply(new PeerError('PEER_PROTOCOL', 'a call is a method and a request'), null);
      return;
    }
    const name = Buffer.from(method.bytes).toString('utf8').slice(0, 64);
    const handler = this.#parts.host.callHandler(name);
    if (handler === null) reply(new PeerError('PEER_METHOD', `there is no method ${name}`), null);
    // The transport's bytes last for this turn only.
    else handler(judged.from, Uint8Array.from(body.bytes), reply);
  }

  // ── Judging ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @param channels those the stream may say it is, introducing its caller; null when it is no stream of messages */
  #letIn(call: StreamCall, channels: readonly string[] | null): Caller | null {
    const judged = this.#judge(call.metadata, call.peer, channels !== null);
    if (isRefusal(judged)) {
      this.#refuse(call, judged);
      return null;
    }
    if (channels !== null && !channels.includes(judged.channel)) {
      const { from } = judged;
      this.#refuse(call, { code: 'PEER_HANDSHAKE', message: 'there is no such channel', from });
      return null;
    }
    if (channels !== null && !this.#parts.host.introduced(judged.from, judged.peerUrls)) {
      const { from } = judged;
      this.#refuse(call, { code: 'PEER_BUSY', message: 'too many callers are unknown here', from });
      return null;
    }
    call.write(encodeFrames([welcomeFrame(this.#parts.own)]));
    return judged;
  }

  #judge(metadata: Metadata, address: string, mayIntroduceItself: boolean): Caller | Refusal {
    const { own, host, gate } = this.#parts;
    const judged = judge(metadata, own, host, mayIntroduceItself);
    if (isRefusal(judged)) {
      const { code, message, from } = judged;
      const name = from === null ? 'unknown' : formatId(from);
      gate.log(`refused ${code} ${name}`, 'warn', 'refused a peer', {
        'remote-address': address,
        'remote-member-id': name,
        code,
        reason: message,
      });
    }
    return judged;
  }

  #refuse(call: StreamCall, refusal: Refusal): void {
    call.write(encodeFrames([refusalFrame(this.#parts.own, refusal)]));
    call.end(statusOfRefusal(refusal), refusal.message);
    for (const [key, open] of this.#streams) {
      if (open.call !== call) continue;
      this.#streams.delete(key);
      this.#lookWhetherLeft(open.from);
    }
    for (const [from, open] of this.#snapshots) {
      if (open.call !== call) continue;
      this.#snapshots.delete(from);
      open.intake.fail(new PeerError(refusal.code, refusal.message));
      this.#lookWhetherLeft(from);
    }
  }

  #lookWhetherLeft(from: bigint): void {
    if (this.#snapshots.has(from)) return;
    for (const open of this.#streams.values()) if (open.from === from) return;
    this.#parts.host.left(from);
  }

  /** @returns null when the stream was ended because of what came */
  #decode(
    call: StreamCall,
    { from }: Caller,
    bytes: Uint8Array,
    isExpected: (frame: Frame) => boolean,
  ): Frame[] | null {
    let reason: string;
    const traffic = this.#parts.host.traffic(from);
    traffic.receivedBytes += bytes.length;
    try {
      const frames = decodeFrames(bytes);
      if (frames.every(isExpected)) return frames;
      reason = 'a frame that does not belong here';
    } catch (error) {
      reason = (error as Error).message;
    }
    traffic.receivedFailures++;
    const name = formatId(from);
    this.#parts.gate.log(`broken ${name}`, 'warn', 'ended a stream of a peer that breaks the protocol', {
      'remote-address': call.peer,
      'remote-member-id': name,
      reason,
    });
    call.end(Status.INVALID_ARGUMENT, reason);
    return null;
  }
}
