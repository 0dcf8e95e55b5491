/**
 * The structured log, in the shape that etcd's has: one JSON object a line, or tab-separated columns for a console.
 *
 *     {"level":"info","ts":"2026-01-31T12:00:00.000Z","msg":"became leader","term":2}
 *     2026-01-31T12:00:00.000Z  INFO  became leader  {"term":2}
 *
 * Lines are written at once, whole, so that the last words before an exit are not lost. Outputs: `stdout`, `stderr`, `default` (which
 * is stderr), `/dev/null`-like files and paths, which are appended to with mode 0600.
 */
import { openSync, writeSync } from 'node:fs';
import type { Logger, LogLevel } from '../env.ts';

export type LogFormat = 'json' | 'console';

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly outputs: readonly string[];
}

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3, panic: 4, fatal: 5 };

export function isLogLevel(text: string): text is LogLevel {
  return Object.hasOwn(RANK, text);
}

/** @throws system errors for files that cannot be opened */
export function createLogger(options: LoggerOptions): Logger {
  const lowest = RANK[options.level];
  const descriptors = [...new Set([...new Set(options.outputs)].map(openOutput))];
  const format = options.format === 'json' ? formatJson : formatConsole;
  return {
    log(level, message, fields) {
      if (RANK[level] < lowest) return;
      const line = `${format(level, new Date().toISOString(), message, fields)}\n`;
      for (const descriptor of descriptors) writeLine(descriptor, line);
    },
  };
}

function openOutput(name: string): number {
  if (name === 'stdout') return 1;
  if (name === 'stderr' || name === 'default') return 2;
  return openSync(name, 'a', 0o600);
}

/** A log that cannot be written must not take the member down: a full pipe or disk loses lines, never requests. */
function writeLine(descriptor: number, line: string): void {
  try {
    writeSync(descriptor, line);
  } catch {
    // Nowhere left to say so.
  }
}

function formatJson(
  level: LogLevel,
  time: string,
  message: string,
  fields?: Record<string, unknown>,
): string {
  return JSON.stringify({ level, ts: time, msg: message, ...fields }, plain);
}

function formatConsole(
  level: LogLevel,
  time: string,
  message: string,
  fields?: Record<string, unknown>,
): string {
  const head = `${time}\t${level.toUpperCase()}\t${message}`;
  return fields === undefined || Object.keys(fields).length === 0
    ? head
    : `${head}\t${JSON.stringify(fields, plain)}`;
}

/** 64-bit numbers as decimal text; errors by their message and cause. */
function plain(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Error) return errorText(value);
  return value;
}

function errorText(error: Error): string {
  return error.cause instanceof Error ? `${error.message}: ${errorText(error.cause)}` : error.message;
}
