/**
 * The course of a timed run: warm up, measure, end.
 *
 * A run of half a second on a crowded machine may be over before anything was answered; it then goes on for a while.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Measurement } from './measurement.ts';

const STEP_MS = 100;
const MAX_MORE_MS = 20_000;

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
  for (let moreMs = 0; measurement.lacksSome && moreMs < MAX_MORE_MS; moreMs += STEP_MS) await sleep(STEP_MS);
  measurement.end();
}
