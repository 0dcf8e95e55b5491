/**
 * Counts of calls by method: what go-grpc-prometheus counts, for gRPC and the gateway alike.
 *
 * One row of numbers per method is made at the start; a call costs a few increments. The observer of the transport names
 * the method by its path, and calls of one method come in runs, so the last row is remembered.
 */
import type { CallContext, CallObserver, HandlerTable, Metadata, Status } from '@quorate/grpc-server';
import { metadataKeys, methods } from '@quorate/proto';
import { Histogram } from '../../histogram.ts';
import type { Labels, MetricsSink, MetricsSource } from './source.ts';

const CODES = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
] as const;

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Versions that are told apart; a client can claim any. */
const MAX_VERSIONS = 16;

interface Row {
  readonly labels: Labels;
  started: number;
  received: number;
  sent: number;
  readonly handled: Float64Array;
  readonly seconds: Histogram | null;
}

interface VersionRow {
  readonly version: string;
  unary: number;
  stream: number;
}

export class CallMetrics implements CallObserver, MetricsSource {
  readonly #rows: ReadonlyMap<string, Row>;
  readonly #versions = new Map<string, VersionRow>();
  #lastPath = '';
  #lastRow: Row | undefined;
  #lastMetadata: Metadata | null = null;
  #lastVersion: VersionRow | null = null;

  /** @param isExtensive durations as well (`--metrics=extensive`) */
  constructor(handlers: HandlerTable, isExtensive: boolean) {
    const types = new Map<string, string>(
      methods.map(({ path, requestStream, responseStream }) => [
        path,
        requestStream
          ? responseStream
            ? 'bidi_stream'
            : 'client_stream'
          : responseStream
            ? 'server_stream'
            : 'unary',
      ]),
    );
    this.#rows = new Map(
      [...handlers].map(([path, handler]) => {
        const [, service = '', method = ''] = path.split('/');
        const type = types.get(path) ?? (handler.kind === 'unary' ? 'unary' : 'bidi_stream');
        const row: Row = {
          labels: { grpc_type: type, grpc_service: service, grpc_method: method },
          started: 0,
          received: 0,
          sent: 0,
          handled: new Float64Array(CODES.length),
          seconds: isExtensive ? new Histogram(SECONDS) : null,
        };
        return [path, row];
      }),
    );
  }

  callStarted(path: string, kind: 'unary' | 'stream', call: CallContext): void {
    const row = this.#row(path);
    if (row !== undefined) row.started++;
    this.#version(call.metadata)[kind]++;
  }

  messageReceived(path: string): void {
    const row = this.#row(path);
    if (row !== undefined) row.received++;
  }

  messageSent(path: string): void {
    const row = this.#row(path);
    if (row !== undefined) row.sent++;
  }

  callEnded(path: string, status: Status, elapsedMs: number): void {
    const row = this.#row(path);
    if (row === undefined) return;
    row.handled[status]! += 1;
    row.seconds?.observe(elapsedMs / 1000);
  }

  /** Calls begun of one method. */
  started(path: string): number {
    return this.#rows.get(path)?.started ?? 0;
  }

  collect(sink: MetricsSink): void {
    for (const { labels, started, received, sent, handled, seconds } of this.#rows.values()) {
      sink.value('grpc_server_started_total', started, labels);
      sink.value('grpc_server_msg_received_total', received, labels);
      sink.value('grpc_server_msg_sent_total', sent, labels);
      for (const [code, name] of CODES.entries()) {
        sink.value('grpc_server_handled_total', handled[code]!, { ...labels, grpc_code: name });
      }
      if (seconds !== null) sink.histogram('grpc_server_handling_seconds', seconds, labels);
    }
    for (const { version, unary, stream } of this.#versions.values()) {
      const labels = { client_api_version: version };
      sink.value('etcd_server_client_requests_total', unary, { type: 'unary', ...labels });
      sink.value('etcd_server_client_requests_total', stream, { type: 'stream', ...labels });
    }
  }

  #row(path: string): Row | undefined {
    if (path === this.#lastPath) return this.#lastRow;
    this.#lastPath = path;
    this.#lastRow = this.#rows.get(path);
    return this.#lastRow;
  }

  /** Calls with the same header block share their metadata. */
  #version(metadata: Metadata): VersionRow {
    if (metadata === this.#lastMetadata) return this.#lastVersion!;
    const version = this.#label(metadata.get(metadataKeys.clientApiVersion));
    let row = this.#versions.get(version);
    if (row === undefined) {
      row = { version, unary: 0, stream: 0 };
      this.#versions.set(version, row);
    }
    this.#lastMetadata = metadata;
    this.#lastVersion = row;
    return row;
  }

  /** What a client says about itself becomes a label only when it looks like a version, and there are few of them. */
  #label(text: string | Uint8Array | undefined): string {
    if (text === undefined) return 'unknown';
    if (typeof text !== 'string' || !/^\d{1,4}(\.\d{1,4}){0,3}([-+][0-9A-Za-z.-]{1,16})?$/.test(text))
      return 'invalid';
    return this.#versions.has(text) || this.#versions.size < MAX_VERSIONS ? text : 'other';
  }
}
