/**
 * The Cluster service: who the members are, and changes of that.
 *
 * The list is the local one unless the caller asks for a linearizable answer, as clients since 3.5 do (sem-170). A
 * change answers with the list as it is once the change is applied here. Cluster headers carry no revision (sem-003).
 */
import type { Handler, UnaryCall } from '@quorate/grpc-server';
import {
  MemberAddRequest,
  MemberAddResponse,
  MemberListRequest,
  MemberListResponse,
  MemberPromoteRequest,
  MemberPromoteResponse,
  MemberRemoveRequest,
  MemberRemoveResponse,
  MemberUpdateRequest,
  MemberUpdateResponse,
  services,
} from '@quorate/proto';
import { parseUrl } from '../config/urls.ts';
import { ValueError } from '../config/values.ts';
import type { Member, MemberInfo } from '../member.ts';
import type { ResponseHeader } from './header.ts';
import { fail, refuse, unaryMethod } from './unary.ts';

const NO_REVISION = 0;

export function clusterHandlers(member: Member, header: ResponseHeader): [path: string, handler: Handler][] {
  const Cluster = services['etcdserverpb.Cluster'];
  const answer = () => ({
    header: header.encode(NO_REVISION),
    members: member.members().toSorted(byId).map(toMessage),
  });
  /** Ends `call` with the list, or with why there was no change. */
  const answerWith =
    (call: UnaryCall, encode: (list: ReturnType<typeof answer>) => Uint8Array) => (error: Error | null) => {
      if (error !== null) fail(call, error);
      else call.reply(encode(answer()));
    };

  function list({ linearizable }: MemberListRequest, call: UnaryCall): void {
    const reply = answerWith(call, (message) => MemberListResponse.encode(message));
    if (linearizable) member.confirmRead(call.deadlineMs, reply);
    else reply(null);
  }

  function add({ peerURLs, isLearner }: MemberAddRequest, call: UnaryCall): void {
    const urls = peerUrlsOf(peerURLs);
    if (urls === null) {
      refuse(call, 'MEMBER_BAD_URLS');
      return;
    }
    member.cluster.add(urls, isLearner, call.deadlineMs, (error, id) => {
      if (error !== null) {
        fail(call, error);
        return;
      }
      const added = { id, name: '', peerUrls: urls, clientUrls: [], isLearner };
      call.reply(MemberAddResponse.encode({ ...answer(), member: toMessage(added) }));
    });
  }

  return [
    [Cluster.MemberList.path, unaryMethod(member, (bytes) => MemberListRequest.decode(bytes), list)],
    [Cluster.MemberAdd.path, unaryMethod(member, (bytes) => MemberAddRequest.decode(bytes), add)],
    [
      Cluster.MemberRemove.path,
      unaryMethod(
        member,
        (bytes) => MemberRemoveRequest.decode(bytes),
        ({ ID }, call) =>
          member.cluster.remove(
            ID,
            call.deadlineMs,
            answerWith(call, (message) => MemberRemoveResponse.encode(message)),
          ),
      ),
    ],
    [
      Cluster.MemberUpdate.path,
      unaryMethod(
        member,
        (bytes) => MemberUpdateRequest.decode(bytes),
        // The URLs are taken as they are (sem-171).
        ({ ID, peerURLs }, call) =>
          member.cluster.update(
            ID,
            [...peerURLs],
            call.deadlineMs,
            answerWith(call, (message) => MemberUpdateResponse.encode(message)),
          ),
      ),
    ],
    [
      Cluster.MemberPromote.path,
      unaryMethod(
        member,
        (bytes) => MemberPromoteRequest.decode(bytes),
        ({ ID }, call) =>
          member.cluster.promote(
            ID,
            call.deadlineMs,
            answerWith(call, (message) => MemberPromoteResponse.encode(message)),
          ),
      ),
    ],
  ];
}

/** Sorted, as etcd keeps them; null when there is none or one is no peer URL (sem-161). */
function peerUrlsOf(urls: readonly string[]): readonly string[] | null {
  if (urls.length === 0) return null;
  try {
    return urls.map((url) => parseUrl(url).text).toSorted();
  } catch (error) {
    if (error instanceof ValueError) return null;
    throw error;
  }
}

function toMessage(info: MemberInfo) {
  return {
    ID: info.id,
    name: info.name,
    peerURLs: [...info.peerUrls],
    clientURLs: [...info.clientUrls],
    isLearner: info.isLearner,
  };
}

function byId(a: MemberInfo, b: MemberInfo): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
