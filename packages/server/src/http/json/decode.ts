/**
 * JSON to message, led by the field table: what proto3's JSON mapping allows on the way in.
 *
 * Names in snake_case or camelCase; 64-bit numbers as numbers or text (also `1e3`, as long as they are whole); enums by
 * name or number; bytes in either base64 alphabet, padded or not; null is "not set". Unknown names are skipped, and
 * with them any `__proto__`: a name only ever selects a row of the table. A name twice, or two members of one oneof, is
 * an error, as in grpc-gateway's second version.
 *
 * The result is what the generated codec of the message encodes. Two passes: `endOfValue` proves the syntax and bounds
 * the depth, then this recursion, no deeper than that, reads the values.
 */
import type { FieldShape, MessageShape } from './shape.ts';
import { endOfNumber, endOfString, endOfValue, JsonError, skipBlanks } from './syntax.ts';

/** How much of a bad value an error repeats. */
const QUOTED_CHARACTERS = 120;

const INT64_MAX = 2n ** 63n - 1n;
const RANGES: Readonly<Record<string, readonly [low: bigint, high: bigint]>> = {
  int64: [-INT64_MAX - 1n, INT64_MAX],
  uint64: [0n, 2n ** 64n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  enum: [-(2n ** 31n), 2n ** 31n - 1n],
};

/**
 * Messages and list elements in one request. An empty one takes three characters, and several hundred bytes as an object: a body full of them
 * would hold up the event loop for most of a second, only to be refused. 50,000 operations of a transaction still fit.
 */
export const MAX_JSON_VALUES = 100_000;

export type Fields = Record<string, unknown>;

/**
 * The first value of `text` as a message; what follows it is not looked at (as grpc-gateway does it). A blank text is
 * the empty message.
 * @throws JsonError
 */
export function decodeJson(text: string, shape: MessageShape): Fields {
  const start = skipBlanks(text, 0);
  if (start === text.length) return {};
  endOfValue(text, start);
  return new Decoder(text, start).message(shape);
}

class Decoder {
  readonly #text: string;
  #at: number;
  #valueCount = 0;

  constructor(text: string, at: number) {
    this.#text = text;
    this.#at = at;
  }

  message(shape: MessageShape): Fields {
    if (this.#text[this.#at] !== '{') this.#unexpectedToken();
    // A name never comes from the caller: it is the table's.
    const fields: Fields = {};
    const seen = new Set<string>();
    this.#at = skipBlanks(this.#text, this.#at + 1);
    while (this.#text[this.#at] !== '}') {
      const nameAt = this.#at;
      const name = this.#string();
      this.#at = skipBlanks(this.#text, skipBlanks(this.#text, this.#at) + 1);
      const field = shape.byName.get(name);
      if (field === undefined || field.label === 'map') this.#at = endOfValue(this.#text, this.#at);
      else {
        if (seen.has(field.name)) this.#fail(nameAt, `duplicate field ${quote(name)}`);
        seen.add(field.name);
        if (this.#text[this.#at] === 'n') this.#at += 4;
        else {
          this.#checkOneof(field, nameAt, seen, shape, name);
          this.#field(field, fields);
        }
      }
      this.#separator();
    }
    this.#at++;
    return fields;
  }

  /** Two members of a oneof cannot both be meant. */
  #checkOneof(field: FieldShape, at: number, seen: Set<string>, shape: MessageShape, name: string): void {
    if (field.oneof === null) return;
    // Bracketed, so that it cannot be the name of a field.
    const key = `[${field.oneof}]`;
    if (seen.has(key)) {
      this.#fail(at, `error parsing ${quote(name)}, oneof ${shape.typeName}.${field.oneof} is already set`);
    }
    seen.add(key);
  }

  #field(field: FieldShape, fields: Fields): void {
    if (field.label === 'single') {
      const value = this.#value(field);
      if (value !== undefined) fields[field.property] = value;
      return;
    }
    if (this.#text[this.#at] !== '[') this.#unexpectedToken();
    const values: unknown[] = [];
    this.#at = skipBlanks(this.#text, this.#at + 1);
    while (this.#text[this.#at] !== ']') {
      const value = this.#value(field);
      if (value !== undefined) values.push(value);
      this.#separator();
    }
    this.#at++;
    fields[field.property] = values;
  }

  /** Past a comma, or to the closing bracket. */
  #separator(): void {
    this.#at = skipBlanks(this.#text, this.#at);
    if (this.#text[this.#at] === ',') this.#at = skipBlanks(this.#text, this.#at + 1);
  }

  /** @returns undefined for an enum's name that is not known: it is skipped like an unknown field */
  #value(field: FieldShape): unknown {
    if (++this.#valueCount > MAX_JSON_VALUES)
      throw new JsonError('a request with so many values is not read');
    if (field.shape !== null) return this.message(field.shape);
    const start = this.#at;
    const first = this.#text[start];
    switch (field.type) {
      case 'bool':
        if (first !== 't' && first !== 'f') this.#invalid(field);
        this.#at = endOfValue(this.#text, start);
        return first === 't';
      case 'string': {
        if (first !== '"') this.#invalid(field);
        const value = this.#string();
        if (!value.isWellFormed()) this.#invalid(field, start);
        return value;
      }
      case 'bytes': {
        if (first !== '"') this.#invalid(field);
        return decodeBase64(this.#string()) ?? this.#invalid(field, start);
      }
      default:
        if (first === '"') {
          const value = this.#string();
          if (field.enumNumbers !== null) return field.enumNumbers.get(value);
          return wholeNumber(value, field.type) ?? this.#invalid(field, start);
        }
        if (first !== '-' && !(first! >= '0' && first! <= '9')) this.#invalid(field);
        this.#at = endOfNumber(this.#text, start);
        return (
          wholeNumber(this.#text.slice(start, this.#at), field.kind === 'enum' ? 'enum' : field.type) ??
          this.#invalid(field, start)
        );
    }
  }

  #string(): string {
    const start = this.#at;
    this.#at = endOfString(this.#text, start);
    const content = this.#text.slice(start + 1, this.#at - 1);
    return content.includes('\\') ? (JSON.parse(`"${content}"`) as string) : content;
  }

  #unexpectedToken(): never {
    throw new JsonError(
      `proto: syntax error ${place(this.#text, this.#at)}: unexpected token ${this.#raw(this.#at)}`,
    );
  }

  #invalid(field: FieldShape, at = this.#at): never {
    const kind = field.kind === 'enum' ? 'enum' : field.type;
    this.#fail(at, `invalid value for ${kind} field ${field.property}: ${this.#raw(at)}`);
  }

  #fail(at: number, what: string): never {
    throw new JsonError(`proto: ${place(this.#text, at)}: ${what}`);
  }

  #raw(at: number): string {
    const first = this.#text[at]!;
    if (first === '{' || first === '[') return first;
    const raw = this.#text.slice(at, endOfValue(this.#text, at));
    return raw.length <= QUOTED_CHARACTERS ? raw : `${raw.slice(0, QUOTED_CHARACTERS)}...`;
  }
}

function quote(name: string): string {
  return JSON.stringify(name.slice(0, QUOTED_CHARACTERS));
}

/** Line and column, both from 1. */
function place(text: string, at: number): string {
  const before = text.slice(0, at);
  return `(line ${before.split('\n').length}:${at - before.lastIndexOf('\n')})`;
}

const NUMBER = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d{1,9}))?$/;
/** More digits than any 64-bit number has. */
const MAX_DIGITS = 24;
/** Longer texts of numbers are refused unseen: searching them for zeros costs more than their length. */
const MAX_NUMBER_CHARACTERS = 100;

/** @returns undefined when `text` is no whole number of `type` */
export function wholeNumber(text: string, type: string): number | bigint | undefined {
  const match = text.length <= MAX_NUMBER_CHARACTERS ? NUMBER.exec(text) : null;
  if (match === null) return undefined;
  const [, sign, whole, fraction = '', exponent = '0'] = match;
  // The digits without the point, and where the point belongs behind the last of them.
  const digits = (whole! + fraction).replace(/^0+/, '').replace(/0+$/, '');
  const dropped = (whole! + fraction).length - (whole! + fraction).replace(/0+$/, '').length;
  const shift = Number(exponent) - fraction.length + dropped;
  if (digits === '') return 0;
  if (shift < 0 || digits.length + shift > MAX_DIGITS) return undefined;
  const value = BigInt(`${sign}${digits}${'0'.repeat(shift)}`);
  const [low, high] = RANGES[type]!;
  if (value < low || value > high) return undefined;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

const STANDARD = /^[A-Za-z0-9+/]*$/;
const URL_SAFE = /^[A-Za-z0-9_-]*$/;

/**
 * Standard alphabet, or the URL-safe one when `-` or `_` occurs; padded when the length is a multiple of four, else
 * not. Line ends count for the length and are otherwise ignored, as Go does it.
 * @returns undefined for anything else
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const isPadded = text.length % 4 === 0;
  let body = /[\r\n]/.test(text) ? text.replaceAll(/[\r\n]/g, '') : text;
  if (isPadded) {
    if (body.length % 4 !== 0) return undefined;
    if (body.endsWith('==')) body = body.slice(0, -2);
    else if (body.endsWith('=')) body = body.slice(0, -1);
  }
  if (body.length % 4 === 1) return undefined;
  if (!STANDARD.test(body) && !URL_SAFE.test(body)) return undefined;
  return new Uint8Array(Buffer.from(body, 'base64'));
}
