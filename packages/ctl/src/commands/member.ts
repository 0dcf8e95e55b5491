/** member list. */
import * as wire from '@quorate/proto';
import { services } from '@quorate/proto';
import type { Run } from '../command.ts';
import { CommandError, ExitCode } from '../exit.ts';
import { hex } from '../go-values.ts';
import * as fields from '../output/fields.ts';
import { type Json, messageToJson } from '../output/json.ts';

export const list: Run = async (context, { flags }) => {
  const consistency = flags.string('consistency');
  if (consistency !== 'l' && consistency !== 's')
    throw new CommandError(ExitCode.BAD_FEATURE, `unknown consistency flag ${JSON.stringify(consistency)}`);
  const client = await context.client();
  const request = { linearizable: consistency === 'l' };
  const response = await client.call(services['etcdserverpb.Cluster'].MemberList, request, 'read');
  const rows = response.members.map(memberRow);
  context.print({
    simple: () => rows.map((row) => `${row.join(', ')}\n`),
    json: ({ hex: asHex }) => {
      const json = messageToJson(wire.MemberListResponse.typeName, response);
      return asHex ? withHexIds(json) : json;
    },
    fields: ({ hex: asHex }) =>
      fields.header(response.header) +
      response.members
        .map(
          (member) =>
            (asHex ? fields.text('ID', hex(member.ID)) : fields.field('ID', member.ID)) +
            fields.text('Name', member.name) +
            member.peerURLs.map((url) => fields.text('PeerURL', url)).join('') +
            member.clientURLs.map((url) => fields.text('ClientURL', url)).join('') +
            `${fields.field('IsLearner', member.isLearner)}\n`,
        )
        .join(''),
    table: () => ({ header: ['ID', 'Status', 'Name', 'Peer Addrs', 'Client Addrs', 'Is Learner'], rows }),
    protobuf: () => wire.MemberListResponse.encode(response),
  });
};

function memberRow(member: wire.Member): string[] {
  const status = member.name === '' ? 'unstarted' : 'started';
  const [peers, clients] = [member.peerURLs.join(','), member.clientURLs.join(',')];
  return [hex(member.ID), status, member.name, peers, clients, `${member.isLearner}`];
}

const ID_NAMES = new Set(['cluster_id', 'member_id', 'ID']);

/** The same, with every id as a hex string. */
function withHexIds(json: Json): Json {
  if (Array.isArray(json)) return json.map(withHexIds);
  if (json === null || typeof json !== 'object') return json;
  return Object.fromEntries(
    Object.entries(json).map(([name, value]) => [
      name,
      ID_NAMES.has(name) && typeof value === 'bigint' ? hex(value) : withHexIds(value as Json),
    ]),
  );
}
