/**
 * One answer in every format. A command describes its answer once per format it supports; what it leaves out is
 * refused with etcdctl's words.
 */
import { CommandError, ExitCode } from '../exit.ts';
import { type Json, writeJson } from './json.ts';
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
  readonly fields?: (format: Format) => string | readonly string[];
  readonly table?: (format: Format) => Table;
  readonly protobuf?: () => Uint8Array;
}

/** Small chunks go out together, in pieces of about this length. */
const PIECE_LENGTH = 64 * 1024;

/** @param emit gets the answer in pieces: as one text it may be longer than a string can be */
export function render(
  report: Report,
  writeOut: string,
  format: Format,
  emit: (piece: Uint8Array) => void,
): void {
  const out = new Pieces(emit);
  switch (writeOut) {
    case 'simple':
      for (const chunk of report.simple(format)) out.add(chunk);
      break;
    case 'json':
      writeJson(supported(report.json, writeOut)(format), (text) => out.add(text));
      out.add('\n');
      break;
    case 'fields':
      for (const text of [supported(report.fields, writeOut)(format)].flat()) out.add(text);
      break;
    case 'table':
      out.add(drawTable(supported(report.table, writeOut)(format)));
      break;
    case 'protobuf':
      out.add(supported(report.protobuf, writeOut)());
      break;
    default:
      throw new CommandError(ExitCode.BAD_FEATURE, 'unsupported output format');
  }
  out.flush();
}

class Pieces {
  readonly #emit: (piece: Uint8Array) => void;
  #chunks: Chunk[] = [];
  #length = 0;

  constructor(emit: (piece: Uint8Array) => void) {
    this.#emit = emit;
  }

  add(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length >= PIECE_LENGTH) this.flush();
  }

  flush(): void {
    if (this.#length > 0) this.#emit(join(this.#chunks));
    this.#chunks = [];
    this.#length = 0;
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
