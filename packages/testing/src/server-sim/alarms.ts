/** Alarms of members, set and disarmed as an operator does: through one member after the other until one takes it. */
import { AlarmRequest, services } from '@quorate/proto';
import type { Simulation } from './simulation.ts';

const ALARM = services['etcdserverpb.Maintenance'].Alarm.path;
export const ALARM_ON = 1;
export const ALARM_OFF = 2;
const NO_SPACE = 1;

export function setAlarm(
  simulation: Simulation,
  memberID: bigint,
  action: typeof ALARM_ON | typeof ALARM_OFF,
  done: () => void = () => {},
  tries = 40,
): void {
  const machines = simulation.reachable();
  const machine = machines[tries % machines.length]!;
  if (tries === 0) return;
  const request = AlarmRequest.encode({ action, memberID, alarm: NO_SPACE });
  simulation.connections.call(machine, ALARM, request, 8_000, (answer) => {
    if (answer.status === 'ok') done();
    else simulation.env.setTimer(200, () => setAlarm(simulation, memberID, action, done, tries - 1));
  });
}
