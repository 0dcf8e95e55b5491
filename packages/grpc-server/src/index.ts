// The other end.
export { GrpcClient } from './client/client.ts';
export type { ClientCall, ClientCallListener, ClientOptions } from './client/contract.ts';
// What a service looks like.
export {
  type CallContext,
  type Handler,
  type HandlerTable,
  type Metadata,
  type ResponseFields,
  Status,
  type StreamCall,
  type StreamHandler,
  type StreamListener,
  type UnaryCall,
  type UnaryHandler,
} from './handler.ts';
// What is not gRPC.
export type { HttpExchange, HttpExchangeListener, HttpHandOver } from './http/exchange.ts';
export { nodeHttpHandOver } from './http/node-http.ts';
// Bounds.
export { defaultLimits, type Limits, type Rate } from './limits.ts';
// What it stands on.
export { nodeEnv } from './node/env.ts';
// The server.
export {
  type CallObserver,
  type ConnectionEnd,
  defaultKeepalive,
  type GrpcServer,
  type GrpcServerOptions,
  type Keepalive,
  type Listening,
  type ListenOptions,
  type ServerStats,
  type TransportEnv,
} from './options.ts';
export { createGrpcServer } from './server.ts';
