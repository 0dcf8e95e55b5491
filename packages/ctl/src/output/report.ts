/**
 * One answer in every format. A command describes its answer once per format it supports; what it leaves out is
 * refused with etcdctl's words.
 */
import { CommandError, ExitCode } from '../exit.ts';
import { type Json, stringify } from './json.ts';
import { drawTable, type Table } from './table.ts';

/** Text and raw bytes: keys and values go out as they are. */
export type Chunk = string | Uint8Array;

export interface Format {
  /** Bytes as `\x66\x6f`, ids as hex. */
  readonly hex: boolean;
}

export interface Report {
  readonly simple: (format: Format) => readonly Chunk[];
  readonly json?: (format: Format) => Json;
  readonly fields?: (format: Format) => string;
  readonly table?: (format: Format) => Table;
  readonly protobuf?: () => Uint8Array;
}

export function render(report: Report, writeOut: string, format: Format): Uint8Array {
  switch (writeOut) {
    case 'simple':
      return join(report.simple(format));
    case 'json':
      return Buffer.from(`${stringify(supported(report.json, writeOut)(format))}\n`);
    case 'fields':
      return Buffer.from(supported(report.fields, writeOut)(format));
    case 'table':
      return Buffer.from(drawTable(supported(report.table, writeOut)(format)));
    case 'protobuf':
      return supported(report.protobuf, writeOut)();
    default:
      throw new CommandError(ExitCode.BAD_FEATURE, 'unsupported output format');
  }
}

const FORMATS = ['simple', 'json', 'fields', 'table', 'protobuf'];

/** Refuses an unknown `--write-out`, or one that is not in `formats`, before anything is sent. */
export function checkFormat(writeOut: string, formats: readonly string[] = FORMATS): void {
  if (!FORMATS.includes(writeOut)) throw new CommandError(ExitCode.BAD_FEATURE, 'unsupported output format');
  if (!formats.includes(writeOut)) throw notSupported(writeOut);
}

function supported<T>(part: T | undefined, writeOut: string): T {
  if (part === undefined) throw notSupported(writeOut);
  return part;
}

function notSupported(writeOut: string): CommandError {
  return new CommandError(ExitCode.BAD_FEATURE, `${writeOut} not supported as output format`);
}

export function join(chunks: readonly Chunk[]): Uint8Array {
  return Buffer.concat(chunks.map((chunk) => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk)));
}
