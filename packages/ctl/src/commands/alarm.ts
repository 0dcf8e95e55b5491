/** alarm list and alarm disarm. */
import * as wire from '@quorate/proto';
import { AlarmRequest_AlarmAction as Action, AlarmType, services } from '@quorate/proto';
import type { Run } from '../command.ts';
import type { Context } from '../context.ts';
import { badArgs } from '../exit.ts';
import * as fields from '../output/fields.ts';
import { messageToJson } from '../output/json.ts';
import { alarmName } from './endpoint.ts';

const { Alarm } = services['etcdserverpb.Maintenance'];
const EVERY = { memberID: 0, alarm: AlarmType.NONE };

export const list: Run = async (context, { args }) => {
  if (args.length !== 0) throw badArgs('alarm list command accepts no arguments');
  const client = await context.client();
  print(context, await client.call(Alarm, { action: Action.GET, ...EVERY }, 'read'));
};

/** Every alarm there is, one after the other: the server switches off exactly what it is told. */
export const disarm: Run = async (context, { args }) => {
  if (args.length !== 0) throw badArgs('alarm disarm command accepts no arguments');
  const client = await context.client();
  const { alarms } = await client.call(Alarm, { action: Action.GET, ...EVERY }, 'read');
  const all = wire.AlarmResponse.empty();
  for (const { memberID, alarm } of alarms) {
    const response = await client.call(Alarm, { action: Action.DEACTIVATE, memberID, alarm }, 'write');
    all.header = response.header;
    all.alarms.push(...response.alarms);
  }
  print(context, all);
};

function print(context: Context, response: wire.AlarmResponse): void {
  context.print({
    simple: () => response.alarms.map((one) => `memberID:${one.memberID} alarm:${alarmName(one.alarm)} \n`),
    json: () => messageToJson(wire.AlarmResponse.typeName, response),
    fields: () =>
      (response.header ? fields.header(response.header) : '') +
      response.alarms
        .map(
          (one) =>
            `${fields.field('MemberID', one.memberID)}${fields.field('AlarmType', alarmName(one.alarm))}\n`,
        )
        .join(''),
    protobuf: () => wire.AlarmResponse.encode(response),
  });
}
