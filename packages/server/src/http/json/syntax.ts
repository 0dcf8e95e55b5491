/**
 * Where a JSON value ends, and what is wrong with it: the syntax half of reading a request.
 *
 * A value is walked without recursion and without building anything, so that depth, size and odd names cost nothing
 * and harm nobody; `decode.ts` then reads a value whose syntax is known to be right. The texts of errors are those of
 * Go's `encoding/json`, which clients of etcd know.
 */

/** Nesting allowed. Go allows 10,000; the deepest request etcd accepts (128 transactions in one another) needs 400. */
export const MAX_JSON_DEPTH = 1_000;

/** The text is not JSON, or not such a message. The message goes to the caller. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
}

/** All but the quote, the backslash and what lies below the blank. */
const PLAIN_CHARACTERS = /[ !#-[\]-\uffff]*/y;
const BLANKS = /[ \t\n\r]*/y;
const LITERALS: Readonly<Record<string, string>> = { t: 'true', f: 'false', n: 'null' };

/** @returns the first place at or after `at` that is no blank */
export function skipBlanks(text: string, at: number): number {
  const code = text.charCodeAt(at);
  // Nearly always there is none.
  if (code > 0x20) return at;
  BLANKS.lastIndex = at;
  BLANKS.test(text);
  return BLANKS.lastIndex;
}

/**
 * @param at where the value begins, blanks allowed
 * @returns the place after the value
 * @throws JsonError
 */
export function endOfValue(text: string, at: number): number {
  /** Whether each open bracket is an object's. */
  const open: boolean[] = [];
  let next = skipBlanks(text, at);
  for (;;) {
    // A value begins at `next`.
    const first = text[next];
    if (first === '{' || first === '[') {
      if (open.length >= MAX_JSON_DEPTH) throw new JsonError('exceeded max depth');
      const isObject = first === '{';
      open.push(isObject);
      next = skipBlanks(text, next + 1);
      if (text[next] !== (isObject ? '}' : ']')) {
        if (isObject) next = startOfMember(text, next);
        continue;
      }
      open.pop();
      next++;
    } else next = endOfScalar(text, next, first);
    // A value has ended before `next`.
    for (;;) {
      const isObject = open.at(-1);
      if (isObject === undefined) return next;
      next = skipBlanks(text, next);
      const character = text[next];
      if (character === ',') {
        next = skipBlanks(text, next + 1);
        if (isObject) next = startOfMember(text, next);
        break;
      }
      if (character !== (isObject ? '}' : ']')) {
        unexpected(text, next, isObject ? 'after object key:value pair' : 'after array element');
      }
      open.pop();
      next++;
    }
  }
}

/** @param at where a name must begin. @returns where its value begins */
function startOfMember(text: string, at: number): number {
  if (text[at] !== '"') unexpected(text, at, 'looking for beginning of object key string');
  const colon = skipBlanks(text, endOfString(text, at));
  if (text[colon] !== ':') unexpected(text, colon, 'after object key');
  return skipBlanks(text, colon + 1);
}

function endOfScalar(text: string, at: number, first: string | undefined): number {
  if (first === '"') return endOfString(text, at);
  if (first === '-' || isDigit(first)) return endOfNumber(text, at);
  const literal = first === undefined ? undefined : LITERALS[first];
  if (literal === undefined) unexpected(text, at, 'looking for beginning of value');
  for (let index = 1; index < literal.length; index++) {
    if (text[at + index] !== literal[index]) {
      unexpected(text, at + index, `in literal ${literal} (expecting '${literal[index]}')`);
    }
  }
  return at + literal.length;
}

export function endOfString(text: string, at: number): number {
  let next = at + 1;
  for (;;) {
    PLAIN_CHARACTERS.lastIndex = next;
    PLAIN_CHARACTERS.test(text);
    next = PLAIN_CHARACTERS.lastIndex;
    const character = text[next];
    if (character === '"') return next + 1;
    if (character !== '\\') unexpected(text, next, 'in string literal');
    const escaped = text[next + 1];
    next += 2;
    if (escaped === 'u') {
      for (let digits = 0; digits < 4; digits++, next++) {
        if (!isHexDigit(text.charCodeAt(next))) {
          unexpected(text, next, 'in \\u hexadecimal character escape');
        }
      }
    } else if (escaped === undefined || !'bfnrt\\/"'.includes(escaped)) {
      unexpected(text, next - 1, 'in string escape code');
    }
  }
}

export function endOfNumber(text: string, at: number): number {
  let next = text[at] === '-' ? at + 1 : at;
  if (!isDigit(text[next])) unexpected(text, next, 'in numeric literal');
  next = text[next] === '0' ? next + 1 : endOfDigits(text, next);
  if (text[next] === '.') {
    if (!isDigit(text[next + 1])) unexpected(text, next + 1, 'after decimal point in numeric literal');
    next = endOfDigits(text, next + 1);
  }
  if (text[next] === 'e' || text[next] === 'E') {
    next++;
    if (text[next] === '+' || text[next] === '-') next++;
    if (!isDigit(text[next])) unexpected(text, next, 'in exponent of numeric literal');
    next = endOfDigits(text, next);
  }
  return next;
}

function endOfDigits(text: string, at: number): number {
  let next = at;
  while (isDigit(text[next])) next++;
  return next;
}

function isDigit(character: string | undefined): boolean {
  return character !== undefined && character >= '0' && character <= '9';
}

function isHexDigit(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x46) || (code >= 0x61 && code <= 0x66);
}

function unexpected(text: string, at: number, context: string): never {
  if (at >= text.length) throw new JsonError('unexpected EOF');
  throw new JsonError(`invalid character ${quoted(text, at)} ${context}`);
}

/** As Go prints a byte: quotes are told apart by the other kind, what cannot be seen is escaped. */
function quoted(text: string, at: number): string {
  const character = text[at]!;
  if (character === "'") return "'\\''";
  if (character >= ' ' && character <= '~') return character === '\\' ? "'\\\\'" : `'${character}'`;
  const byte = Buffer.from(String.fromCodePoint(text.codePointAt(at)!), 'utf8')[0]!;
  const short = { 7: 'a', 8: 'b', 9: 't', 10: 'n', 11: 'v', 12: 'f', 13: 'r' }[byte];
  if (short !== undefined) return `'\\${short}'`;
  if (byte < 0x80) return `'\\x${byte.toString(16).padStart(2, '0')}'`;
  return byte < 0xa1 ? `'\\u00${byte.toString(16)}'` : `'${String.fromCharCode(byte)}'`;
}
