/** The course of a timed run: warm up, measure, end. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Measurement } from './measurement.ts';

export interface TimedSpan {
  readonly warmupSec: number;
  readonly seconds: number;
}

export async function measure(
  span: TimedSpan,
  measurement: Measurement,
  onMeasuring: () => void,
): Promise<void> {
  await sleep(span.warmupSec * 1_000);
  measurement.begin();
  onMeasuring();
  await sleep(span.seconds * 1_000);
  measurement.end();
}
