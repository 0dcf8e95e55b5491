/** What can be wrong with a file, with the place where it was seen. */

export type BoltProblem =
  /** Not a bbolt file at all: neither meta page can be used. */
  | 'not-bbolt'
  /** A page contradicts itself, its parents, or the size of the file. */
  | 'damaged'
  /** What was asked for is not what is there: a bucket read as a value. */
  | 'wrong-kind';

export class BoltError extends Error {
  override readonly name = 'BoltError';
  readonly code: BoltProblem;
  /** The page that cannot be used; null when no single page is to blame. */
  readonly pageId: number | null;

  constructor(code: BoltProblem, pageId: number | null, message: string) {
    super(pageId === null ? message : `page ${pageId}: ${message}`);
    this.code = code;
    this.pageId = pageId;
  }
}

export function damaged(pageId: number, what: string): BoltError {
  return new BoltError('damaged', pageId, what);
}
