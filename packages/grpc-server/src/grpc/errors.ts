/** A request that gRPC answers with a status: thrown while reading it, caught by its call. The text goes to the caller. */
import type { Status } from '../handler.ts';

export class GrpcError extends Error {
  override readonly name = 'GrpcError';
  readonly status: Status;
  constructor(status: Status, message: string) {
    super(message);
    this.status = status;
  }
}
