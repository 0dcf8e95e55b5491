/** All that leads to one peer: two links, the snapshot under way, and the calls that go along with the control link. */

import { formatId } from '../membership/ids.ts';
import type { MessageKind, SnapshotContent } from '../network.ts';
import { errorOf, PeerError } from './errors.ts';
import { decodeFrames, encodeFrames, FrameKind, frame, readTexts } from './frames.ts';
import { type Channel, Path } from './handshake.ts';
import { helloMetadata } from './hello.ts';
import { Link, type LinkParts } from './link.ts';
import type { LogGate } from './log-gate.ts';
import { SnapshotSender } from './snapshot-sender.ts';

export interface PeerParts extends Omit<LinkParts, 'channel'> {
  readonly gate: LogGate;
  readonly snapshotBytesPerSec: number;
}

export interface PeerHost {
  /** Messages to it were dropped, or may have been. */
  onDrop(): void;
  /** It says that we were removed from the cluster. */
  onRemoved(): void;
}

type CallDone = (error: Error | null, response: Uint8Array | null) => void;

export class Peer {
  readonly #parts: PeerParts;
  readonly #host: PeerHost;
  readonly #control: Link;
  readonly #log: Link;
  #snapshot: SnapshotSender | null = null;
  #closed = false;

  constructor(parts: PeerParts, host: PeerHost) {
    this.#parts = parts;
    this.#host = host;
    this.#control = this.#link('control');
    this.#log = this.#link('log');
  }

  get connectedSinceMs(): number | null {
    return this.#control.openSinceMs;
  }

  setUrls(urls: readonly string[]): void {
    this.#control.setUrls(urls);
    this.#log.setUrls(urls);
  }

  /** It reached us, so it can be reached. */
  heard(): void {
    this.#control.poke();
    this.#log.poke();
  }

  send(message: Uint8Array, kind: MessageKind): void {
    (kind === 'append' ? this.#log : this.#control).send(message, kind);
  }

  /** @param done not before this returned; `content` is closed by then */
  sendSnapshot(message: Uint8Array, content: SnapshotContent, done: (error: Error | null) => void): void {
    const { env } = this.#parts;
    if (this.#snapshot !== null) {
      content.close();
      env.afterPoll(() => done(new PeerError('PEER_BUSY', 'another snapshot is on its way to this peer')));
      return;
    }
    const sender = new SnapshotSender(
      { ...this.#parts, url: this.#control.url, bytesPerSec: this.#parts.snapshotBytesPerSec },
      message,
      content,
      (error) => {
        this.#snapshot = null;
        if (error !== null && !this.#closed) {
          this.#parts.gate.log(`snapshot ${this.#parts.to}`, 'warn', 'snapshot to a peer failed', {
            ...this.#names(),
            reason: error.message,
          });
        }
        done(error);
      },
    );
    this.#snapshot = sender;
  }

  call(method: string, request: Uint8Array, timeoutMs: number, done: CallDone): void {
    const { env, own, to, limits } = this.#parts;
    const { stream } = this.#control;
    const refuse = (error: PeerError): void => env.afterPoll(() => done(error, null));
    // One that is just ending tells its calls, and one of them may ask again at once.
    if (!stream?.isOpen) {
      refuse(new PeerError('PEER_UNREACHABLE', `no connection to member ${formatId(to)}`));
      return;
    }
    if (stream.callCount >= limits.maxCalls) {
      refuse(new PeerError('PEER_BUSY', `too many calls to member ${formatId(to)}`));
      return;
    }
    const bytes = encodeFrames([
      frame(FrameKind.method, Buffer.from(method, 'utf8')),
      frame(FrameKind.body, request),
    ]);
    if (bytes.length > limits.maxMessageBytes) {
      refuse(new PeerError('PEER_PROTOCOL', 'the request is too long'));
      return;
    }
    const timer = env.setTimer(timeoutMs, () => {
      cancel();
      done(new PeerError('PEER_TIMEOUT', `member ${formatId(to)} did not answer in time`), null);
    });
    const cancel = stream.call(Path.call, helloMetadata(own, to), bytes, (error, response) => {
      timer.cancel();
      if (error === null) readAnswer(response, done);
      else if (error instanceof PeerError) done(error, null);
      else done(new PeerError('PEER_UNREACHABLE', error.message, { cause: error }), null);
    });
  }

  close(): void {
    this.#closed = true;
    this.#control.close();
    this.#log.close();
    this.#snapshot?.cancel(new PeerError('PEER_CLOSED', 'this side has closed'));
  }

  #link(channel: Channel): Link {
    const { gate } = this.#parts;
    const cause = `${channel} ${this.#parts.to}`;
    return new Link(
      { ...this.#parts, channel },
      {
        onDrop: () => this.#host.onDrop(),
        onOpen: (url) => {
          gate.log(`up ${cause}`, 'info', 'connected to a peer', { ...this.#names(), channel, url });
          gate.forget(`down ${cause}`);
        },
        onDown: (error, url, wasOpen) => {
          gate.forget(`up ${cause}`);
          const message = wasOpen ? 'lost the connection to a peer' : 'cannot connect to a peer';
          const { code, message: reason } = error;
          gate.log(`down ${cause}`, 'warn', message, { ...this.#names(), channel, url, code, reason });
          if (code === 'PEER_REMOVED') this.#host.onRemoved();
          if (channel === 'control' && code === 'PEER_TIMEOUT') this.#log.suspect();
        },
      },
    );
  }

  #names(): Record<string, string> {
    return { 'remote-member-id': formatId(this.#parts.to) };
  }
}

function readAnswer(response: Uint8Array | undefined, done: CallDone): void {
  let error: Error;
  try {
    const [outcome] = decodeFrames(response ?? new Uint8Array(0));
    switch (outcome?.kind) {
      case FrameKind.body:
        done(null, outcome.bytes);
        return;
      case FrameKind.failure:
      case FrameKind.refusal:
        error = errorOf(readTexts(outcome, 'code', 'message'));
        break;
      default:
        error = new PeerError('PEER_PROTOCOL', 'the answer to a call cannot be read');
    }
  } catch (failure) {
    if (!(failure instanceof PeerError)) throw failure;
    error = failure;
  }
  done(error, null);
}
