/**
 * A stage for tests of the hub: a model store, the hub on it, and one client with a stream. `start` sets it up anew;
 * the exports are live, so a test always sees the stage of its own run.
 */
import { Watch, WatchHub, type WatchHubOptions, type WatchStream } from '@quorate/mvcc';
import { SimEnv } from '@quorate/testing';
import { type Change, ModelStore } from './model-store.ts';
import { Recorder } from './recorder.ts';

export let env: SimEnv;
export let store: ModelStore;
export let hub: WatchHub;
export let client: Recorder;
export let stream: WatchStream;

export function start(options: WatchHubOptions = {}): void {
  env = new SimEnv(1);
  store = new ModelStore();
  hub = new WatchHub(store, env, options);
  client = new Recorder();
  stream = hub.openStream(client);
}

export function apply(...changes: readonly Change[]): void {
  const batch = store.apply(...changes);
  if (batch !== null) hub.publish(batch);
}

export function put(key: string, value = 'v'): void {
  apply({ put: key, value });
}

export function open(options: Parameters<WatchStream['create']>[0], on = stream): Watch {
  const watch = on.create(options);
  if (!(watch instanceof Watch)) throw new Error(`refused: ${watch}`);
  return watch;
}
