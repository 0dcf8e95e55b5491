/**
 * What no correct peer sends: refused before anything is changed. Bytes come from sockets, so nothing is taken for granted
 * that one message by itself can show to be wrong; what only contradicts this node's own state is an `InvariantError`.
 */
import { checkConf } from './confchange/conf.ts';
import { InvariantError, ProtocolError } from './errors.ts';
import { type Message, MessageType } from './message.ts';
import type { Raft } from './raft.ts';
import { NONE } from './types.ts';

/** @throws ProtocolError */
export function checkMessage(raft: Raft, message: Message): void {
  if (message.to !== raft.id) throw new ProtocolError('the message is addressed to another node');
  if (message.from === raft.id || message.from === NONE) {
    throw new ProtocolError('the message does not name the peer it comes from');
  }
  switch (message.type) {
    case MessageType.append:
      checkEntries(message);
      break;
    case MessageType.snapshot:
      checkSnapshot(message);
      break;
    case MessageType.vote:
    case MessageType.preVote:
      // Nobody has written anything in a term that is still to be won.
      if (message.logTerm >= message.term)
        throw new ProtocolError('no log is as new as the election it is for');
      break;
    // Proposals are placed by the leader and carry neither index nor term.
    default:
  }
}

function checkEntries(message: Message): void {
  let { index, logTerm: term } = message;
  for (const entry of message.entries) {
    index += 1;
    if (entry.index !== index) throw new ProtocolError('the entries of an append follow each other');
    if (entry.term < term) throw new ProtocolError('terms never fall along the log');
    term = entry.term;
    if (term === 0) throw new ProtocolError('entries are written in terms, and the first is 1');
  }
  if (term > message.term) throw new ProtocolError('no entry is newer than the leader that sends it');
}

function checkSnapshot({ snapshot, term }: Message): void {
  if (snapshot === null) throw new ProtocolError('the message brings no snapshot');
  const { meta } = snapshot;
  if (meta.term === 0 || meta.term > term)
    throw new ProtocolError('no snapshot is newer than the leader that sends it');
  if (meta.conf.voters.length === 0)
    throw new ProtocolError('nobody could have led with such a configuration');
  try {
    checkConf(meta.conf);
  } catch (error) {
    if (error instanceof InvariantError) throw new ProtocolError(error.message);
    throw error;
  }
}
