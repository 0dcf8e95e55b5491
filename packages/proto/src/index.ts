/** @quorate/proto: the wire contract. Messages and calls, the error registry, limits. */

export { fileContaining, fileDescriptor, fileWithDependencies, serviceNames } from './descriptors.ts';
export type { ErrorCode, ErrorFact, RetryHint, WatchCancelCode } from './errors.ts';
export {
  errorCodeOf,
  errorCodes,
  errorFacts,
  messageTooLargeText,
  watchCancelCodeOf,
  watchCancelReasons,
  wireStatus,
} from './errors.ts';
export type { FieldInfo } from './fields.ts';
export { enumValues, messageFields } from './gen/fields.ts';
// Every message and enum under its own name; nested ones as `Compare_CompareResult`.
export * from './gen/messages.ts';
export { services } from './gen/services.ts';
export { etcdApi, limits, metadataKeys } from './limits.ts';
export { methods } from './methods.ts';
export type {
  BidiStreamingMethod,
  MethodDescriptor,
  ServerStreamingMethod,
  UnaryMethod,
} from './service.ts';
export { GrpcStatus, type GrpcStatusName, grpcStatusName } from './status.ts';
export { type Codec, DecodeError, EMPTY_BYTES, type Init, MAX_DECODE_DEPTH } from './wire.ts';
