/**
 * One gRPC stream that carries all watches of a client, opened again whenever it breaks.
 *
 * The server answers create requests of a stream in their order, so `pending` (creates sent, not yet answered) is a
 * queue and the ids are left to the server. On a new stream every watch is created again from where it stands.
 *
 *   no stream --first watch--> opening --connected--> open --last watch gone--> no stream
 *                                 ^                     |
 *                                 +------ broken -------+   pause 1 ms, 2 ms, ... 100 ms
 *
 * A break that cannot heal (a refusal, a message that is none) ends every watch with its error.
 */
import {
  errorFacts,
  type Init,
  services,
  type WatchRequest,
  type WatchResponse,
  watchCancelCodeOf,
} from '@quorate/proto';
import {
  asClientError,
  type ClientError,
  fromServiceError,
  localError,
  WatchCanceledError,
} from './errors.ts';
import { defaults } from './options.ts';
import type { KeySelector } from './range.ts';
import { toHeader } from './response.ts';
import type { BidiCall, Session } from './session.ts';
import { Watch, type WatchCarrier, type WatchOptions } from './watch.ts';

const METHOD = services['etcdserverpb.Watch'].Watch;

interface OpenStream {
  readonly bidi: BidiCall<WatchRequest, WatchResponse>;
  readonly pending: Watch[];
  readonly byId: Map<bigint, Watch>;
  readonly idOf: Map<Watch, bigint>;
  /** Runs while a create request is unanswered. */
  creationTimer: NodeJS.Timeout | undefined;
}

export class WatchHub implements WatchCarrier {
  private readonly session: Session;
  private readonly requireLeader: boolean;
  private readonly watches = new Set<Watch>();
  private stream: OpenStream | null = null;
  private opening = false;
  /** Asked for while there was no stream to ask on. */
  private progressWanted = false;
  private backoffMs: number = defaults.watchBackoffMs.first;

  constructor(session: Session, requireLeader: boolean) {
    this.session = session;
    this.requireLeader = requireLeader;
    session.closed.addEventListener(
      'abort',
      () => this.failAll(localError('CLOSED', 'the client is closed')),
      {
        once: true,
      },
    );
  }

  watch(selector: KeySelector, options: WatchOptions): Watch {
    const timeoutMs = options.establishTimeoutMs ?? this.session.settings.callTimeoutMs;
    const watch = new Watch(selector, options, this, timeoutMs);
    this.watches.add(watch);
    if (this.session.closed.aborted) watch.fail(localError('CLOSED', 'the client is closed'));
    else if (this.stream) this.create(this.stream, watch);
    else void this.open();
    return watch;
  }

  /** Asks the server how far the stream has come; each watch gets a progress report when all are up to date. */
  requestProgress(): void {
    if (this.stream) this.send(this.stream, { progressRequest: {} });
    else this.progressWanted = this.watches.size > 0;
  }

  resume(watch: Watch): void {
    watch.parked = false;
    if (this.stream) this.create(this.stream, watch);
  }

  remove(watch: Watch): void {
    this.watches.delete(watch);
    const stream = this.stream;
    if (!stream) return;
    const id = stream.idOf.get(watch);
    if (id !== undefined) this.cancelAtServer(stream, id, watch);
    if (this.watches.size === 0) this.drop(stream);
  }

  private async open(): Promise<void> {
    // After a pause somebody else may have opened it.
    if (this.opening || this.stream !== null) return;
    this.opening = true;
    while (this.watches.size > 0 && !this.session.closed.aborted) {
      try {
        const bidi = await this.session.openBidi(METHOD, { requireLeader: this.requireLeader });
        if (this.watches.size === 0) bidi.call.cancel();
        else this.attach(bidi);
        break;
      } catch (thrown) {
        const error = asClientError(thrown);
        if (!canHeal(error) && !this.session.renewToken(error, null)) this.failAll(error);
        await this.pause();
      }
    }
    this.opening = false;
  }

  private attach(bidi: BidiCall<WatchRequest, WatchResponse>): void {
    const stream: OpenStream = {
      bidi,
      pending: [],
      byId: new Map(),
      idOf: new Map(),
      creationTimer: undefined,
    };
    this.stream = stream;
    bidi.call.on('data', (bytes: Buffer) => {
      if (this.stream !== stream) return;
      try {
        this.onMessage(stream, bidi.decode(bytes));
      } catch (error) {
        this.broken(stream, asClientError(error));
      }
    });
    bidi.call.on('error', (error) => this.broken(stream, fromServiceError(error as never)));
    bidi.call.on('end', () =>
      this.broken(stream, localError('CONNECTION_LOST', 'the server ended the stream')),
    );
    for (const watch of this.watches) if (!watch.parked) this.create(stream, watch);
    if (this.progressWanted) this.send(stream, { progressRequest: {} });
    this.progressWanted = false;
  }

  private create(stream: OpenStream, watch: Watch): void {
    stream.pending.push(watch);
    this.send(stream, { createRequest: watch.createRequest() });
    if (stream.pending.length === 1) this.expectCreation(stream);
  }

  /** A server that takes requests and never answers is as good as gone. */
  private expectCreation(stream: OpenStream): void {
    clearTimeout(stream.creationTimer);
    if (stream.pending.length === 0) return;
    stream.creationTimer = setTimeout(() => {
      this.broken(stream, localError('CONNECTION_LOST', 'the server does not answer watch requests'));
    }, this.session.settings.callTimeoutMs);
  }

  private onMessage(stream: OpenStream, response: WatchResponse): void {
    if (response.created) {
      this.onCreated(stream, response);
      return;
    }
    if (response.canceled) {
      this.onCanceled(stream, response);
      return;
    }
    if (response.watchId === -1n) {
      // A report for the whole stream.
      for (const [id, watch] of stream.byId) this.deliver(stream, id, watch, response);
      return;
    }
    const watch = stream.byId.get(response.watchId);
    if (watch) this.deliver(stream, response.watchId, watch, response);
  }

  private deliver(stream: OpenStream, id: bigint, watch: Watch, response: WatchResponse): void {
    if (watch.onResponse(response)) return;
    watch.parked = true;
    this.cancelAtServer(stream, id, watch);
  }

  private onCreated(stream: OpenStream, response: WatchResponse): void {
    const watch = stream.pending.shift();
    this.expectCreation(stream);
    this.backoffMs = defaults.watchBackoffMs.first;
    if (response.canceled) {
      if (watch) this.refused(stream, watch, response);
      return;
    }
    if (!watch || watch.ended) {
      this.send(stream, { cancelRequest: { watchId: response.watchId } });
      return;
    }
    stream.byId.set(response.watchId, watch);
    stream.idOf.set(watch, response.watchId);
    watch.onCreated(response.header);
  }

  private onCanceled(stream: OpenStream, response: WatchResponse): void {
    const watch = stream.byId.get(response.watchId);
    if (!watch) return;
    stream.byId.delete(response.watchId);
    stream.idOf.delete(watch);
    this.refused(stream, watch, response);
  }

  private refused(stream: OpenStream, watch: Watch, response: WatchResponse): void {
    const error = cancelError(response);
    // The token belongs to the stream: with a new one all watches move to a new stream.
    if (error.retry === 'authenticate' && this.session.renewToken(error, stream.bidi.login)) {
      this.broken(stream, localError('CONNECTION_LOST', 'the token has to be renewed'));
      return;
    }
    watch.fail(error);
  }

  private cancelAtServer(stream: OpenStream, id: bigint, watch: Watch): void {
    stream.byId.delete(id);
    stream.idOf.delete(watch);
    this.send(stream, { cancelRequest: { watchId: id } });
  }

  private send(stream: OpenStream, message: Init<WatchRequest>): void {
    if (stream === this.stream) stream.bidi.call.write(message);
  }

  /** The stream is over: all watches go on over a new one, unless the reason forbids it. */
  private broken(stream: OpenStream, error: ClientError): void {
    if (this.stream !== stream) return;
    this.drop(stream);
    if (!canHeal(error) && !this.session.renewToken(error, stream.bidi.login)) {
      this.failAll(error);
      return;
    }
    void this.pause().then(() => this.open());
  }

  private drop(stream: OpenStream): void {
    clearTimeout(stream.creationTimer);
    if (this.stream === stream) this.stream = null;
    stream.bidi.call.removeAllListeners();
    // Cancelling makes the call report an error once more; nobody is interested.
    stream.bidi.call.on('error', () => {});
    stream.bidi.call.cancel();
  }

  private failAll(error: ClientError): void {
    for (const watch of [...this.watches]) watch.fail(error);
  }

  private async pause(): Promise<void> {
    const pauseMs = this.backoffMs;
    this.backoffMs = Math.min(pauseMs * 2, defaults.watchBackoffMs.last);
    // A closed client has already ended every watch.
    await this.session.pause(Number.POSITIVE_INFINITY, undefined, pauseMs).catch(() => {});
  }
}

/** Whether a new stream may do better: the connection went, or the server stumbled. */
function canHeal(error: ClientError): boolean {
  if (error.code === 'BAD_RESPONSE' || error.code === 'CLOSED') return false;
  return error.status === 'UNAVAILABLE' || error.status === 'INTERNAL' || error.code === 'DEADLINE_EXCEEDED';
}

function cancelError(response: WatchResponse): ClientError {
  const header = toHeader(response.header);
  const compactRevision = Number(response.compactRevision);
  if (compactRevision > 0)
    return new WatchCanceledError('COMPACTED', errorFacts.COMPACTED.message, { header, compactRevision });
  const code = watchCancelCodeOf(response.cancelReason);
  const text = response.cancelReason === '' ? 'watch is canceled by the server' : response.cancelReason;
  const login = code === 'INVALID_AUTH_TOKEN' || code === 'AUTH_OLD_REVISION' || code === 'USER_EMPTY';
  const retry = login ? 'authenticate' : 'no';
  return new WatchCanceledError(code ?? 'STATUS', text, { header, compactRevision, retry });
}
