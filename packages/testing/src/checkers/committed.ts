/**
 * What was committed, revision by revision, and the keys that follow from it: the yardstick of the other checkers.
 *
 * It comes from watches that started at revision 1 and were drained after everything had healed, one on each member;
 * all of them must tell the same story (rule `equalHistory`).
 */
import type { ModelKeyValue } from '../model/etcd-model.ts';
import type { HistoryWatch } from './history.ts';
import { canonical, type KeyValues } from './model-call.ts';
import type { Violation } from './watch.ts';
import { type HistoryRevision, type ObservedEvent, WatchHistory } from './watch-record.ts';

/** The story that one recording tells; a record per change, previous records left out. */
export function storyOf(watch: HistoryWatch): HistoryRevision[] {
  const revisions: { revision: number; events: Omit<ObservedEvent, 'previous'>[] }[] = [];
  for (const session of watch.record.sessions) {
    for (const { events } of session.responses) {
      for (const { type, record } of events) {
        let last = revisions.at(-1);
        if (last?.revision !== record.modRevision) {
          last = { revision: record.modRevision, events: [] };
          revisions.push(last);
        }
        last.events.push({ type, record });
      }
    }
  }
  return revisions;
}

/** The story of the first recording, which must begin at revision 1, and where another one differs from it. */
export function committedFrom(watches: readonly HistoryWatch[]): {
  readonly committed: WatchHistory;
  readonly violations: readonly Violation[];
} {
  const stories = watches.map(storyOf);
  const violations: Violation[] = [];
  const [first = []] = stories;
  stories.slice(1).forEach((story, index) => {
    // A watch that began later (of a member that joined after a compaction) tells the rest of the same story.
    const start = watches[index + 1]!.record.sessions[0]?.startRevision ?? 1;
    const common = first.filter(({ revision }) => revision >= start);
    for (let at = 0; at < Math.max(common.length, story.length); at++) {
      const [one, other] = [canonical(common[at] ?? null), canonical(story[at] ?? null)];
      if (one === other) continue;
      const revision = common[at]?.revision ?? story[at]?.revision;
      const detail = `revision ${revision}: ${watches[0]!.member} saw ${one}, ${watches[index + 1]!.member} saw ${other}`;
      violations.push({ rule: 'equalHistory', detail });
      break;
    }
  });
  return { committed: new WatchHistory(first), violations };
}

/** The keys after each revision, made one after the other: asking for an older one starts again. */
export class Replay {
  readonly #committed: WatchHistory;
  #kvs = new Map<string, ModelKeyValue>();
  #revision = 1;

  constructor(committed: WatchHistory) {
    this.#committed = committed;
  }

  /** The keys as they were after `revision`. Not to be changed; a copy of its own. */
  at(revision: number): ReadonlyMap<string, ModelKeyValue> {
    if (revision < this.#revision) {
      this.#kvs = new Map();
      this.#revision = 1;
    }
    while (this.#revision < revision) {
      const events = this.#committed.at(++this.#revision)?.events ?? [];
      if (events.length > 0) this.#kvs = new Map(this.#kvs);
      for (const { type, record } of events) {
        if (type === 'delete') this.#kvs.delete(record.key);
        else this.#kvs.set(record.key, record);
      }
    }
    return this.#kvs;
  }
}

export function lastRevision(committed: WatchHistory): number {
  return committed.revisions.at(-1)?.revision ?? 1;
}

/** A lease ended: exactly its keys are gone. */
export function isLeaseEnd(entry: HistoryRevision, before: KeyValues): boolean {
  const lease = before.get(entry.events[0]?.record.key ?? '')?.lease ?? 0n;
  if (lease === 0n || entry.events.some((event) => event.type !== 'delete')) return false;
  const held = [...before.values()].filter((kv) => kv.lease === lease).map((kv) => kv.key);
  return (
    held.sort().join('\0') ===
    entry.events
      .map((event) => event.record.key)
      .sort()
      .join('\0')
  );
}
