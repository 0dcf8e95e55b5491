/**
 * Command-line words and input lines as text that keeps every byte.
 *
 * Keys and values are arbitrary bytes, but Node decodes words as UTF-8 and loses what is none. Here a byte that is no
 * UTF-8 becomes a lone surrogate U+DC00+byte, which no valid text contains, and turns back into its byte on the way out
 * (Python's "surrogateescape").
 */
import { readFileSync } from 'node:fs';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function decodeRaw(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return decodeByPieces(bytes);
  }
}

export function encodeRaw(text: string): Uint8Array {
  if (!/[\udc80-\udcff]/.test(text)) return Buffer.from(text, 'utf8');
  const parts: Buffer[] = [];
  for (const char of text) {
    const code = char.codePointAt(0)!;
    parts.push(code >= 0xdc80 && code <= 0xdcff ? Buffer.of(code - 0xdc00) : Buffer.from(char, 'utf8'));
  }
  return Buffer.concat(parts);
}

/** The words of this process, from where the kernel keeps their bytes when Node could not decode them. */
export function rawArguments(words: readonly string[]): string[] {
  if (!words.some((word) => word.includes('\ufffd'))) return [...words];
  try {
    const all = readFileSync('/proc/self/cmdline').toString('latin1').split('\0').slice(0, -1);
    const own = all.slice(all.length - words.length).map((word) => decodeRaw(Buffer.from(word, 'latin1')));
    return own.length === words.length ? own : [...words];
  } catch {
    // Not Linux: the replacement characters are all there is.
    return [...words];
  }
}

function decodeByPieces(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.length; ) {
    const first = bytes[i]!;
    const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
    try {
      if (length === 0 || i + length > bytes.length) throw new TypeError('not UTF-8');
      out += utf8.decode(bytes.subarray(i, i + length));
      i += length;
    } catch {
      out += String.fromCharCode(0xdc00 + first);
      i++;
    }
  }
  return out;
}
