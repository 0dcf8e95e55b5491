/**
 * What the peer port answers over HTTP/1: `/version` and `/members`, as etcd does, for people and their scripts.
 *
 * Everything else is not found. The transport recognises HTTP/1 by its first bytes and hands the connection over.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { formatId } from '../membership/ids.ts';
import type { ClusterView } from './options.ts';

const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 5_000;
const MAX_HEADER_BYTES = 16 * 1024;
const TICK_MS = 5_000;

export function createPeerHttp(describe: () => ClusterView): Server {
  // As an import, `node:http` would load a whole HTTP client (its `WebSocket`) with it.
  const server = process.getBuiltinModule('node:http').createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: TICK_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
    },
    (request, response) => answer(request, response, describe()),
  );
  return server;
}

function answer(request: IncomingMessage, response: ServerResponse, view: ClusterView): void {
  const path = (request.url ?? '').split('?', 1)[0];
  const body = path === '/version' ? version(view) : path === '/members' ? members(view) : null;
  if (body === null) {
    send(response, 404, 'text/plain; charset=utf-8', '404 page not found\n');
  } else if (request.method !== 'GET') {
    response.setHeader('Allow', 'GET');
    send(response, 405, 'text/plain; charset=utf-8', 'Method Not Allowed\n');
  } else {
    response.setHeader('X-Etcd-Cluster-ID', formatId(view.clusterId));
    send(response, 200, 'application/json', body);
  }
  // Bodies are of no interest; an unread one would hold up the connection.
  request.resume();
}

function version({ serverVersion, clusterVersion }: ClusterView): string {
  return JSON.stringify({
    etcdserver: serverVersion,
    etcdcluster: clusterVersion ?? 'not_decided',
    storage: clusterVersion ?? 'unknown',
  });
}

/** Ids are JSON numbers of 64 bits here, as etcd writes them; clients that read them as doubles lose digits. */
function members(view: ClusterView): string {
  const items = view.members.map(({ id, name, peerUrls, clientUrls, isLearner }) => {
    const rest = JSON.stringify({
      peerURLs: peerUrls,
      ...(isLearner ? { isLearner } : {}),
      ...(name === '' ? {} : { name }),
      ...(clientUrls.length === 0 ? {} : { clientURLs: clientUrls }),
    });
    return `{"id":${id},${rest.slice(1)}`;
  });
  return `[${items.join(',')}]\n`;
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}
