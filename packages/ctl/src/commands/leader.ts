/** move-leader and downgrade: requests that only the leader, or the whole cluster, can grant. */
import * as wire from '@quorate/proto';
import { DowngradeRequest_DowngradeAction as Action, services } from '@quorate/proto';
import type { CommandLine, Run } from '../command.ts';
import type { Context } from '../context.ts';
import { badArgs, CommandError, ExitCode } from '../exit.ts';
import { hex, parseUint64 } from '../go-values.ts';
import { messageToJson } from '../output/json.ts';

const { MoveLeader, Status, Downgrade } = services['etcdserverpb.Maintenance'];

export const moveLeader: Run = async (context, { args }) => {
  const [word] = args;
  if (word === undefined || args.length !== 1) throw badArgs('move-leader command needs 1 argument');
  let target: bigint;
  try {
    target = parseUint64(word);
  } catch (error) {
    throw badArgs((error as Error).message);
  }
  const endpoints = await context.endpoints();
  for (const endpoint of endpoints) {
    const client = await context.client([endpoint]);
    const { header, leader } = await client.call(Status, {}, 'read');
    if (header?.memberId !== leader) continue;
    const response = await client.call(MoveLeader, { targetID: target }, 'write');
    context.print({
      simple: () => [`Leadership transferred from ${hex(leader)} to ${hex(target)}\n`],
      json: () => messageToJson(wire.MoveLeaderResponse.typeName, response),
      protobuf: () => wire.MoveLeaderResponse.encode(response),
    });
    return;
  }
  throw badArgs(`no leader endpoint given at [${endpoints.join(' ')}]`);
};

const downgrade =
  (name: string, action: number, needsVersion: boolean): Run =>
  async (context: Context, { args }: CommandLine) => {
    const [version = ''] = args;
    if (needsVersion && args.length < 1) throw badArgs('TARGET_VERSION not provided');
    if (args.length > (needsVersion ? 1 : 0)) throw badArgs('too many arguments');
    if (needsVersion && !/^\d+\.\d+$/.test(version)) {
      throw new CommandError(
        ExitCode.BAD_ARGS,
        `target version ${JSON.stringify(version)} not in X.Y format: for example 3.6`,
      );
    }
    const client = await context.client();
    const response = await client.call(Downgrade, { action, version }, 'write');
    context.print({
      simple: () => [`Downgrade ${name} success, cluster version ${response.version}\n`],
      json: () => messageToJson(wire.DowngradeResponse.typeName, response),
      protobuf: () => wire.DowngradeResponse.encode(response),
    });
  };

export const downgradeValidate = downgrade('validate', Action.VALIDATE, true);
export const downgradeEnable = downgrade('enable', Action.ENABLE, true);
export const downgradeCancel = downgrade('cancel', Action.CANCEL, false);
