/** Splits a line of input into words: `'as it is'`, `"with \n escapes"`, or plain up to the next blank. */
import { unquote } from './go-values.ts';
import { decodeRaw } from './raw-text.ts';

/** Go's `\s` is of ASCII: a no-break space belongs to its word. */
const WORD = /"(?:[^"\\]|\\.)*"|'[^']*'|[^'"\t\n\f\r ][^\t\n\f\r ]*[^'"\t\n\f\r ]?/gs;

/** @returns null when an escape in double quotes is none */
export function splitWords(line: string): string[] | null {
  const words: string[] = [];
  for (const [word] of line.matchAll(WORD)) {
    if (word.startsWith("'")) words.push(word.slice(1, -1));
    else if (word.startsWith('"')) {
      const bytes = unquote(word.slice(1, -1));
      if (bytes === null) return null;
      words.push(decodeRaw(bytes));
    } else words.push(word);
  }
  return words;
}
