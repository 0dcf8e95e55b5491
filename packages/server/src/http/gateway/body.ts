/**
 * Request bodies: whole and bounded for calls with one request, one JSON value after the other for streams.
 */
import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import type { Env } from '../../env.ts';
import { JsonError, skipBlanks } from '../json/syntax.ts';

/** A body that does not come, or does not end. */
const BODY_TIMEOUT_MS = 60_000;

/** Pieces of an object that are kept apart: each takes more room than its characters. */
const MAX_PARTS = 1_024;

export type BodyProblem = 'too-large' | 'timeout' | 'aborted' | 'crowded' | 'no-text';

/** Of all bodies together that have begun and not ended: many slow callers may hold no more than this. */
const MAX_HELD_BYTES = 64 * 1024 * 1024;

/** Counts what unfinished bodies hold. */
export class BodyRoom {
  #heldBytes = 0;

  /** @returns false when there is no room for so much more; nothing was taken then */
  take(bytes: number): boolean {
    if (this.#heldBytes + bytes > MAX_HELD_BYTES) return false;
    this.#heldBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}

/**
 * Bytes that come in parts, in one piece of memory: a part of one byte, kept as it came, would take a hundred times its room.
 * Grows by doubling, so that each byte is copied about twice.
 */
export class BodyBytes {
  #memory: Buffer = Buffer.alloc(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Memory held, used or not. */
  get capacityBytes(): number {
    return this.#memory.length;
  }

  add(part: Uint8Array): void {
    const needed = this.#length + part.length;
    if (needed > this.#memory.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#memory.length));
      this.#memory.copy(grown, 0, 0, this.#length);
      this.#memory = grown;
    }
    this.#memory.set(part, this.#length);
    this.#length = needed;
  }

  /** Null when it is no UTF-8: what stood in for the bytes that are none would be taken for the caller's. */
  text(): string | null {
    const bytes = this.#memory.subarray(0, this.#length);
    return isUtf8(bytes) ? bytes.toString('utf8') : null;
  }
}

/** Reads a whole body as text. @param done called exactly once */
export function readBody(
  request: IncomingMessage,
  maxBytes: number,
  room: BodyRoom,
  env: Env,
  done: (problem: BodyProblem | null, text: string) => void,
): void {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > maxBytes) {
    done('too-large', '');
    return;
  }
  const body = new BodyBytes();
  const timer = env.setTimer(BODY_TIMEOUT_MS, () => finish('timeout'));
  let heldBytes = 0;
  const finish = (problem: BodyProblem | null): void => {
    room.give(heldBytes);
    timer.cancel();
    request.off('data', onData);
    request.off('end', onEnd);
    request.off('close', onClose);
    const text = problem === null ? body.text() : '';
    if (text === null) done('no-text', '');
    else done(problem, text);
  };
  const onData = (part: Buffer): void => {
    if (body.length + part.length > maxBytes) finish('too-large');
    else if (!room.take(part.length)) finish('crowded');
    else {
      heldBytes += part.length;
      body.add(part);
    }
  };
  const onEnd = (): void => finish(null);
  const onClose = (): void => finish('aborted');
  request.on('data', onData);
  request.on('end', onEnd);
  request.on('close', onClose);
}

/**
 * Cuts a text that comes in parts into the JSON objects it holds, blanks between them optional. Only brackets and strings are
 * looked at here; each object is judged when it is decoded.
 */
export class ObjectSplitter {
  readonly #maxCharacters: number;
  readonly #decoder = new StringDecoder('utf8');
  /** The beginning of the object under way, looked at: a text that grew at its end would be copied for every look. */
  #begun: string[] = [];
  #begunCharacters = 0;
  /** What follows. */
  #text = '';
  /** How far `#text` has been looked at. */
  #at = 0;
  #depth = 0;
  #inString = false;

  /** @param maxCharacters longest object */
  constructor(maxCharacters: number) {
    this.#maxCharacters = maxCharacters;
  }

  feed(bytes: Buffer): void {
    this.#text += this.#decoder.write(bytes);
  }

  /** @returns the next whole object; null when more is needed. @throws JsonError for what is no object */
  next(): string | null {
    if (this.#begun.length === 0) {
      const start = skipBlanks(this.#text, 0);
      this.#text = this.#text.slice(start);
      if (this.#text === '') return null;
      // Whatever it is, `decodeJson` has a text for it.
      if (this.#text[0] !== '{') return this.#take(this.#text.length);
    }
    const text = this.#text;
    while (this.#at < text.length) {
      const character = text[this.#at++];
      if (this.#inString) {
        if (character === '\\') this.#at++;
        else if (character === '"') this.#inString = false;
      } else if (character === '"') this.#inString = true;
      else if (character === '{' || character === '[') this.#depth++;
      else if ((character === '}' || character === ']') && --this.#depth === 0) return this.#take(this.#at);
    }
    if (text === '') return null;
    this.#begun.push(text);
    if (this.#begun.length === MAX_PARTS) this.#begun = [this.#begun.join('')];
    this.#begunCharacters += text.length;
    this.#text = '';
    // One further than its end when that is a backslash.
    this.#at -= text.length;
    if (this.#begunCharacters > this.#maxCharacters) throw new JsonError('request body is too large');
    return null;
  }

  /** Characters that wait: of an object that was begun, and of those behind it. */
  get heldCharacters(): number {
    return this.#begunCharacters + this.#text.length;
  }

  /** An object that was begun and not ended. */
  get isIncomplete(): boolean {
    return this.#begun.length > 0 || skipBlanks(this.#text, 0) < this.#text.length;
  }

  #take(end: number): string {
    const value = this.#begun.join('') + this.#text.slice(0, end);
    this.#begun = [];
    this.#begunCharacters = 0;
    this.#text = this.#text.slice(end);
    this.#at = 0;
    this.#depth = 0;
    return value;
  }
}
