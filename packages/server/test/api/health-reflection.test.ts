/** The two services that every gRPC tool knows: health, and reflection. */
import { type HandlerTable, Status } from '@quorate/grpc-server';
import {
  type HealthCheckResponse,
  type Init,
  methods,
  services as rpc,
  type ServerReflectionRequest,
  ServerReflectionResponse,
  HealthCheckResponse_ServingStatus as Serving,
} from '@quorate/proto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createHealthService, type HealthMember } from '../../src/api/health.ts';
import { reflectionHandlers } from '../../src/api/reflection.ts';
import { createServices } from '../../src/api/services.ts';
import { TestStreamCall } from '../support/calls.ts';
import { call, callStream } from '../support/direct-calls.ts';
import { type RunningMember, runMember } from '../support/running-member.ts';

const { Check, List, Watch } = rpc['grpc.health.v1.Health'];
const { Alarm } = rpc['etcdserverpb.Maintenance'];

describe('health', () => {
  let running: RunningMember;
  beforeAll(async () => {
    running = await runMember({ unsafeNoFsync: true });
  });
  afterAll(() => running.stop());
  const handlers = (): HandlerTable => running.services.handlers;
  const check = async (service: string) => (await call(handlers(), Check, { service })).status;
  const watch = (service: string) => {
    const stream = new TestStreamCall(Watch.path, {}).open(handlers().get(Watch.path)!);
    stream.send(Watch.request.encode({ service }));
    stream.halfClose();
    const told = () => stream.messages.map((message) => Watch.response.decode(message).status);
    return { stream, told };
  };
  const alarm = (action: number) =>
    call(handlers(), Alarm, { action, alarm: 1, memberID: running.member.memberId });

  test('the member serves; other names are unknown', async () => {
    expect(await check('')).toBe(Serving.SERVING);
    expect(await check('readyz')).toBe(Serving.SERVING);
    await expect(check('etcdserverpb.KV')).rejects.toMatchObject({
      status: Status.NOT_FOUND,
      message: 'unknown service',
    });
    const { statuses } = await call(handlers(), List, {});
    expect([...statuses.keys()]).toEqual(['', 'readyz']);
    const unknown = watch('etcdserverpb.KV');
    expect(unknown.told()).toEqual([Serving.SERVICE_UNKNOWN]);
    unknown.stream.cancel();
  });

  test('an alarm ends readiness, not service; watching callers hear it once', async () => {
    const ready = watch('readyz');
    const serves = watch('');
    await alarm(1);
    await vi.waitFor(() => expect(ready.told()).toEqual([Serving.SERVING, Serving.NOT_SERVING]), 5000);
    expect(await check('readyz')).toBe(Serving.NOT_SERVING);
    expect(await check('')).toBe(Serving.SERVING);
    await alarm(2);
    await vi.waitFor(() => expect(ready.told()).toHaveLength(3), 5000);
    expect(serves.told()).toEqual([Serving.SERVING]);
    for (const { stream } of [ready, serves]) stream.cancel();
  });

  test('sem-082 while a defragmentation runs, it does not serve, if so configured', async () => {
    const services = createServices(running.member, { restsOnDefragment: true });
    try {
      const table = services.handlers;
      const defragmented = call(table, rpc['etcdserverpb.Maintenance'].Defragment, {});
      expect((await call(table, Check, { service: '' })).status).toBe(Serving.NOT_SERVING);
      expect(await check('')).toBe(Serving.SERVING);
      await defragmented;
      expect((await call(table, Check, { service: '' })).status).toBe(Serving.SERVING);
    } finally {
      services.close();
    }
  });

  test('no leader: not ready; stopping: not serving, and the last answer says so', () => {
    let leader = 1n;
    let onLeader = (_leader: bigint): void => {};
    const member = {
      ...{ env: running.member.env, ended: false, alarms: () => [] },
      get leader() {
        return leader;
      },
      onLeaderChange(listener: (leader: bigint) => void) {
        onLeader = listener;
      },
    } satisfies HealthMember;
    const service = createHealthService(member);
    const table = new Map(service.handlers);
    const open = (name: string): TestStreamCall => {
      const stream = new TestStreamCall(Watch.path, {}).open(table.get(Watch.path)!);
      stream.send(Watch.request.encode({ service: name }));
      return stream;
    };
    const told = (stream: TestStreamCall): HealthCheckResponse['status'][] =>
      stream.messages.map((message) => Watch.response.decode(message).status);
    const [ready, serves] = [open('readyz'), open('')];
    leader = 0n;
    onLeader(leader);
    expect(told(ready)).toEqual([Serving.SERVING, Serving.NOT_SERVING]);
    expect(told(serves)).toEqual([Serving.SERVING]);
    service.close();
    expect(told(serves)).toEqual([Serving.SERVING, Serving.NOT_SERVING]);
    expect(serves.ended).toMatchObject({ status: Status.UNAVAILABLE });
    expect(told(open(''))).toEqual([Serving.NOT_SERVING]);
  });
});

describe('reflection', () => {
  const table: HandlerTable = new Map(reflectionHandlers());
  const { request: codec } = rpc['grpc.reflection.v1.ServerReflection'].ServerReflectionInfo;
  const ask = async (request: Init<ServerReflectionRequest>, version = 'v1') => {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const { status, messages } = await callStream(table, path, [codec.encode({ host: 'h', ...request })]);
    expect(status).toBe(Status.OK);
    const response = ServerReflectionResponse.decode(messages[0]!);
    expect(response).toMatchObject({ validHost: 'h', originalRequest: { host: 'h', ...request } });
    return response;
  };

  test.each(['v1', 'v1alpha'])('%s lists every service of the API', async (version) => {
    const { listServicesResponse } = await ask({ listServices: '*' }, version);
    const names = listServicesResponse?.service.map(({ name }) => name);
    const served = new Set(methods.map(({ service }) => service));
    expect(names?.toSorted()).toEqual([...served, 'grpc.reflection.v1alpha.ServerReflection'].toSorted());
  });

  test('a symbol leads to its file and to all that the file needs', async () => {
    for (const symbol of ['etcdserverpb.KV', 'etcdserverpb.KV.Range', 'etcdserverpb.Compare.CompareResult']) {
      const { fileDescriptorResponse } = await ask({ fileContainingSymbol: symbol });
      // rpc.proto, and the messages of keys and of permissions.
      expect(fileDescriptorResponse?.fileDescriptorProto).toHaveLength(3);
    }
    const { fileDescriptorResponse: byName } = await ask({ fileByFilename: 'kv.proto' });
    expect(byName?.fileDescriptorProto).toHaveLength(1);
  });

  test('what does not exist is said', async () => {
    const missing: Init<ServerReflectionRequest>[] = [
      { fileContainingSymbol: 'no.Such' },
      { fileByFilename: '../rpc.proto' },
      { fileContainingExtension: { containingType: 'etcdserverpb.Compare', extensionNumber: 5 } },
      { allExtensionNumbersOfType: 'no.Such' },
    ];
    for (const request of missing) {
      expect((await ask(request)).errorResponse?.errorCode).toBe(Status.NOT_FOUND);
    }
    const { allExtensionNumbersResponse } = await ask({ allExtensionNumbersOfType: 'etcdserverpb.Compare' });
    expect(allExtensionNumbersResponse?.extensionNumber).toEqual([]);
    expect((await ask({})).errorResponse?.errorCode).toBe(Status.INVALID_ARGUMENT);
  });
});
