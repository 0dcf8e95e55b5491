import { describe, expect, test } from 'vitest';
import { READ_RETRY_MS, Reads } from './reads.ts';

const FOREVER = Number.POSITIVE_INFINITY;

function world() {
  const asked: bigint[] = [];
  const ended: string[] = [];
  const reads = new Reads();
  return {
    reads,
    asked,
    ended,
    add: (name: string, deadlineMs = FOREVER) =>
      reads.add(0, deadlineMs, (error) =>
        ended.push(`${name}: ${(error as { code?: string })?.code ?? 'ok'}`),
      ),
    ask: (nowMs = 0, takes = true) =>
      reads.ask(nowMs, (context) => {
        if (takes) asked.push(context);
        return takes;
      }),
  };
}

describe('rounds of reads', () => {
  test('sem-034 reads that wait share one question and answer once their index is applied', () => {
    const { reads, add, ask, asked, ended } = world();
    add('a');
    add('b');
    ask();
    expect(asked).toEqual([1n]);
    reads.confirmed(1n, 5);
    reads.applied(4);
    expect(ended).toEqual([]);
    reads.applied(5);
    expect(ended).toEqual(['a: ok', 'b: ok']);
    expect(reads.size).toBe(0);
  });

  test('a read that comes during a round waits for the next: the answer under way is too old for it', () => {
    const { reads, add, ask, asked, ended } = world();
    add('a');
    ask();
    add('b');
    ask();
    expect(asked).toEqual([1n]);
    reads.confirmed(1n, 5);
    ask();
    expect(asked).toEqual([1n, 2n]);
    reads.applied(9);
    expect(ended).toEqual(['a: ok']);
    reads.confirmed(2n, 6);
    reads.applied(9);
    expect(ended).toEqual(['a: ok', 'b: ok']);
  });

  test('sem-035 case-38 an unanswered question is repeated under a new context, and the old answer means nothing', () => {
    const { reads, add, ask, asked, ended } = world();
    add('a');
    ask(0);
    ask(READ_RETRY_MS - 1);
    expect(asked).toEqual([1n]);
    ask(READ_RETRY_MS);
    expect(asked).toEqual([1n, 2n]);
    reads.confirmed(1n, 5);
    reads.applied(9);
    expect(ended).toEqual([]);
    reads.confirmed(2n, 5);
    reads.applied(9);
    expect(ended).toEqual(['a: ok']);
  });

  test('what raft drops or does not take is asked again', () => {
    const { reads, add, ask, asked } = world();
    add('a');
    ask(0, false);
    expect(asked).toEqual([]);
    ask(0);
    reads.dropped(2n);
    ask(0);
    expect(asked).toEqual([2n, 3n]);
  });

  test('sem-035 err-ErrGRPCLeaderChanged a change of leader ends the round under way, and no other read', () => {
    const { reads, add, ask, ended } = world();
    add('confirmed');
    ask();
    reads.confirmed(1n, 5);
    add('asked');
    ask();
    add('waiting');
    reads.leaderChanged();
    expect(ended).toEqual(['asked: LEADER_CHANGED']);
    expect(reads.size).toBe(2);
  });

  test('sem-016 err-ErrGRPCTimeout reads end at their deadline wherever they are', async () => {
    const { DomainError } = await import('../errors.ts');
    const { reads, add, ask, ended } = world();
    add('applying', 10);
    ask();
    reads.confirmed(1n, 5);
    add('asked', 10);
    ask();
    add('waiting', 10);
    add('later', 11);
    reads.expire(10, () => new DomainError('REQUEST_TIMED_OUT'));
    expect(ended.sort()).toEqual(
      ['applying', 'asked', 'waiting'].map((name) => `${name}: REQUEST_TIMED_OUT`),
    );
    expect(reads.size).toBe(1);
  });
});
