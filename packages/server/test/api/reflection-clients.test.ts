/** Server reflection as other people's tools use it: over grpc-js, knowing nothing but the reflection protocol itself. */
import { createRequire } from 'node:module';
import {
  Client,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import {
  type Init,
  services as rpc,
  type ServerReflectionRequest,
  ServerReflectionResponse,
} from '@quorate/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HttpServer, startHttpServer } from '../support/http-server.ts';

type PackageDefinition = Parameters<typeof loadPackageDefinition>[0];

/** Loads descriptors; grpc-js brings it along. */
const { loadFileDescriptorSetFromBuffer } = createRequire(
  createRequire(import.meta.url).resolve('@grpc/grpc-js'),
)('@grpc/proto-loader') as {
  loadFileDescriptorSetFromBuffer(bytes: Buffer, options: { longs: StringConstructor }): PackageDefinition;
};

let http: HttpServer;
let client: Client;
beforeAll(async () => {
  http = await startHttpServer();
  client = new Client(`127.0.0.1:${http.port}`, credentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await http.stop();
});

const { request: codec } = rpc['grpc.reflection.v1.ServerReflection'].ServerReflectionInfo;

/** One stream; asks one question after the other. */
class Questions {
  readonly #stream;
  readonly #answers: AsyncIterator<Buffer>;

  constructor(version: string) {
    const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
    const same = (bytes: Buffer): Buffer => bytes;
    this.#stream = client.makeBidiStreamRequest(path, same, same);
    this.#answers = this.#stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async ask(request: Init<ServerReflectionRequest>): Promise<ServerReflectionResponse> {
    this.#stream.write(Buffer.from(codec.encode(request)));
    const answer = await this.#answers.next();
    if (answer.done === true) throw new Error('the stream has ended');
    return ServerReflectionResponse.decode(answer.value);
  }

  /** @returns whether nothing more came */
  async end(): Promise<boolean> {
    this.#stream.end();
    return (await this.#answers.next()).done === true;
  }
}

/** Files as one `google.protobuf.FileDescriptorSet`. */
function descriptorSet(files: Iterable<Uint8Array>): Buffer {
  return Buffer.concat(
    [...files].flatMap((file) => {
      const length: number[] = [];
      for (let rest = file.length; ; rest >>>= 7) {
        if (rest < 128) {
          length.push(rest);
          break;
        }
        length.push((rest & 127) | 128);
      }
      return [Buffer.from([0x0a, ...length]), file];
    }),
  );
}

describe.each(['v1', 'v1alpha'])('reflection %s over grpc-js', (version) => {
  test('from the list of services to a call, with nothing else in hand', async () => {
    const questions = new Questions(version);
    const { listServicesResponse } = await questions.ask({ listServices: '' });
    const names = listServicesResponse?.service.map(({ name }) => name) ?? [];
    expect(names).toContain('etcdserverpb.KV');
    const files = new Map<string, Uint8Array>();
    for (const name of names) {
      const { fileDescriptorResponse } = await questions.ask({ fileContainingSymbol: name });
      const found = fileDescriptorResponse?.fileDescriptorProto ?? [];
      expect(found.length, name).toBeGreaterThan(0);
      for (const file of found) files.set(Buffer.from(file).toString('base64'), file);
      // All that is needed is there, and whole.
      expect(Object.keys(loadFileDescriptorSetFromBuffer(descriptorSet(found), { longs: String }))).toContain(
        name,
      );
    }
    expect(await questions.end()).toBe(true);

    const definition = loadFileDescriptorSetFromBuffer(descriptorSet(files.values()), { longs: String });
    const { KV } = loadPackageDefinition(definition).etcdserverpb as GrpcObject;
    const kv = new (KV as ServiceClientConstructor)(`127.0.0.1:${http.port}`, credentials.createInsecure());
    const call = (method: string, request: object) =>
      new Promise<Record<string, never>>((resolve, reject) => {
        kv[method]!(request, (error: Error | null, response: Record<string, never>) => {
          if (error !== null) reject(error);
          else resolve(response);
        });
      });
    await call('Put', { key: Buffer.from(version), value: Buffer.from('seen') });
    const { kvs } = (await call('Range', { key: Buffer.from(version) })) as { kvs?: { value: Buffer }[] };
    expect(kvs?.map(({ value }) => value.toString())).toEqual(['seen']);
    kv.close();
  });

  test('what does not exist is an answer, not the end of the stream', async () => {
    const questions = new Questions(version);
    const code = async (request: Init<ServerReflectionRequest>) =>
      (await questions.ask(request)).errorResponse?.errorCode;
    expect(await code({ fileContainingSymbol: 'no.Such' })).toBe(5);
    expect(await code({ fileByFilename: 'no-such.proto' })).toBe(5);
    expect(await code({ allExtensionNumbersOfType: 'no.Such' })).toBe(5);
    expect(
      await code({
        fileContainingExtension: { containingType: 'etcdserverpb.PutRequest', extensionNumber: 7 },
      }),
    ).toBe(5);
    const { fileDescriptorResponse } = await questions.ask({ fileByFilename: 'rpc.proto' });
    expect(fileDescriptorResponse?.fileDescriptorProto.length).toBeGreaterThan(1);
    const { allExtensionNumbersResponse } = await questions.ask({
      allExtensionNumbersOfType: 'etcdserverpb.PutRequest',
    });
    expect(allExtensionNumbersResponse).toMatchObject({
      baseTypeName: 'etcdserverpb.PutRequest',
      extensionNumber: [],
    });
    expect(await questions.end()).toBe(true);
  });

  test('questions asked all at once are answered in their order', async () => {
    const questions = new Questions(version);
    const symbols = Array.from({ length: 200 }, (_, index) =>
      index % 2 === 0 ? 'etcdserverpb.Watch' : `no.Such${index}`,
    );
    const answers = await Promise.all(
      symbols.map((fileContainingSymbol) => questions.ask({ fileContainingSymbol })),
    );
    expect(answers.map(({ originalRequest }) => originalRequest?.fileContainingSymbol)).toEqual(symbols);
    expect(await questions.end()).toBe(true);
  });
});
