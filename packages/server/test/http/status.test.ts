/** Versions, health, metrics, access rules and listeners of a whole server. */
import { existsSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { Client, credentials } from '@grpc/grpc-js';
import { PutRequest, services } from '@quorate/proto';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Histogram } from '../../src/histogram.ts';
import { METRICS } from '../../src/http/metrics/catalogue.ts';
import { MetricsRegistry } from '../../src/http/metrics/registry.ts';
import type { MetricsSource } from '../../src/http/metrics/source.ts';
import { ask, b64, call, type HttpServer, portOf, startHttpServer } from '../support/http-server.ts';

let http: HttpServer;
afterEach(() => http.stop());

async function start(flags: Record<string, string> = {}): Promise<number> {
  http = await startHttpServer(flags);
  return http.port;
}

describe('status', () => {
  test('/version, /health, /livez, /readyz with their parameters; other methods are refused', async () => {
    const port = await start();
    // The cluster agrees on its version shortly after the start.
    await expect
      .poll(async () => JSON.parse((await ask(port, '/version')).body), { timeout: 60_000 })
      .toEqual({
        etcdserver: '3.7.0',
        etcdcluster: '3.7.0',
        storage: '3.7.0',
      });
    for (const path of [
      '/health',
      '/health?serializable=true',
      '/health?exclude=NOSPACE&exclude=&exclude=WHAT',
    ]) {
      expect(await ask(port, path)).toMatchObject({ status: 200, body: '{"health":"true","reason":""}' });
    }
    for (const path of [
      '/livez',
      '/readyz',
      '/livez/serializable_read',
      '/readyz/linearizable_read',
      '/readyz/non_learner',
      '/readyz?exclude=linearizable_read&exclude=no',
    ]) {
      expect(await ask(port, path)).toMatchObject({ status: 200, body: 'ok\n' });
    }
    expect((await ask(port, '/livez?verbose')).body).toBe('[+]serializable_read ok\nok\n');
    expect((await ask(port, '/readyz?verbose&exclude=data_corruption')).body).toBe(
      '[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n',
    );
    expect(await ask(port, '/livez/nope')).toMatchObject({ status: 404 });
    for (const path of ['/health', '/version', '/livez', '/debug/vars']) {
      expect(await ask(port, { path, method: 'HEAD' })).toMatchObject({
        status: 405,
        headers: { allow: 'GET' },
      });
      expect(await ask(port, { path, body: 'x' })).toMatchObject({
        status: 405,
        body: 'Method Not Allowed\n',
      });
    }
    expect(JSON.parse((await ask(port, '/debug/vars')).body)).toMatchObject({
      cmdline: process.argv,
      memstats: {},
      file_descriptor_limit: expect.any(Number),
      'raft.status': { raftState: 'StateLeader' },
    });
    for (const path of ['/debug/pprof/', '/debug/requests', '/config/local/log', '/v2/keys']) {
      expect(await ask(port, path)).toMatchObject({ status: 404, body: '404 page not found\n' });
    }
  });

  test('alarms make a member unhealthy unless they are excluded; corruption makes it unready', async () => {
    const port = await start();
    const { memberId } = http.server.member;
    await call(port, 'maintenance/alarm', {
      action: 'ACTIVATE',
      alarm: 'NOSPACE',
      memberID: String(memberId),
    });
    expect(await ask(port, '/health')).toMatchObject({
      status: 503,
      body: '{"health":"false","reason":"ALARM NOSPACE"}\n',
    });
    expect((await ask(port, '/health?exclude=NOSPACE')).status).toBe(200);
    expect((await ask(port, '/readyz')).status).toBe(200);
    await call(port, 'maintenance/alarm', {
      action: 'ACTIVATE',
      alarm: 'CORRUPT',
      memberID: String(memberId),
    });
    expect((await ask(port, '/health?exclude=NOSPACE')).body).toBe(
      '{"health":"false","reason":"ALARM CORRUPT"}\n',
    );
    const { status, body } = await ask(port, '/readyz');
    expect(status).toBe(503);
    expect(body.split('\n').sort()).toEqual([
      '',
      '[+]linearizable_read ok',
      '[+]non_learner ok',
      '[+]serializable_read ok',
      '[-]data_corruption failed: alarm activated: CORRUPT',
    ]);
    expect((await ask(port, '/readyz?exclude=data_corruption')).status).toBe(200);
    expect((await ask(port, '/livez')).status).toBe(200);
    const { body: metrics } = await ask(port, '/metrics');
    expect(metrics).toMatch(/^etcd_server_health_failures 2$/m);
    expect(metrics).toMatch(
      /^etcd_server_healthchecks_total\{type="readyz",name="data_corruption",status="error"\} 1$/m,
    );
    expect(metrics).toMatch(
      /^etcd_debugging_server_alarms\{server_id="[0-9a-f]+",alarm_type="CORRUPT"\} 1$/m,
    );
  });
});

describe('metrics', () => {
  test('names, types and labels are those of etcd; which ones are served is written down', () => {
    http = { stop: async () => {} } as HttpServer;
    const theirs = readFileSync(new URL('fixtures/metrics.tsv', import.meta.url), 'utf8')
      .split('\n')
      .filter((line) => line.endsWith('\tyes'))
      .map((line) => line.split('\t', 3).join(' '));
    const ours = METRICS.map(
      ({ name, type, labels }) => `${name} ${type} ${[...labels].sort().join() || '-'}`,
    );
    expect(ours.sort()).toEqual(theirs.sort());
  });

  test('calls of both doors are counted, by method and status; client versions are labels only when they look like one', async () => {
    const port = await start({ metrics: 'extensive' });
    await call(port, 'kv/put', { key: b64('a') });
    await call(port, 'kv/put', { key: b64('a') });
    await call(port, 'kv/put', {});
    await call(port, 'kv/deleterange', { key: b64('a') });
    const client = new Client(http.server.addresses[0]!, credentials.createInsecure());
    await new Promise((resolve) => {
      const same = (bytes: Uint8Array) => Buffer.from(bytes);
      client.makeUnaryRequest(
        services['etcdserverpb.KV'].Put.path,
        same,
        same,
        PutRequest.encode({ key: Buffer.from('b') }),
        resolve,
      );
    });
    client.close();
    const hostile = [
      '3.6.1',
      'x'.repeat(500),
      '3.6\\"} 1',
      'ä',
      ...Array.from({ length: 40 }, (_, index) => `9.9.${index}`),
    ];
    for (const version of hostile) {
      const headers = { 'Grpc-Metadata-client-api-version': Buffer.from(version).toString('latin1') };
      await ask(port, { path: '/v3/kv/range', body: `{"key":"${b64('a')}"}`, headers });
    }
    const { body, headers } = await ask(port, '/metrics');
    expect(headers['content-type']).toContain('text/plain; version=0.0.4');
    const put = 'grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put"';
    const has = (line: string): void => expect(body.split('\n')).toContain(line);
    has(`grpc_server_started_total{${put}} 4`);
    has(`grpc_server_handled_total{${put},grpc_code="OK"} 3`);
    has(`grpc_server_handled_total{${put},grpc_code="InvalidArgument"} 1`);
    has(`grpc_server_handling_seconds_count{${put}} 4`);
    has('etcd_mvcc_put_total 3');
    has('etcd_mvcc_delete_total 1');
    has('etcd_server_has_leader 1');
    has('etcd_server_proposals_pending 0');
    expect(body).toMatch(/^etcd_disk_wal_fsync_duration_seconds_bucket\{le="0\.001"\} \d+$/m);
    expect(body).toMatch(/^etcd_disk_wal_fsync_duration_seconds_count [1-9]\d*$/m);
    has('etcd_server_leader_changes_seen_total 1');
    has('etcd_server_client_requests_total{type="unary",client_api_version="3.6.1"} 1');
    has('etcd_server_client_requests_total{type="unary",client_api_version="invalid"} 3');
    expect(body.match(/client_api_version="/g)!.length).toBeLessThan(45);
    expect(body).toMatch(/^process_resident_memory_bytes \d{7,}$/m);
    expect(body).toMatch(/^etcd_network_client_grpc_received_bytes_total [1-9]\d*$/m);
    for (const line of body.split('\n')) {
      expect(line).toMatch(
        /^(#.*|[a-z0-9_]+(\{[a-zA-Z_]+="[^"\\]*"(,[a-zA-Z_]+="[^"\\]*")*\})? [0-9.e+-]+|)$/,
      );
    }
  });

  test('every name is served from the start, but for those whose labels come with what happens', async () => {
    const port = await start({ metrics: 'extensive' });
    const later = [
      'etcd_cluster_version',
      'etcd_server_healthcheck',
      'etcd_server_healthchecks_total',
      'etcd_server_client_requests_total',
      'etcd_server_learner_promote_failures',
      'etcd_debugging_server_alarms',
    ];
    const { body } = await ask(port, '/metrics');
    const missing = METRICS.filter(
      ({ name, labels }) =>
        !new RegExp(`^${name}(_count)?[{ ]`, 'm').test(body) &&
        !(labels.includes('To') || labels.includes('From') || labels.includes('Remote')) &&
        !later.includes(name),
    );
    expect(missing.map(({ name }) => name)).toEqual([]);
  });

  test('work on the whole database is timed: defragmentations and snapshots', async () => {
    const port = await start();
    const lines = async () => (await ask(port, '/metrics')).body.split('\n');
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'etcd_disk_defrag_inflight 0',
        'etcd_disk_backend_defrag_duration_seconds_count 0',
        'etcd_disk_backend_snapshot_duration_seconds_count 0',
      ]),
    );
    await call(port, 'maintenance/defragment', {});
    expect((await ask(port, { path: '/v3/maintenance/snapshot', body: '{}' })).status).toBe(200);
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'etcd_disk_defrag_inflight 0',
        'etcd_disk_backend_defrag_duration_seconds_count 1',
        'etcd_disk_backend_defrag_duration_seconds_bucket{le="+Inf"} 1',
        'etcd_disk_backend_snapshot_duration_seconds_count 1',
      ]),
    );
  });

  test('a member of several tells about the others, connected or not', async () => {
    const port = await start({
      name: 'one',
      'initial-cluster': 'one=http://127.0.0.1:7,two=http://127.0.0.1:8',
      'initial-advertise-peer-urls': 'http://127.0.0.1:7',
    });
    const { body } = await ask(port, '/metrics');
    expect(body).toMatch(/^etcd_network_known_peers\{Local="[0-9a-f]+",Remote="[0-9a-f]+"\} 1$/m);
    expect(body).toMatch(/^etcd_network_active_peers\{Local="[0-9a-f]+",Remote="[0-9a-f]+"\} 0$/m);
    expect(body).toMatch(/^etcd_network_peer_sent_failures_total\{To="[0-9a-f]+"\} \d+$/m);
  });

  test('parts may add sources; a name that is not in the catalogue is a mistake of ours', async () => {
    http = { stop: async () => {} } as HttpServer;
    const sources: MetricsSource[] = [];
    const registry = new MetricsRegistry(sources);
    const seconds = new Histogram([0.1, 1]);
    for (const value of [0.05, 0.1, 0.5, 7]) seconds.observe(value);
    sources.push({
      collect(sink) {
        sink.value('etcd_network_active_peers', 1, { Local: 'a', Remote: 'b"\n\\' });
        sink.histogram('etcd_network_peer_round_trip_time_seconds', seconds, { To: 'b' });
      },
    });
    const text = await registry.text();
    expect(text).toContain('etcd_network_active_peers{Local="a",Remote="b\\"\\n\\\\"} 1\n');
    expect(text).toContain('etcd_network_peer_round_trip_time_seconds_bucket{To="b",le="0.1"} 2\n');
    expect(text).toContain('etcd_network_peer_round_trip_time_seconds_bucket{To="b",le="1"} 3\n');
    expect(text).toContain('etcd_network_peer_round_trip_time_seconds_bucket{To="b",le="+Inf"} 4\n');
    expect(text).toContain('etcd_network_peer_round_trip_time_seconds_count{To="b"} 4\n');
    expect(await registry.text()).toBe(text);
    sources.push({ collect: (sink) => sink.value('nobody_knows', 1) });
    expect(() => registry.text()).toThrow('not in the catalogue');
  });
});

describe('access', () => {
  const body = `{"key":"${b64('a')}"}`;

  test('by default every host and every origin; OPTIONS anywhere', async () => {
    const port = await start();
    for (const path of ['/health', '/nope', '/v3/kv/nope']) {
      const { headers } = await ask(port, { path, headers: { host: 'any.thing:1' } });
      expect(headers).toMatchObject({
        'access-control-allow-origin': '*',
        'access-control-allow-methods': 'POST, GET, OPTIONS, PUT, DELETE',
        'access-control-allow-headers': 'accept, content-type, authorization',
      });
    }
    expect(await ask(port, { path: '/nope', method: 'OPTIONS' })).toMatchObject({ status: 200, body: '' });
  });

  test('a page of another origin cannot send a form or a text (CVE-2018-1098)', async () => {
    const port = await start();
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      '',
    ]) {
      const foreign = {
        path: '/v3/kv/put',
        body,
        headers: { origin: 'http://evil.example', ...(type === '' ? {} : { 'content-type': type }) },
      };
      expect(await ask(port, foreign)).toMatchObject({ status: 415 });
      expect(await ask(port, { ...foreign, headers: { ...foreign.headers, origin: 'null' } })).toMatchObject({
        status: 415,
      });
      const own = { ...foreign.headers, origin: 'http://here:1', host: 'here:1' };
      expect(await ask(port, { ...foreign, headers: own })).toMatchObject({ status: 200 });
    }
    const json = { origin: 'http://evil.example', 'content-type': 'application/json; charset=utf-8' };
    expect(await ask(port, { path: '/v3/kv/put', body, headers: json })).toMatchObject({ status: 200 });
    // Programs, curl with its form type among them, send no origin.
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect(await ask(port, { path: '/v3/kv/put', body, headers: form })).toMatchObject({ status: 200 });
  });

  test('--cors and --host-whitelist name who is welcome', async () => {
    const port = await start({ cors: 'http://good.example:80', 'host-whitelist': 'localhost,::1' });
    const local = { host: `localhost:${port}` };
    const refused = await ask(port, '/health');
    expect(refused.status).toBe(421);
    expect(refused.body).toMatch(/^\n[\s\S]*--host-whitelist "127\.0\.0\.1"/);
    expect(refused.headers['access-control-allow-origin']).toBeUndefined();
    expect((await ask(port, { path: '/health', headers: { host: '[::1]:2379' } })).status).toBe(200);
    const good = await ask(port, {
      path: '/health',
      headers: { ...local, origin: 'http://good.example:80' },
    });
    expect(good.headers['access-control-allow-origin']).toBe('http://good.example:80');
    const bad = await ask(port, { path: '/health', headers: { ...local, origin: 'http://bad.example' } });
    expect(bad.status).toBe(200);
    expect(bad.headers['access-control-allow-origin']).toBeUndefined();
    const upgrade = {
      ...local,
      connection: 'upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    };
    expect(
      (await ask(port, { path: '/v3/watch', headers: { ...upgrade, origin: 'http://bad.example' } })).status,
    ).toBe(403);
    expect(
      (await ask(port, { path: '/v3/watch', headers: { ...upgrade, host: 'bad.example' } })).status,
    ).toBe(421);
  });
});

describe('listeners', () => {
  test('--listen-metrics-urls: health and metrics alone, without a look at Host', async () => {
    await start({ 'listen-metrics-urls': 'http://127.0.0.1:0', 'host-whitelist': 'localhost' });
    const port = portOf(http.server.metricsAddresses[0]!);
    for (const path of ['/metrics', '/health', '/livez', '/readyz/non_learner'])
      expect((await ask(port, path)).status).toBe(200);
    for (const path of ['/version', '/v3/kv/range', '/debug/vars'])
      expect((await ask(port, path)).status).toBe(404);
  });

  test('--listen-client-http-urls: HTTP there, gRPC alone on the client port', async () => {
    const port = await start({ 'listen-client-http-urls': 'http://127.0.0.1:0' });
    expect((await call(portOf(http.server.httpAddresses[0]!), 'kv/range', { key: b64('a') })).status).toBe(
      200,
    );
    await expect(ask(port, '/health')).rejects.toThrow();
    const client = new Client(http.server.addresses[0]!, credentials.createInsecure());
    const same = (bytes: Uint8Array) => Buffer.from(bytes);
    const error = await new Promise((resolve) => {
      client.makeUnaryRequest(
        services['etcdserverpb.KV'].Put.path,
        same,
        same,
        PutRequest.encode({ key: Buffer.from('b') }),
        resolve,
      );
    });
    expect(error).toBeNull();
    client.close();
  });

  test('--enable-grpc-gateway=false: everything but the gateway', async () => {
    const port = await start({ 'enable-grpc-gateway': 'false' });
    expect(await ask(port, { path: '/v3/kv/range', body: '{}' })).toMatchObject({
      status: 404,
      body: '404 page not found\n',
    });
    expect((await ask(port, '/health')).status).toBe(200);
  });

  test('a unix socket speaks HTTP too', async () => {
    const before = process.cwd();
    await start({ 'listen-client-urls': 'http://127.0.0.1:0' });
    await http.stop();
    process.chdir('/tmp');
    try {
      const name = `quorate-${process.pid}`;
      await start({ 'listen-client-urls': `http://127.0.0.1:0,unix://${name}:1` });
      const path = join('/tmp', `${name}:1`);
      expect(existsSync(path)).toBe(true);
      expect((await ask(0, { path: '/health', socketPath: path })).status).toBe(200);
    } finally {
      process.chdir(before);
    }
  });

  test('the system looks after connections that are silent, as those of watches may be', async () => {
    const asked = vi.spyOn(Socket.prototype, 'setKeepAlive');
    try {
      const port = await start();
      asked.mockClear();
      await ask(port, '/version');
      expect(asked).toHaveBeenCalledWith(true, 30_000);
    } finally {
      asked.mockRestore();
    }
  });

  test('stopping cuts idle connections and open streams, and does so twice', async () => {
    const port = await start();
    const watch = ask(port, { path: '/v3/watch', body: `{"create_request":{"key":"${b64('a')}"}}` });
    await expect
      .poll(async () => (await ask(port, '/metrics')).body)
      .toContain('etcd_debugging_mvcc_watcher_total 1\n');
    await http.server.stop();
    expect((await watch).body.trim().split('\n').at(-1)).toContain('"error":{"code":14');
    await http.server.stop();
    await expect(ask(port, '/health')).rejects.toThrow();
  });
});
