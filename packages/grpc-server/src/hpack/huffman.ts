/**
 * The Huffman code of RFC 7541 Appendix B.
 *
 * The code is canonical: sorted by length and then by symbol, each code is the previous one plus one, shifted left
 * where the length grows. So the lengths alone determine it, and they are all that is written here.
 *
 * Decoding walks the code's tree four bits at a time through one flat table. Each of the tree's 256 inner nodes is
 * a state; `steps[state * 16 + nibble]` packs what follows:
 *
 *     bits 0-7   next state
 *     bits 8-15  symbol completed on the way (no code is shorter than 5 bits: at most one for each nibble)
 *     bit 16     there is such a symbol
 *     bit 17     the walk has met EOS or left the tree: an error
 */
import { HpackError } from './header-field.ts';

/** Code length of each symbol 0-255 and of EOS (256), one base-36 digit each; rows of 64. */
const lengthDigits = [
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca',
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds',
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn',
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq',
  'u',
].join('');
const EOS = 256;

const codeLengths = Uint8Array.from(lengthDigits, (digit) => Number.parseInt(digit, 36));
const codes = canonicalCodes(codeLengths);

function canonicalCodes(lengths: Uint8Array): Uint32Array {
  const order = [...lengths.keys()].sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  const assigned = new Uint32Array(lengths.length);
  let code = 0;
  let length = 0;
  for (const symbol of order) {
    code *= 2 ** (lengths[symbol]! - length);
    length = lengths[symbol]!;
    assigned[symbol] = code++;
  }
  return assigned;
}

const HAS_SYMBOL = 1 << 16;
const FAILED = 1 << 17;

/** Inner nodes as `children[node * 2 + bit]`: another inner node, or -1 - symbol. Node 0 is the root. */
function buildTree(): Int16Array {
  const children = new Int16Array(2 * 256);
  let nodeCount = 1;
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let node = 0;
    for (let bit = codeLengths[symbol]! - 1; bit >= 0; bit--) {
      const slot = node * 2 + ((codes[symbol]! >>> bit) & 1);
      if (bit === 0) children[slot] = -1 - symbol;
      else {
        if (children[slot] === 0) children[slot] = nodeCount++;
        node = children[slot]!;
      }
    }
  }
  return children;
}

const children = buildTree();

const steps = new Uint32Array(256 * 16);
/** Whether a string may end in a state: what was read of the unfinished code is at most seven bits, all ones. */
const mayEnd = new Uint8Array(256);

for (let state = 0; state < 256; state++) {
  for (let nibble = 0; nibble < 16; nibble++) {
    let node = state;
    let step = 0;
    for (let bit = 3; bit >= 0; bit--) {
      const next = children[node * 2 + ((nibble >>> bit) & 1)]!;
      if (next >= 0) {
        node = next;
        continue;
      }
      const symbol = -1 - next;
      // RFC 7541 §5.2: "A Huffman-encoded string literal containing the EOS symbol MUST be treated as a decoding error."
      step |= symbol === EOS ? FAILED : HAS_SYMBOL | (symbol << 8);
      node = 0;
    }
    steps[state * 16 + nibble] = step | node;
  }
}
for (let node = 0, ones = 0; ones <= 7; ones++) {
  mayEnd[node] = 1;
  node = children[node * 2 + 1]!;
}

/** Longest text that `byteCount` encoded bytes can hold: no code is shorter than five bits. */
export function huffmanBound(byteCount: number): number {
  return Math.floor((byteCount * 8) / 5);
}

/**
 * Decodes `[start, end)` of `bytes` into `out`.
 * @param out at least `huffmanBound(end - start)` bytes
 * @returns how many bytes were written
 */
export function huffmanDecode(bytes: Uint8Array, start: number, end: number, out: Uint8Array): number {
  let state = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    const high = steps[(state << 4) | (byte >>> 4)]!;
    if ((high & HAS_SYMBOL) !== 0) out[length++] = (high >>> 8) & 0xff;
    const low = steps[((high & 0xff) << 4) | (byte & 15)]!;
    if ((low & HAS_SYMBOL) !== 0) out[length++] = (low >>> 8) & 0xff;
    if (((high | low) & FAILED) !== 0) throw new HpackError('the EOS symbol occurs in a string');
    state = low & 0xff;
  }
  // RFC 7541 §5.2: "A padding strictly longer than 7 bits MUST be treated as a decoding error. A padding not
  // corresponding to the most significant bits of the code for the EOS symbol MUST be treated as a decoding error."
  if (mayEnd[state] === 0) throw new HpackError('a string ends in wrong padding');
  return length;
}

/** Bytes that `text` (one byte per character) takes when encoded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let at = 0; at < text.length; at++) bits += codeLengths[text.charCodeAt(at) & 0xff]!;
  return (bits + 7) >>> 3;
}

/** Encodes `text` (one byte per character) to `out` from `offset` on. @returns the offset behind it */
export function huffmanEncode(text: string, out: Uint8Array, offset: number): number {
  let at = offset;
  // Bits not yet written, right-aligned; never more than 7 before a code of up to 30 is added, hence a double.
  let pending = 0;
  let pendingBits = 0;
  for (let index = 0; index < text.length; index++) {
    const symbol = text.charCodeAt(index) & 0xff;
    pending = pending * 2 ** codeLengths[symbol]! + codes[symbol]!;
    pendingBits += codeLengths[symbol]!;
    while (pendingBits >= 8) {
      pendingBits -= 8;
      const byte = Math.floor(pending / 2 ** pendingBits);
      out[at++] = byte;
      pending -= byte * 2 ** pendingBits;
    }
  }
  // RFC 7541 §5.2: "the most significant bits of the code for the EOS (end-of-string) symbol [are] used" as padding.
  if (pendingBits > 0) out[at++] = (pending << (8 - pendingBits)) | (0xff >>> pendingBits);
  return at;
}
