/** Raft's messages on their way to the network: each in its lane, and snapshots with their content. */
import { encodeMessage, type Message, MessageType } from '@quorate/raft';
import type { Env } from '../env.ts';
import type { MessageKind, Network } from '../network.ts';
import type { SnapshotImages } from './snapshot-images.ts';

export class Sender {
  readonly #network: Pick<Network, 'send' | 'sendSnapshot'>;
  readonly #images: Pick<SnapshotImages, 'isSending' | 'send'>;
  readonly #log: Env['log'];

  constructor(
    network: Pick<Network, 'send' | 'sendSnapshot'>,
    images: Pick<SnapshotImages, 'isSending' | 'send'>,
    log: Env['log'],
  ) {
    this.#network = network;
    this.#images = images;
    this.#log = log;
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) {
      if (message.type === MessageType.snapshot) this.#sendSnapshot(message);
      else this.#network.send(message.to, encodeMessage(message), kindOf(message));
    }
  }

  #sendSnapshot(message: Message): void {
    if (this.#images.isSending(message.to)) return;
    const content = message.snapshot === null ? null : this.#images.send(message.snapshot, message.to);
    if (content === null) throw new Error('raft sends a snapshot that was not taken from an image');
    this.#log.log('info', 'sending a snapshot', {
      to: message.to.toString(16),
      index: message.snapshot?.meta.index,
    });
    this.#network.sendSnapshot(message.to, encodeMessage(message), content);
  }
}

/** Votes, heartbeats and the log travel apart, so that none of them waits behind a larger one. */
function kindOf(message: Message): MessageKind {
  switch (message.type) {
    case MessageType.vote:
    case MessageType.voteResponse:
    case MessageType.preVote:
    case MessageType.preVoteResponse:
    case MessageType.timeoutNow:
      return 'vote';
    case MessageType.heartbeat:
    case MessageType.heartbeatResponse:
    case MessageType.readIndex:
    case MessageType.readIndexResponse:
      return 'heartbeat';
    default:
      return 'append';
  }
}
