/**
 * What the HTTP front loads late: the apps, with the gateway and the text of metrics behind them.
 *
 * A module of its own, so that one `import()` brings all of it. Read next: `app.ts`.
 */
import type { HandlerTable } from '@quorate/grpc-server';
import type { Member } from '../member.ts';
import { createHttpApp, type HttpApp, type HttpAppOptions } from './app.ts';
import type { HttpFrontConfig } from './front.ts';
import { Gateway } from './gateway/gateway.ts';
import type { CallMetrics } from './metrics/calls.ts';
import { MetricsRegistry } from './metrics/registry.ts';
import type { MetricsSource } from './metrics/source.ts';
import { Turns } from './turns.ts';

/** What has counted since the start. */
export interface Counted {
  readonly observer: CallMetrics;
  /** Grows while the server is put together. */
  readonly sources: readonly MetricsSource[];
  readonly onVerdict: HttpAppOptions['onVerdict'];
}

export class HttpApps {
  readonly #common: Pick<HttpAppOptions, 'member' | 'access' | 'metrics' | 'onVerdict'>;
  readonly #gateway: () => Gateway | null;

  constructor(member: Member, handlers: HandlerTable, config: HttpFrontConfig, counted: Counted) {
    const { env } = member;
    this.#common = {
      member,
      access: config.access,
      metrics: new MetricsRegistry(counted.sources),
      onVerdict: counted.onVerdict,
    };
    this.#gateway = () =>
      config.enableGateway
        ? new Gateway({
            handlers,
            env,
            turns: new Turns(env),
            maxMessageBytes: config.maxMessageBytes,
            observer: counted.observer,
          })
        : null;
  }

  /** Once for each surface. */
  create(surface: 'client' | 'metrics'): Promise<HttpApp> {
    return createHttpApp({
      ...this.#common,
      surface,
      gateway: surface === 'client' ? this.#gateway() : null,
    });
  }
}
