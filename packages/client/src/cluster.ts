/** Who is in the cluster. */
import { services } from '@quorate/proto';
import type { CallOptions } from './options.ts';
import { type Header, toHeader } from './response.ts';
import type { Session } from './session.ts';

export interface Member {
  readonly id: bigint;
  /** Empty until the member has started. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

export class Cluster {
  private readonly session: Session;

  constructor(session: Session) {
    this.session = session;
  }

  /** Members by id. @param options.serializable answer from the member's own state, without asking the cluster */
  async memberList(
    options: { serializable?: boolean } & CallOptions = {},
  ): Promise<{ header: Header; members: readonly Member[] }> {
    const request = { linearizable: !(options.serializable ?? false) };
    const response = await this.session.unary(
      services['etcdserverpb.Cluster'].MemberList,
      request,
      'read',
      options,
    );
    return {
      header: toHeader(response.header),
      members: response.members.map((member) => ({
        id: member.ID,
        name: member.name,
        peerUrls: member.peerURLs,
        clientUrls: member.clientURLs,
        isLearner: member.isLearner,
      })),
    };
  }
}
