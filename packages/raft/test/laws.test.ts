/**
 * One test for each claim of the thesis that a node must keep by itself, cited in the title.
 */
import { MemoryStorage, RawNode } from '@quorate/raft';
import { EMPTY_CONF } from '@quorate/raft/testing';
import { describe, expect, it } from 'vitest';
import { World } from './scenario/world.ts';

function world(...commands: string[]): World {
  const made = new World();
  for (const command of commands) made.run(command);
  return made;
}

function lone(overrides: { electionTicks?: number; random?: (bound: number) => number } = {}): RawNode {
  const storage = new MemoryStorage({ ...EMPTY_CONF, voters: [1n, 2n, 3n] });
  return new RawNode({ id: 1n, storage, random: () => 0, preVote: false, ...overrides });
}

describe('thesis', () => {
  it('§3.3 a node that sees a higher term takes it and becomes a follower, whatever it was', () => {
    for (const before of [[], ['campaign 1'], ['elect 1']]) {
      const made = world('cluster 3 preVote=off checkQuorum=off', ...before);
      made.run('inject type=append from=2 to=1 term=9');
      made.run('deliver 1 from=2 count=9');
      made.run('expect role@1=follower term@1=9 leader@1=2');
    }
  });

  it('§3.3 a request with a lower term changes nothing', () => {
    const made = world('cluster 3', 'elect 1', 'inject type=append from=3 to=2 term=0 index=0');
    made.run('deliver 2 from=3');
    made.run('expect leader@2=1 term@2=1 last@2=1');
  });

  it('§3.4 a follower campaigns only after its election timeout, drawn between once and twice the minimum', () => {
    for (const jitter of [0, 3, 9]) {
      const node = lone({ random: (bound) => jitter % bound });
      for (let tick = 0; tick < 10 + jitter - 1; tick += 1) node.tick();
      expect(node.status().role).toBe('follower');
      node.tick();
      expect(node.status().role).toBe('candidate');
    }
  });

  it('§3.4 a leader sends heartbeats to all with every heartbeat timeout', () => {
    const made = world('cluster 3 heartbeatTicks=2', 'elect 1', 'tick 1', 'quiet ready 1');
    expect(made.run('network')).toBe('');
    made.run('tick 1');
    made.run('quiet ready 1');
    expect(made.run('network').split('\n')).toHaveLength(2);
  });

  it('§3.5 a new leader never changes or removes entries of its own log', () => {
    const made = world(
      'cluster 3 preVote=off',
      'log 1 1,1,2 term=2',
      'log 2 1 term=2',
      'log 3 1 term=2',
      'elect 1',
    );
    expect(made.run('logs').split('\n')[0]).toBe('1: 1 1 2 3|');
  });

  it('§3.5 logs that agree at one index agree before it: a node refuses entries that do not follow', () => {
    const made = world('cluster 3', 'elect 1', 'inject type=append from=1 to=2 term=1 index=5 logTerm=1');
    made.run('deliver 2 from=1');
    expect(made.run('ready 2')).toContain('refused=5');
  });

  it('§3.6.1 a vote goes only to a log that is at least as complete', () => {
    for (const [candidate, granted] of [
      ['index=3 logTerm=2', true],
      ['index=2 logTerm=3', true],
      ['index=2 logTerm=2', false],
      ['index=9 logTerm=1', false],
    ] as const) {
      const made = world('cluster 3 preVote=off', 'log 1 1,1,2 term=2');
      made.run(`inject type=vote from=2 to=1 term=5 ${candidate}`);
      made.run('deliver 1');
      expect(made.run('ready 1')).toContain(granted ? 'granted' : 'refused');
    }
  });

  it('§3.8 term, vote and log survive a restart; everything else is relearnt', () => {
    const made = world('cluster 3', 'elect 1', 'propose 1 x', 'quiet stabilize', 'crash 2', 'restart 2');
    made.run('expect term@2=1 last@2=2 leader@2=none role@2=follower');
  });

  it('§3.8 a node whose disk has entries of terms that it knows nothing of does not start', () => {
    const made = world('cluster 3');
    expect(() => made.run('log 1 1,1,2 term=1')).toThrow('no entry is newer than the term of its node');
    made.run('log 1 1,1,2 term=2');
  });

  it('§3.10 a leader that hands over takes no new proposals', () => {
    const made = world('cluster 3', 'elect 1', 'transfer 1 2');
    expect(made.run('propose 1 x')).toBe('dropped: transferring');
  });

  it('§4.1 one configuration change at a time', () => {
    const made = world('cluster 3', 'elect 1', 'join 4 5');
    expect(made.run('confchange 1 v4')).toBe('');
    expect(made.run('confchange 1 v5')).toBe('dropped: conf-change-pending');
  });

  it('§6.2 a leader that no quorum answers steps down', () => {
    const made = world('cluster 3', 'elect 1', 'isolate 1', 'tick 1 20');
    made.run('expect role@1=follower');
  });

  it('§6.4 a new leader serves no read before it has committed an entry of its own term', () => {
    const made = world('cluster 1', 'slow 1', 'campaign 1', 'ready 1', 'persisted 1', 'ready 1', 'read 1 7');
    expect(made.run('ready 1')).not.toContain('answer');
    made.run('persisted 1 2');
    expect(made.run('ready 1')).toContain('answer read 7 at 1');
  });

  it('§9.6 a pre-vote changes nobody’s term', () => {
    const made = world('cluster 3', 'campaign 1', 'quiet ready 1', 'quiet deliver 2');
    made.run('expect term@1=0 term@2=0');
  });
});

describe('configuration of a node', () => {
  it('is refused when it cannot work', () => {
    const storage = new MemoryStorage();
    const base = { id: 1n, storage, random: () => 0 };
    for (const wrong of [
      { id: 0n },
      { electionTicks: 1, heartbeatTicks: 1 },
      { electionTicks: 0 },
      { maxInflightMessages: 0 },
      { readOnly: 'lease' as const, checkQuorum: false },
      { readOnly: 'lease' as const, leaseMarginTicks: 10 },
    ]) {
      expect(() => new RawNode({ ...base, ...wrong })).toThrow(RangeError);
    }
  });
});
