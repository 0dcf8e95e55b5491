/**
 * The checkers checked: one good recording, and for every rule bad ones that it must name.
 */
import { describe, expect, it } from 'vitest';
import { checkWatch, WATCH_RULES } from './watch.ts';
import {
  type ObservedEvent,
  type ObservedRecord,
  WatchHistory,
  type WatchObservation,
  type WatchRecord,
} from './watch-record.ts';

function record(
  key: string,
  mod: number,
  create: number,
  version: number,
  value = `v${mod}`,
): ObservedRecord {
  return { key, value, createRevision: create, modRevision: mod, version, lease: 0n };
}
function put(of: ObservedRecord, previous: ObservedRecord | null = null): ObservedEvent {
  return { type: 'put', record: of, previous };
}
function gone(key: string, mod: number, previous: ObservedRecord | null = null): ObservedEvent {
  return { type: 'delete', record: record(key, mod, 0, 0, ''), previous };
}

// Revision 2: a created; 3: a and b in one transaction; 4: another key; 5: a deleted; 6: a created again.
const a2 = record('a', 2, 2, 1);
const a3 = record('a', 3, 2, 2);
const b3 = record('b', 3, 3, 1);
const z4 = record('z', 4, 4, 1);
const a6 = record('a', 6, 6, 1);
const history = new WatchHistory([
  { revision: 2, events: [put(a2)] },
  { revision: 3, events: [put(a3), put(b3)] },
  { revision: 4, events: [put(z4)] },
  { revision: 5, events: [gone('a', 5)] },
  { revision: 6, events: [put(a6)] },
]);

function response(headerRevision: number, ...events: ObservedEvent[]): WatchObservation {
  return { headerRevision, created: false, canceled: false, compactRevision: 0, fragment: false, events };
}
const created = { ...response(1), created: true };
const fragment = (headerRevision: number, ...events: ObservedEvent[]): WatchObservation => ({
  ...response(headerRevision, ...events),
  fragment: true,
});
const compacted = (compactRevision: number): WatchObservation => ({
  ...response(0),
  canceled: true,
  compactRevision,
});

function watch(responses: readonly WatchObservation[], more: Partial<WatchRecord> = {}): WatchRecord {
  return {
    key: 'a',
    end: 'c',
    withoutPuts: false,
    withoutDeletes: false,
    withPrevious: false,
    sessions: [{ startRevision: 0, responses }],
    ...more,
  };
}

const all = [
  created,
  response(2, put(a2)),
  response(3, put(a3), put(b3)),
  response(5, gone('a', 5)),
  response(6, put(a6)),
];

describe('good recordings', () => {
  const good: Record<string, WatchRecord> = {
    'event by event': watch(all, { completeUpTo: 6 }),
    'several revisions at once, then progress': watch(
      [created, response(6, put(a2), put(a3), put(b3), gone('a', 5), put(a6)), response(6)],
      { completeUpTo: 6 },
    ),
    'a revision in fragments': watch([
      created,
      response(2, put(a2)),
      fragment(3, put(a3)),
      response(3, put(b3)),
    ]),
    'progress between': watch([created, response(1), response(2, put(a2)), response(2)]),
    'two sessions': watch([], {
      sessions: [
        { startRevision: 0, responses: [created, response(2, put(a2))] },
        { startRevision: 3, responses: [{ ...created, headerRevision: 6 }, ...all.slice(2)] },
      ],
      completeUpTo: 6,
    }),
    'with previous records': watch(
      [created, response(3, put(a2), put(a3, a2), put(b3)), response(6, gone('a', 5, a3), put(a6))],
      { withPrevious: true, completeUpTo: 6 },
    ),
    'deletes alone': watch([created, response(5, gone('a', 5))], { withoutPuts: true, completeUpTo: 6 }),
    'ended by compaction': watch([created, compacted(3)]),
  };
  it.each(Object.keys(good))('%s', (name) => {
    expect(checkWatch(good[name]!, history)).toEqual([]);
  });
});

describe('bad recordings are named', () => {
  const late = { ...created, headerRevision: 4 };
  const bad: [rule: string, why: string, recording: WatchRecord][] = [
    [
      'ordered',
      'an older event after a newer one',
      watch([created, response(3, put(a3), put(b3)), response(2, put(a2))]),
    ],
    ['unique', 'an event twice in one session', watch([created, response(2, put(a2)), response(2, put(a2))])],
    [
      'unique',
      'an event again after a resume',
      watch([], {
        sessions: [
          { startRevision: 0, responses: [created, response(2, put(a2))] },
          { startRevision: 2, responses: [{ ...created, headerRevision: 2 }, response(2, put(a2))] },
        ],
      }),
    ],
    [
      'atomic',
      'a transaction in two responses',
      watch([created, response(2, put(a2)), response(3, put(a3)), response(3, put(b3))]),
    ],
    ['reliable', 'a revision left out', watch([created, response(2, put(a2)), response(5, gone('a', 5))])],
    [
      'reliable',
      'half of a transaction left out',
      watch([created, response(2, put(a2)), response(3, put(b3)), response(5, gone('a', 5))]),
    ],
    [
      'reliable',
      'events from before the start',
      watch([late, response(3, put(a3), put(b3)), response(5, gone('a', 5))]),
    ],
    [
      'resumable',
      'the first event at the start revision left out',
      watch([], { sessions: [{ startRevision: 3, responses: [late, response(5, gone('a', 5))] }] }),
    ],
    [
      'resumable',
      'a gap after a resume',
      watch([], {
        sessions: [
          { startRevision: 0, responses: [created, response(2, put(a2))] },
          { startRevision: 3, responses: [late, response(6, put(a6))] },
        ],
      }),
    ],
    [
      'bookmarkable',
      'progress before an event that was due',
      watch([created, response(3), response(2, put(a2))]),
    ],
    [
      'bookmarkable',
      'progress that promises what never comes',
      watch([created, response(2, put(a2)), response(3)]),
    ],
    ['bookmarkable', 'progress that falls', watch([created, response(2, put(a2)), response(2), response(1)])],
    ['faithful', 'another value', watch([created, response(2, put({ ...a2, value: 'forged' }))])],
    ['faithful', 'another lease', watch([created, response(2, put({ ...a2, lease: 7n }))])],
    ['faithful', 'a key that nobody wrote', watch([created, response(2, put(record('aa', 2, 2, 1)))])],
    [
      'creation',
      'an update that says it is a creation',
      watch([created, response(3, put(a2), put({ ...a3, createRevision: 3 }), put(b3))]),
    ],
    [
      'creation',
      'a creation that says it is an update',
      watch([created, response(2, put({ ...a2, createRevision: 1 }))]),
    ],
    [
      'previous',
      'a missing one',
      watch([created, response(3, put(a2), put(a3), put(b3))], { withPrevious: true }),
    ],
    [
      'previous',
      'a wrong one',
      watch([created, response(3, put(a2), put(a3, { ...a2, value: 'x' }), put(b3))], { withPrevious: true }),
    ],
    ['previous', 'one that nobody asked for', watch([created, response(3, put(a2), put(a3, a2), put(b3))])],
    ['previous', 'one for a creation', watch([created, response(2, put(a2, z4))], { withPrevious: true })],
    [
      'filtered',
      'a key outside the range',
      watch([created, response(2, put(a2)), response(4, put(a3), put(b3), put(z4))]),
    ],
    [
      'filtered',
      'a put that was filtered out',
      watch([created, response(2, put(a2))], { withoutPuts: true }),
    ],
    ['createdOnce', 'an event before created', watch([response(2, put(a2)), created])],
    ['createdOnce', 'created twice', watch([created, created])],
    [
      'silentAfterCancel',
      'an event after the end',
      watch([created, { ...response(1), canceled: true }, response(2, put(a2))]),
    ],
    [
      'compactedCancel',
      'a compact revision that was already passed',
      watch([created, response(3, put(a2), put(a3), put(b3)), compacted(3)]),
    ],
    [
      'compactedCancel',
      'a compact revision without an end',
      watch([created, { ...response(1), compactRevision: 5 }]),
    ],
    ['complete', 'the last event never came', watch(all.slice(0, 4), { completeUpTo: 6 })],
  ];
  it.each(bad)('%s: %s', (rule, _why, recording) => {
    expect(checkWatch(recording, history).map((violation) => violation.rule)).toContain(rule);
  });

  it('every rule has at least one', () => {
    expect(new Set(bad.map(([rule]) => rule))).toEqual(new Set(Object.keys(WATCH_RULES)));
  });
});
