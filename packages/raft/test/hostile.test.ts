/**
 * Messages come from sockets: what no correct peer sends is refused without a trace, and nothing ever fails in another way
 * than by the errors that `step` names.
 */
import {
  CodecError,
  type ConfChange,
  type ConfState,
  decodeMessage,
  encodeConfChange,
  encodeMessage,
  InvariantError,
  type Message,
  MessageType,
  makeMessage,
  ProtocolError,
  type Snapshot,
} from '@quorate/raft';
import { EMPTY_CONF } from '@quorate/raft/testing';
import { describe, expect, it } from 'vitest';
import { generator } from './random/generator.ts';
import { World } from './scenario/world.ts';

const TRIO: ConfState = { ...EMPTY_CONF, voters: [1n, 2n, 3n] };

function entry(index: number, term: number) {
  return { index, term, type: 0 as const, data: new Uint8Array(3) };
}

function snapshot(index: number, term: number, conf = TRIO): Snapshot {
  return { meta: { index, term, conf }, data: new TextEncoder().encode('[]') };
}

/** Node 1 after a few entries of term 1, as a follower of 2 or as the leader. */
function nodeOf(role: 'follower' | 'leader' | 'candidate'): World {
  const world = new World();
  world.run(`cluster 3${role === 'candidate' ? ' preVote=off' : ''}`);
  world.run(role === 'leader' ? 'elect 1' : 'elect 2');
  world.run(`propose ${role === 'leader' ? 1 : 2} x`);
  world.run('quiet stabilize');
  if (role === 'candidate') world.run('quiet tick 1 20');
  return world;
}

describe('what no correct peer sends', () => {
  const append = { type: MessageType.append, from: 2n, to: 1n, term: 3 } as const;
  const image = { ...append, type: MessageType.snapshot } as const;
  const cases: Record<string, Message> = {
    'to another node': makeMessage({ ...append, to: 9n }),
    'from itself': makeMessage({ ...append, from: 1n }),
    'from nobody': makeMessage({ ...append, from: 0n }),
    'a gap before the entries': makeMessage({ ...append, entries: [entry(2, 1)] }),
    'a gap between entries': makeMessage({ ...append, entries: [entry(1, 1), entry(3, 1)] }),
    'an index twice': makeMessage({ ...append, entries: [entry(1, 1), entry(1, 1)] }),
    'terms that fall': makeMessage({ ...append, entries: [entry(1, 2), entry(2, 1)] }),
    'an entry older than the one before': makeMessage({
      ...append,
      index: 2,
      logTerm: 3,
      entries: [entry(3, 2)],
    }),
    'an entry newer than its leader': makeMessage({ ...append, entries: [entry(1, 4)] }),
    'a log newer than its leader': makeMessage({ ...append, index: 2, logTerm: 4 }),
    'an entry of no term': makeMessage({ ...append, entries: [entry(1, 0)] }),
    'a snapshot message without one': makeMessage(image),
    'a snapshot newer than its leader': makeMessage({ ...image, snapshot: snapshot(9, 4) }),
    'a snapshot of no term': makeMessage({ ...image, snapshot: snapshot(9, 0) }),
    'a snapshot of nobody': makeMessage({ ...image, snapshot: snapshot(9, 2, EMPTY_CONF) }),
    'a snapshot with outgoing voters alone': makeMessage({
      ...image,
      snapshot: snapshot(9, 2, { ...EMPTY_CONF, votersOutgoing: [1n] }),
    }),
    'a learner that votes': makeMessage({ ...image, snapshot: snapshot(9, 2, { ...TRIO, learners: [1n] }) }),
    'a candidate with a log of the term it asks for': makeMessage({
      ...append,
      type: MessageType.vote,
      index: 5,
      logTerm: 3,
    }),
    'a pre-candidate with a log from the future': makeMessage({
      ...append,
      type: MessageType.preVote,
      index: 5,
      logTerm: 7,
    }),
  };

  it.each(Object.entries(cases))('is refused, and the state stays as it was: %s', (_, message) => {
    for (const role of ['follower', 'candidate', 'leader'] as const) {
      const node = nodeOf(role).node('1').raw;
      while (node.hasReady()) node.ready();
      const before = node.status();
      expect(() => node.step(message)).toThrow(ProtocolError);
      expect(node.status()).toEqual(before);
      expect(node.hasReady()).toBe(false);
    }
  });

  it('two leaders in a term, or a commit index beyond what was acknowledged, is the end of the node that sees it', () => {
    const leader = nodeOf('leader').node('1').raw;
    const { term } = leader.status().hardState;
    expect(() => leader.step(makeMessage({ ...append, term }))).toThrow(InvariantError);
    const follower = nodeOf('follower').node('1').raw;
    const beyond = { type: MessageType.heartbeat, from: 2n, to: 1n, term, commit: 99 } as const;
    expect(() => follower.step(makeMessage(beyond))).toThrow(InvariantError);
  });
});

describe('hostile messages', () => {
  const TYPES = Object.values(MessageType);

  function drawNumber(draw: (bound: number) => number): number {
    return draw(12) === 0 ? Number.MAX_SAFE_INTEGER - draw(3) : draw(8);
  }

  function drawChange(draw: (bound: number) => number): ConfChange {
    const kinds = ['add-voter', 'add-learner', 'remove-node'] as const;
    const transitions = ['auto', 'joint-auto-leave', 'joint-explicit'] as const;
    const steps = Array.from({ length: draw(4) }, () => ({ kind: kinds[draw(3)]!, id: BigInt(1 + draw(5)) }));
    return { transition: transitions[draw(3)]!, steps, context: new Uint8Array(0) };
  }

  function drawMessage(draw: (bound: number) => number): Message {
    const type = TYPES[draw(TYPES.length)]!;
    const index = drawNumber(draw);
    const logTerm = draw(4);
    const some = draw(3) === 0 ? draw(4) : 0;
    const entries = Array.from({ length: some }, (_, offset) => {
      const at = draw(20) === 0 ? draw(9) : index + 1 + offset;
      const made = entry(at, draw(20) === 0 ? draw(9) : logTerm + 1);
      return draw(4) === 0 ? { ...made, type: 1 as const, data: encodeConfChange(drawChange(draw)) } : made;
    });
    const voters = [1n, 2n, 3n, 4n].slice(draw(3), 1 + draw(4));
    return makeMessage({
      type,
      from: BigInt(draw(6)),
      to: 1n,
      term: drawNumber(draw),
      index,
      logTerm,
      entries,
      commit: drawNumber(draw),
      reject: draw(2) === 0,
      rejectHint: drawNumber(draw),
      snapshot:
        type === MessageType.snapshot ? snapshot(drawNumber(draw), draw(4), { ...EMPTY_CONF, voters }) : null,
      context: draw(6) === 0 ? 2n ** 64n - 1n : BigInt(draw(4)),
    });
  }

  it('end in nothing but the errors that are named, in every role', () => {
    const outcomes = { taken: 0, refused: 0, fatal: 0 };
    for (let seed = 1; seed <= 1500; seed += 1) {
      const draw = generator(seed);
      const world = nodeOf((['follower', 'candidate', 'leader'] as const)[seed % 3]!);
      const node = world.node('1');
      try {
        for (let count = 0; count < 40; count += 1) {
          try {
            node.raw.step(drawMessage(draw));
            outcomes.taken += 1;
          } catch (error) {
            if (!(error instanceof ProtocolError)) throw error;
            outcomes.refused += 1;
          }
          if (draw(3) === 0) node.raw.tick();
          for (let turns = 0; node.raw.hasReady() && draw(4) > 0; turns += 1) {
            expect(turns, 'more and more to do').toBeLessThan(200);
            node.takeReady(draw(2) === 0);
          }
        }
      } catch (error) {
        // Lies about what is committed cannot be told from the loss of a log: the node stops.
        if (!(error instanceof InvariantError)) throw error;
        outcomes.fatal += 1;
      }
    }
    for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(200);
  });

  it('bytes that were changed decode to a message that could have been sent, or not at all', () => {
    let decoded = 0;
    for (let seed = 1; seed <= 30_000; seed += 1) {
      const draw = generator(seed);
      const bytes = encodeMessage(drawMessage(draw));
      for (let left = 1 + draw(3); left > 0; left -= 1) bytes[draw(bytes.length)] = draw(256);
      try {
        const message = decodeMessage(bytes.subarray(0, draw(8) === 0 ? draw(bytes.length) : bytes.length));
        decoded += 1;
        expect(decodeMessage(encodeMessage(message))).toEqual(message);
      } catch (error) {
        if (!(error instanceof CodecError)) throw error;
      }
    }
    expect(decoded).toBeGreaterThan(1000);
  });
});
