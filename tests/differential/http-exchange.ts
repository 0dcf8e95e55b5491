/** One HTTP request, one answer, on any server: status, the headers that matter, and the body as data. */
import { type IncomingHttpHeaders, request } from 'node:http';
import { isMostOf } from './normalise.ts';

export interface HttpStep {
  /** POST unless given. */
  readonly method?: string;
  readonly path: string;
  /** As sent; an object is sent as JSON. */
  readonly body?: string | Uint8Array | Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpOutcome {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Parsed when it is JSON (lines: a list), else the text. */
  readonly body: unknown;
}

/** Compared; everything else (dates, lengths, how the connection ends) is the library's own. */
const HEADERS = [
  'content-type',
  'access-control-allow-origin',
  'access-control-allow-methods',
  'access-control-allow-headers',
  'grpc-metadata-content-type',
  'x-content-type-options',
  'allow',
  'location',
] as const;

export function exchange(endpoint: string, step: HttpStep): Promise<HttpOutcome> {
  const [host, port] = endpoint.split(':');
  const body =
    typeof step.body === 'object' && !(step.body instanceof Uint8Array)
      ? JSON.stringify(step.body)
      : step.body;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host,
        port,
        method: step.method ?? 'POST',
        path: step.path,
        headers: {
          ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
          ...step.headers,
        },
        agent: false,
        timeout: 20_000,
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: pick(response.headers),
            body: parsed(Buffer.concat(parts).toString('utf8')),
          }),
        );
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in 20 s')));
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function pick(headers: IncomingHttpHeaders): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const name of HEADERS) {
    const value = headers[name];
    if (typeof value === 'string') picked[name] = value;
  }
  return picked;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const lines = text.trim().split('\n');
    try {
      return lines.length > 1 ? lines.map((line) => JSON.parse(line) as unknown) : text;
    } catch {
      return text;
    }
  }
}

/** Fields that are a server's own, wherever they occur; and what later releases added. */
const OWN_FIELDS = new Set([
  'cluster_id',
  'member_id',
  'raft_term',
  'raftTerm',
  'raftIndex',
  'raftAppliedIndex',
  'dbSize',
  'dbSizeInUse',
  'dbSizeQuota',
  'leader',
  'version',
  'storageVersion',
  'downgradeInfo',
  'hash_revision',
]);

/** The outcome without what two servers may differ in. */
export function comparable(outcome: HttpOutcome): HttpOutcome {
  return { ...outcome, body: withoutOwn(outcome.body, '') };
}

function withoutOwn(value: unknown, inside: string): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutOwn(item, inside));
  if (typeof value !== 'object' || value === null) return value;
  const kept: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    // A key has a version as well.
    if (OWN_FIELDS.has(name) && !(name === 'version' && inside === 'kv')) continue;
    kept[name] = withoutOwn(
      field,
      name === 'kvs' || name === 'kv' || name === 'prev_kv' || name === 'prev_kvs' ? 'kv' : '',
    );
  }
  if (isMostOf(kept.TTL, kept.grantedTTL)) kept.TTL = 'most of it';
  return kept;
}
