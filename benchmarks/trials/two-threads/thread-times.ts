/** Processor time by thread, as the kernel counts it (Linux): nanoseconds on a core, from `schedstat`. */
import { readdirSync, readFileSync } from 'node:fs';

/** Node's name for the thread that runs the program. */
const MAIN_THREAD = 'MainThread';

export interface ThreadTimes {
  readonly mainUs: number;
  /** The one thread that was asked for by name. */
  readonly namedUs: number;
  /** The log, the store's writer, V8's helpers, libuv's pool. */
  readonly othersUs: number;
}

export function threadTimes(pid: number, name: string): ThreadTimes {
  let mainUs = 0;
  let namedUs = 0;
  let othersUs = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const comm = readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim();
    const onCoreUs =
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]) / 1_000;
    if (comm === MAIN_THREAD) mainUs += onCoreUs;
    else if (comm === name) namedUs += onCoreUs;
    else othersUs += onCoreUs;
  }
  return { mainUs, namedUs, othersUs };
}

/** What was used between two looks, for each of `calls`. */
export function timesPerCall(before: ThreadTimes, after: ThreadTimes, calls: number): ThreadTimes {
  return {
    mainUs: (after.mainUs - before.mainUs) / calls,
    namedUs: (after.namedUs - before.namedUs) / calls,
    othersUs: (after.othersUs - before.othersUs) / calls,
  };
}
