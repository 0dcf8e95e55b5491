/** What asking and reading thread agree on: methods are known by their number. */
import type { LinkEnd } from './link.ts';

export const GET = 0;
export const CONFIRM = 1;

export interface ReaderThread {
  readonly link: LinkEnd;
  readonly directory: string;
  /** Whether this thread reads: only one at a time has the store. */
  readonly reads: boolean;
}
