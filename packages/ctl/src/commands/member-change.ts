/** member add, remove, update, promote: one change of the membership each. `member-replace.ts` puts them in order. */
import * as wire from '@quorate/proto';
import { services } from '@quorate/proto';
import type { Run } from '../command.ts';
import type { Context } from '../context.ts';
import { badArgs } from '../exit.ts';
import { hex, parseUint64, quote } from '../go-values.ts';
import { messageToJson } from '../output/json.ts';
import type { Report } from '../output/report.ts';

const { MemberAdd, MemberRemove, MemberUpdate, MemberPromote, MemberList } = services['etcdserverpb.Cluster'];

export const add: Run = async (context, { args, flags }) => {
  const [name] = args;
  if (name === undefined) throw badArgs('member name not provided');
  if (args.length > 1) {
    const urls = args.filter((word) => word.toLowerCase().startsWith('http'));
    throw badArgs(`too many arguments${urls.map((url) => `, did you mean --peer-urls=${url}`).join('')}`);
  }
  const peerURLs = peerUrls(flags.string('peer-urls'));
  const isLearner = flags.bool('learner');
  const client = await context.client();
  const response = await client.call(MemberAdd, { peerURLs, isLearner }, 'write');
  const id = response.member?.ID ?? 0n;
  context.print({
    simple: () => [
      `Member ${padded(id)} added${isLearner ? ' as learner' : ''} to cluster ${clusterOf(response)}\n`,
    ],
    json: () => messageToJson(wire.MemberAddResponse.typeName, response),
    protobuf: () => wire.MemberAddResponse.encode(response),
  });
  if (context.globals.string('write-out') === 'simple') {
    // The member that answered knows the new one; another may not yet.
    context.io.stdout(`\n${startEnvironment(name, id, peerURLs, response.members)}`);
  }
};

/** What the new member is to be started with. */
export function startEnvironment(
  name: string,
  id: bigint,
  peerURLs: readonly string[],
  members: readonly wire.Member[],
): string {
  const cluster = members.flatMap((member) =>
    member.peerURLs.map((url) => `${member.ID === id ? name : member.name}=${url}`),
  );
  return [
    `ETCD_NAME=${quote(name)}`,
    `ETCD_INITIAL_CLUSTER=${quote(cluster.join(','))}`,
    `ETCD_INITIAL_ADVERTISE_PEER_URLS=${quote(peerURLs.join(','))}`,
    'ETCD_INITIAL_CLUSTER_STATE="existing"',
    '',
  ].join('\n');
}

export const remove: Run = async (context, { args }) => {
  const id = memberId(args);
  const client = await context.client();
  const response = await client.call(MemberRemove, { ID: id }, 'write');
  print(context, 'removed from', id, wire.MemberRemoveResponse, response);
};

export const update: Run = async (context, { args, flags }) => {
  const id = memberId(args);
  const peerURLs = peerUrls(flags.string('peer-urls'));
  const client = await context.client();
  const response = await client.call(MemberUpdate, { ID: id, peerURLs }, 'write');
  print(context, 'updated in', id, wire.MemberUpdateResponse, response);
};

export const promote: Run = async (context, { args }) => {
  const id = memberId(args);
  const client = await context.client();
  const response = await client.call(MemberPromote, { ID: id }, 'write');
  print(context, 'promoted in', id, wire.MemberPromoteResponse, response);
};

interface Changed {
  readonly header: wire.ResponseHeader | undefined;
  readonly members: readonly wire.Member[];
}

function print<T extends Changed>(
  context: Context,
  what: string,
  id: bigint,
  codec: wire.Codec<T>,
  response: T,
): void {
  const report: Report = {
    simple: () => [`Member ${padded(id)} ${what} cluster ${clusterOf(response)}\n`],
    json: () => messageToJson(codec.typeName, response),
    protobuf: () => codec.encode(response as never),
  };
  context.print(report);
}

function clusterOf({ header }: Pick<Changed, 'header'>): string {
  return padded(header?.clusterId ?? 0n);
}

/** Go's `%16x`: padded with spaces. */
export function padded(id: bigint): string {
  return hex(id).padStart(16);
}

function memberId(args: readonly string[]): bigint {
  const [word] = args;
  if (word === undefined || args.length !== 1) throw badArgs('member ID is not provided');
  try {
    return parseUint64(word);
  } catch (error) {
    throw badArgs(`bad member ID arg (${(error as Error).message}), expecting ID in Hex`);
  }
}

export function peerUrls(text: string): string[] {
  if (text === '') throw badArgs('member peer urls not provided');
  return text.split(',');
}

/** As the cluster has them, for commands that need more than one look. */
export async function listMembers(context: Context): Promise<readonly wire.Member[]> {
  const client = await context.client();
  return (await client.call(MemberList, { linearizable: true }, 'read')).members;
}
