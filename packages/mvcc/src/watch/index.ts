/** Watches: the hub, its streams, and what they hand over. */
export { EventGroup } from './event-group.ts';
export { WatchHub } from './hub.ts';
export { WatchStream } from './stream.ts';
export {
  WATCH_DEFAULTS,
  type WatchConsumer,
  type WatchHubOptions,
  type WatchId,
  type WatchOptions,
  type WatchRefusal,
  type WatchRuntime,
  type WatchSource,
  type WatchStats,
} from './types.ts';
export { Watch, type WatchState } from './watch.ts';
