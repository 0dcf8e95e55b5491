/**
 * Server reflection (grpc.reflection.v1 and v1alpha): tools such as grpcurl can list and call the API without its proto files.
 *
 * Answers come from the descriptors that `@quorate/proto` has for every file; both versions of the protocol have the same
 * messages. It shows what the services are, never data, so nothing guards it.
 */
import { type Handler, Status, type StreamCall, type StreamListener } from '@quorate/grpc-server';
import {
  fileContaining,
  fileDescriptor,
  fileWithDependencies,
  type Init,
  type ServerReflectionRequest,
  ServerReflectionResponse,
  serviceNames,
  services,
} from '@quorate/proto';
import { statusOfError } from './error-map.ts';

type Answer = Omit<Init<ServerReflectionResponse>, 'validHost' | 'originalRequest'>;

const PATHS = [
  services['grpc.reflection.v1.ServerReflection'].ServerReflectionInfo.path,
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
] as const;

const notFound = (what: string): Answer => ({
  errorResponse: { errorCode: Status.NOT_FOUND, errorMessage: what },
});

function files(name: string | null, missing: string): Answer {
  if (name === null) return notFound(missing);
  return { fileDescriptorResponse: { fileDescriptorProto: fileWithDependencies(name) } };
}

function answer(request: ServerReflectionRequest): Answer {
  if (request.fileByFilename !== undefined) {
    const name = request.fileByFilename;
    return files(fileDescriptor(name) === null ? null : name, `File not found: ${name}`);
  }
  if (request.fileContainingSymbol !== undefined) {
    const symbol = request.fileContainingSymbol;
    return files(fileContaining(symbol), `Symbol not found: ${symbol}`);
  }
  // There are no extensions in proto3.
  if (request.fileContainingExtension !== undefined) return notFound('Extension not found');
  if (request.allExtensionNumbersOfType !== undefined) {
    const type = request.allExtensionNumbersOfType;
    if (fileContaining(type) === null) return notFound(`Type not found: ${type}`);
    return { allExtensionNumbersResponse: { baseTypeName: type, extensionNumber: [] } };
  }
  if (request.listServices !== undefined) {
    return { listServicesResponse: { service: serviceNames.map((name) => ({ name })) } };
  }
  return { errorResponse: { errorCode: Status.INVALID_ARGUMENT, errorMessage: 'the request asks nothing' } };
}

function open(call: StreamCall): StreamListener {
  const { request: codec } = services['grpc.reflection.v1.ServerReflection'].ServerReflectionInfo;
  return {
    onMessage(message) {
      let request: ServerReflectionRequest;
      try {
        request = codec.decode(message);
      } catch (error) {
        const { status, message: text } = statusOfError(error as Error);
        call.end(status, text);
        return;
      }
      const kept = call.write(
        ServerReflectionResponse.encode({
          validHost: request.host,
          originalRequest: request,
          ...answer(request),
        }),
      );
      if (kept) return;
      // One answer may be waiting, no more: questions stay where they are meanwhile.
      call.pause();
      call.onDrain(() => call.resume());
    },
    onHalfClose: () => call.end(),
  };
}

export function reflectionHandlers(): [path: string, handler: Handler][] {
  return PATHS.map((path) => [path, { kind: 'stream', open }]);
}
