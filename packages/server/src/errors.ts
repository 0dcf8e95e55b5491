/**
 * Refusals: what the request or the cluster says no to. Their `code` is a key of the registry in `@quorate/proto`,
 * which holds the gRPC status and the exact text; `api/error-map.ts` is the only place that turns one into the other.
 */
import type { ErrorCode } from '@quorate/proto';

export class DomainError extends Error {
  override readonly name = 'DomainError';
  readonly code: ErrorCode;
  constructor(code: ErrorCode) {
    super(code);
    this.code = code;
  }
}
