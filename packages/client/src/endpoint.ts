/**
 * One endpoint: its address in gRPC's terms, and the channel to it.
 *
 * Every endpoint has a channel of its own, and no channel shares sockets with another client, so that one client's
 * flow control or shutdown never touches another's. Connecting is a step of its own (`ready`), which is how a
 * retry knows that nothing was sent.
 */
import {
  type ChannelCredentials,
  type ChannelOptions,
  Client,
  connectivityState,
  credentials,
} from '@grpc/grpc-js';
import type { Settings, TlsOptions } from './options.ts';

/** How long finding out the reason of a failure may take. */
const FAILURE_REASON_MS = 50;

export interface Address {
  readonly target: string;
  readonly secure: boolean;
}

/** @throws TypeError when the text is no endpoint */
export function parseEndpoint(endpoint: string, tlsByDefault: boolean): Address {
  const match = /^(?:(https?|unixs?):)?(?:\/\/)?(.+)$/.exec(endpoint);
  const rest = match?.[2]?.replace(/\/$/, '') ?? '';
  if (rest === '') throw new TypeError(`not an endpoint: ${JSON.stringify(endpoint)}`);
  const scheme = match?.[1];
  if (scheme === 'unix' || scheme === 'unixs')
    return { target: `unix:${match?.[2]}`, secure: scheme === 'unixs' };
  return { target: `dns:${rest}`, secure: scheme === undefined ? tlsByDefault : scheme === 'https' };
}

function channelCredentials(secure: boolean, tls: TlsOptions | undefined): ChannelCredentials {
  if (!secure) return credentials.createInsecure();
  const buffer = (bytes: Uint8Array | undefined): Buffer | null =>
    bytes === undefined ? null : Buffer.from(bytes);
  return credentials.createSsl(buffer(tls?.ca), buffer(tls?.key), buffer(tls?.cert), {
    rejectUnauthorized: !(tls?.insecureSkipVerify ?? false),
  });
}

export class Endpoint {
  /** As the user wrote it. */
  readonly name: string;
  readonly channel: Client;

  constructor(name: string, settings: Settings) {
    this.name = name;
    const { target, secure } = parseEndpoint(name, settings.tls !== undefined);
    const options: ChannelOptions = {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.service_config_disable_resolution': 1,
      'grpc.keepalive_time_ms': settings.keepaliveTimeMs,
      'grpc.keepalive_timeout_ms': settings.keepaliveTimeoutMs,
      'grpc.max_send_message_length': settings.maxSendBytes,
      'grpc.max_receive_message_length': settings.maxReceiveBytes,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 2_000,
    };
    if (settings.tls?.serverName !== undefined) {
      options['grpc.ssl_target_name_override'] = settings.tls.serverName;
      options['grpc.default_authority'] = settings.tls.serverName;
    }
    this.channel = new Client(target, channelCredentials(secure, settings.tls), options);
  }

  /** Whether a connection stands; asks for one when not. */
  isReady(): boolean {
    return this.channel.getChannel().getConnectivityState(true) === connectivityState.READY;
  }

  /**
   * Resolves to true when a connection stands, to false when an attempt failed or `deadline` (epoch ms) passed.
   * A failed endpoint answers false at once until its next attempt, so that callers move on to another one.
   */
  async ready(deadline: number): Promise<boolean> {
    const channel = this.channel.getChannel();
    let state = channel.getConnectivityState(true);
    while (state === connectivityState.IDLE || state === connectivityState.CONNECTING) {
      const seen = state;
      const changed = await new Promise<boolean>((resolve) =>
        channel.watchConnectivityState(seen, deadline, (error) => resolve(error === undefined)),
      );
      if (!changed) return false;
      state = channel.getConnectivityState(true);
    }
    return state === connectivityState.READY;
  }

  /**
   * Why there is no connection, in the transport's words: for people. A call on a channel that failed to connect is
   * answered at once with the reason; should it connect meanwhile, a health check does no harm.
   */
  failureReason(): Promise<string> {
    return new Promise((resolve) => {
      this.channel.makeUnaryRequest(
        '/grpc.health.v1.Health/Check',
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        Buffer.alloc(0),
        { deadline: Date.now() + FAILURE_REASON_MS },
        (error) => resolve(error?.details.replace(/\s+/g, ' ').trim() ?? ''),
      );
    });
  }

  close(): void {
    this.channel.close();
  }
}
