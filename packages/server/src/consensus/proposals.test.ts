import { describe, expect, test } from 'vitest';
import { DomainError } from '../errors.ts';
import { Proposals } from './proposals.ts';

function world() {
  const ended: string[] = [];
  const proposals = new Proposals(77);
  const add = (name: string, deadlineMs = Number.POSITIVE_INFINITY) => {
    const sequence = proposals.nextSequence();
    const data = Buffer.from(name);
    proposals.add(sequence, data, 0, deadlineMs, (error) =>
      ended.push(`${name}: ${(error as DomainError | null)?.code ?? 'ok'}`),
    );
    return { sequence, data };
  };
  return { proposals, add, ended };
}

describe('proposals that wait', () => {
  test('an entry answers the request it came from, once', () => {
    const { proposals, add, ended } = world();
    const { sequence, data } = add('a');
    expect(proposals.bytes).toBe(1);
    proposals.take(77, sequence, data)?.(null, null);
    expect(proposals.take(77, sequence, data)).toBe(null);
    expect(ended).toEqual(['a: ok']);
    expect([proposals.size, proposals.bytes]).toEqual([0, 0]);
  });

  test('an entry of another run, or with other bytes under the same number, answers nobody', () => {
    const { proposals, add } = world();
    const { sequence, data } = add('a');
    expect(proposals.take(78, sequence, data)).toBe(null);
    expect(proposals.take(77, sequence, Buffer.from('b'))).toBe(null);
    expect(proposals.take(77, sequence, Buffer.from('a'))).not.toBe(null);
  });

  test('sem-016 what raft never took did not happen; the fate of the rest is unknown', () => {
    const { proposals, add, ended } = world();
    add('never', 5);
    const { sequence } = add('taken', 5);
    add('later', 6);
    proposals.submitted(sequence);
    proposals.expire(5, () => new DomainError('REQUEST_TIMED_OUT'));
    expect(ended).toEqual(['never: CONTEXT_DEADLINE_EXCEEDED', 'taken: REQUEST_TIMED_OUT']);
    expect(proposals.dataOf(sequence)).toBe(null);
  });

  test('err-ErrGRPCStopped a member that ends tells everybody', () => {
    const { proposals, add, ended } = world();
    add('a');
    add('b');
    proposals.failAll(new DomainError('SERVER_STOPPED'));
    expect(ended).toEqual(['a: SERVER_STOPPED', 'b: SERVER_STOPPED']);
    expect([proposals.size, proposals.bytes]).toEqual([0, 0]);
  });
});
