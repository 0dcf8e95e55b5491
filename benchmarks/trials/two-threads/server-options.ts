/** What the runner and the server's process tell each other. */
import type { BellKind } from './doorbell.ts';
import type { ServiceName } from './services.ts';

/** `one`: everything on the main thread. Otherwise the transport has a thread, and this wakes it. */
export type Threads = 'one' | BellKind;

export interface ServerOptions {
  readonly threads: Threads;
  readonly service: ServiceName;
  readonly dataDirectory: string;
  readonly ringBytes: number;
}

export type FromServer = { readonly port: number } | { readonly rings: number };

/** Name of the transport's thread, as /proc shows it. */
export const TRANSPORT_THREAD = 'transport';
