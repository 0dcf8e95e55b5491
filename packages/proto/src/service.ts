/**
 * The calls of the API as data: path, message types and which sides stream. Servers build their handler table
 * from it and clients their stubs, so a path or a type is written down once, in `proto/`. The table itself is
 * `gen/services.ts`.
 */
import type { Codec } from './wire.ts';

export interface MethodDescriptor<Request, Response> {
  /** `etcdserverpb.KV` */
  readonly service: string;
  /** `Range` */
  readonly name: string;
  /** `/etcdserverpb.KV/Range` */
  readonly path: `/${string}/${string}`;
  readonly request: Codec<Request>;
  readonly response: Codec<Response>;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

export interface UnaryMethod<Request, Response> extends MethodDescriptor<Request, Response> {
  readonly requestStream: false;
  readonly responseStream: false;
}

export interface ServerStreamingMethod<Request, Response> extends MethodDescriptor<Request, Response> {
  readonly requestStream: false;
  readonly responseStream: true;
}

export interface BidiStreamingMethod<Request, Response> extends MethodDescriptor<Request, Response> {
  readonly requestStream: true;
  readonly responseStream: true;
}

export function unary<Q, R>(
  service: string,
  name: string,
  request: Codec<Q>,
  response: Codec<R>,
): UnaryMethod<Q, R> {
  return {
    service,
    name,
    path: `/${service}/${name}`,
    request,
    response,
    requestStream: false,
    responseStream: false,
  };
}

export function serverStreaming<Q, R>(
  service: string,
  name: string,
  request: Codec<Q>,
  response: Codec<R>,
): ServerStreamingMethod<Q, R> {
  return {
    service,
    name,
    path: `/${service}/${name}`,
    request,
    response,
    requestStream: false,
    responseStream: true,
  };
}

export function bidiStreaming<Q, R>(
  service: string,
  name: string,
  request: Codec<Q>,
  response: Codec<R>,
): BidiStreamingMethod<Q, R> {
  return {
    service,
    name,
    path: `/${service}/${name}`,
    request,
    response,
    requestStream: true,
    responseStream: true,
  };
}
