/** What keeps an offline tool from doing what it was asked; the text is for people. */
export type OfflineProblem =
  /** The place to write to is not empty, or the one to read from is not there. */
  | 'bad-target'
  | 'not-found'
  | 'in-use'
  /** The file or folder to read is damaged, incomplete or of a kind that cannot be used. */
  | 'bad-source'
  | 'bad-flags';

export class OfflineError extends Error {
  override readonly name = 'OfflineError';
  readonly code: OfflineProblem;

  constructor(code: OfflineProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
