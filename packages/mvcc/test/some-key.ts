import fc from 'fast-check';

/** Keys of few letters, zeros and ends among them, behind beginnings of different lengths: parts are often equal, and the common one shrinks. */
export const someKey = fc
  .tuple(
    fc.constantFrom('', 'p', '/pods/', '/pods/default/', '/pods/default/web-'),
    fc
      .uint8Array({ minLength: 1, maxLength: 7 })
      .map((bytes) => bytes.map((byte) => [0, 1, 0x61, 0xff][byte & 3]!)),
  )
  .map(([beginning, end]) => new Uint8Array(Buffer.concat([Buffer.from(beginning, 'latin1'), end])));
