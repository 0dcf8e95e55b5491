/**
 * The Cluster service, as far as one member needs it: MemberList.
 *
 * The list is the local one unless the caller asks for a linearizable answer, as clients since 3.5 do (sem-170).
 * Cluster headers carry no revision (sem-003).
 */
import type { Handler } from '@quorate/grpc-server';
import { MemberListRequest, MemberListResponse, services } from '@quorate/proto';
import type { Member, MemberInfo } from '../member.ts';
import type { ResponseHeader } from './header.ts';
import { fail, unaryMethod } from './unary.ts';

const NO_REVISION = 0;

export function clusterHandlers(member: Member, header: ResponseHeader): [path: string, handler: Handler][] {
  const encodeList = (): Uint8Array =>
    MemberListResponse.encode({
      header: header.encode(NO_REVISION),
      members: member.members().toSorted(byId).map(toMessage),
    });
  return [
    [
      services['etcdserverpb.Cluster'].MemberList.path,
      unaryMethod(
        member,
        (bytes) => MemberListRequest.decode(bytes),
        ({ linearizable }, call) => {
          if (!linearizable) call.reply(encodeList());
          else {
            member.confirmRead(call.deadlineMs, (error) => {
              if (error !== null) fail(call, error);
              else call.reply(encodeList());
            });
          }
        },
      ),
    ],
  ];
}

function toMessage(info: MemberInfo) {
  return {
    ID: info.id,
    name: info.name,
    peerURLs: info.peerUrls,
    clientURLs: info.clientUrls,
    isLearner: info.isLearner,
  };
}

function byId(a: MemberInfo, b: MemberInfo): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
