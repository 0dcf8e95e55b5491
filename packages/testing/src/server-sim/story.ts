/** What the stores of all members showed, as a watch from the beginning would have seen it: the yardstick of the checkers. */
import type { EventBatch } from '@quorate/mvcc';
import type { HistoryWatch } from '../checkers/history.ts';

export function storyOfStores(revisions: Iterable<EventBatch>): HistoryWatch {
  const responses = [...revisions].sort((a, b) => a.revision - b.revision).map(observed);
  const created = {
    headerRevision: 1,
    created: true,
    canceled: false,
    compactRevision: 0,
    fragment: false,
  };
  const record = {
    key: '\0',
    end: '\0',
    withoutPuts: false,
    withoutDeletes: false,
    withPrevious: false,
    sessions: [{ startRevision: 1, responses: [{ ...created, events: [] }, ...responses] }],
  };
  return { member: 'stores', endpoint: 'stores', record };
}

function observed(batch: EventBatch) {
  return {
    headerRevision: batch.revision,
    created: false,
    canceled: false,
    compactRevision: 0,
    fragment: false,
    events: batch.events.map(({ type, record }) => ({
      type,
      record: {
        key: Buffer.from(record.key).toString('latin1'),
        value: type === 'delete' ? '' : Buffer.from(record.value).toString('latin1'),
        createRevision: type === 'delete' ? 0 : record.createRevision,
        modRevision: record.modRevision,
        version: type === 'delete' ? 0 : record.version,
        lease: type === 'delete' ? 0n : record.lease,
      },
      previous: null,
    })),
  };
}
