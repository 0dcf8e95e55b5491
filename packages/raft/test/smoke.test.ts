import { EMPTY_CONF, MemoryStorage, RawNode } from '@quorate/raft';
import { expect, it } from 'vitest';

it('single voter commits as soon as its disk says so', () => {
  const storage = new MemoryStorage({ ...EMPTY_CONF, voters: [1n] });
  const node = new RawNode({ id: 1n, storage, random: () => 0 });
  node.campaign();
  const applied: string[] = [];
  const turn = () => {
    while (node.hasReady()) {
      const r = node.ready();
      if (r.hardState) storage.setHardState(r.hardState);
      storage.append(r.entries);
      node.persisted(r.sequence);
      for (const e of r.committedEntries) applied.push(`${e.index}/${e.term}:${Buffer.from(e.data)}`);
      if (r.committedEntries.length > 0) node.applied(r.committedEntries.at(-1)!.index);
    }
  };
  turn();
  expect(node.status().role).toBe('leader');
  expect(node.propose(Buffer.from('x'))).toEqual({ accepted: true, how: 'appended', index: 2, term: 1 });
  turn();
  expect(applied).toEqual(['1/1:', '2/1:x']);
});
