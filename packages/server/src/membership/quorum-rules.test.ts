/** The strict reconfiguration check, drawn: capital letters have started, small ones have not; `!` means out of reach, `?` in contact too short. */
import { expect, test } from 'vitest';
import type { MemberInfo } from '../member.ts';
import { type QuorumView, refuseAdd, refusePromote, refuseRemove } from './quorum-rules.ts';

/** `A B c! (D)`: A is the member that is asked, D a learner. */
function view(text: string): QuorumView {
  const words = text.split(' ');
  const members = words.map((word, index): MemberInfo => {
    const letter = /[a-z]/i.exec(word)![0];
    return {
      id: BigInt(index + 1),
      name: letter === letter.toUpperCase() ? letter : '',
      peerUrls: [],
      clientUrls: [],
      isLearner: word.startsWith('('),
    };
  });
  const word = (id: bigint): string => words[Number(id) - 1]!;
  return {
    members,
    self: 1n,
    connected: (id) => !word(id).includes('!'),
    connectedLong: (id) => !/[!?]/.test(word(id)),
  };
}

test.each([
  ['A', null],
  ['A B', null],
  // The second member of one cannot have started before it is added.
  ['A b', 'MEMBER_NOT_ENOUGH_STARTED'],
  ['A B C', null],
  ['A B c', 'MEMBER_NOT_ENOUGH_STARTED'],
  ['A B! C', 'UNHEALTHY_CLUSTER'],
  ['A B? C', 'UNHEALTHY_CLUSTER'],
  ['A B C D E!', null],
  ['A B C D! E!', 'UNHEALTHY_CLUSTER'],
  ['A B C (D!)', null],
])('sem-163 sem-164 a voter is added to %s: %s', (text, code) => {
  expect(refuseAdd(view(text), false)?.code ?? null).toBe(code);
});

test('sem-164 a learner changes no quorum, and is added only to a healthy cluster', () => {
  expect(refuseAdd(view('A B c'), true)).toBeNull();
  expect(refuseAdd(view('A B! C'), true)?.code).toBe('UNHEALTHY_CLUSTER');
});

test.each([
  ['A', 1, 'MEMBER_NOT_ENOUGH_STARTED'],
  ['A B', 2, null],
  ['A b', 2, null],
  ['A b', 1, 'MEMBER_NOT_ENOUGH_STARTED'],
  ['A B C', 3, null],
  ['A B C!', 3, null],
  ['A B C!', 2, 'UNHEALTHY_CLUSTER'],
  ['A B C!', 1, 'UNHEALTHY_CLUSTER'],
  ['A B C D! E!', 2, 'UNHEALTHY_CLUSTER'],
  ['A B C D! E!', 5, null],
  ['A B (c)', 3, null],
  ['A! (c)', 2, null],
])('sem-165 from %s member %i is removed: %s', (text, id, code) => {
  expect(refuseRemove(view(text), BigInt(id))?.code ?? null).toBe(code);
});

test('sem-167 a learner that is promoted counts as started', () => {
  expect(refusePromote(view('A B (C)'))).toBeNull();
  expect(refusePromote(view('A b (C)'))).toBeNull();
  expect(refusePromote(view('A b c (D)'))?.code).toBe('MEMBER_NOT_ENOUGH_STARTED');
});

test('a refusal says which quorum would be lost', () => {
  expect(refuseAdd(view('A B c'), false)?.reason).toBe(
    '2 of 4 voters would have started; 3 are needed to decide',
  );
  expect(refuseRemove(view('A'), 1n)?.reason).toBe('the only voter cannot be removed');
});

test('the reason for keeping a member whose connection is young counts the member that is asked', () => {
  expect(refuseRemove(view('A B?'), 2n)?.reason).toBe(
    '1 of 2 voters have been in contact for 5 s; 2 must be, so that a quorum of 1 is left',
  );
});
