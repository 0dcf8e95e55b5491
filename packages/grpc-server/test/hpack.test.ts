/** HPACK against RFC 7541: the examples of Appendix C, one test for each MUST, and round trips. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HpackDecoder } from '../src/hpack/decoder.ts';
import { encodeLiteral, type FieldPair, HpackEncoder, writeInteger } from '../src/hpack/encoder.ts';
import { huffmanBound, huffmanDecode, huffmanEncode, huffmanLength } from '../src/hpack/huffman.ts';

const newDecoder = (maxTableBytes = 4096, maxListBytes = 65_536) =>
  new HpackDecoder({ maxTableBytes, maxListBytes });
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

function decode(decoder: HpackDecoder, block: Buffer): string[] {
  return decoder.decode(block, 0, block.length).map(({ name, value }) => `${name}: ${value}`);
}

function tableOf(decoder: HpackDecoder): string[] {
  return Array.from({ length: decoder.table.length }, (_, at) => {
    const { name, value } = decoder.table.at(at);
    return `${name}: ${value}`;
  });
}

describe('RFC 7541 Appendix C', () => {
  test.each([
    ['C.1.1', 10, 0x1f, '0a'],
    ['C.1.2', 1337, 0x1f, '1f9a0a'],
    ['C.1.3', 42, 0xff, '2a'],
  ])('%s encodes %d', (_section, value, mask, expected) => {
    const out = Buffer.alloc(8);
    expect(out.subarray(0, writeInteger(out, 0, 0, mask, value)).toString('hex')).toBe(expected);
  });

  test.each([
    [
      'C.2.1 literal with indexing',
      '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
      'custom-key: custom-header',
      1,
    ],
    ['C.2.2 literal without indexing', '040c 2f73 616d 706c 652f 7061 7468', ':path: /sample/path', 0],
    ['C.2.3 literal never indexed', '1008 7061 7373 776f 7264 0673 6563 7265 74', 'password: secret', 0],
    ['C.2.4 indexed', '82', ':method: GET', 0],
  ])('%s', (_section, block, expected, entries) => {
    const decoder = newDecoder();
    expect(decode(decoder, hex(block))).toEqual([expected]);
    expect(decoder.table.length).toBe(entries);
  });

  const requests = [
    [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
    [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
    [
      ':method: GET',
      ':scheme: https',
      ':path: /index.html',
      ':authority: www.example.com',
      'custom-key: custom-value',
    ],
  ];
  test.each([
    [
      'C.3 requests without Huffman',
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
    ],
    [
      'C.4 requests with Huffman',
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
    ],
  ])('%s', (_section, blocks) => {
    const decoder = newDecoder();
    for (const [index, block] of blocks.entries())
      expect(decode(decoder, hex(block))).toEqual(requests[index]);
    expect(tableOf(decoder)).toEqual([
      'custom-key: custom-value',
      'cache-control: no-cache',
      ':authority: www.example.com',
    ]);
    expect(decoder.table.sizeBytes).toBe(164);
  });

  const date = 'Mon, 21 Oct 2013 20:13:21 GMT';
  const responses = [
    [':status: 302', 'cache-control: private', `date: ${date}`, 'location: https://www.example.com'],
    [':status: 307', 'cache-control: private', `date: ${date}`, 'location: https://www.example.com'],
    [
      ':status: 200',
      'cache-control: private',
      'date: Mon, 21 Oct 2013 20:13:22 GMT',
      'location: https://www.example.com',
      'content-encoding: gzip',
      'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
    ],
  ];
  test.each([
    [
      'C.5 responses without Huffman',
      [
        '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '4803 3330 37c1 c0bf',
        '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
      ],
    ],
    [
      'C.6 responses with Huffman',
      [
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
        '4883 640e ffc1 c0bf',
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      ],
    ],
  ])('%s, with evictions at 256 bytes', (_section, blocks) => {
    const decoder = newDecoder(256);
    for (const [index, block] of blocks.entries())
      expect(decode(decoder, hex(block))).toEqual(responses[index]);
    expect(decoder.table.sizeBytes).toBe(215);
    expect(decoder.table.length).toBe(3);
  });
});

describe('RFC 7541 rules', () => {
  test.each([
    ['§6.1 index 0', '80'],
    ['§2.3.3 index beyond both tables', 'be'],
    ['§2.3.3 name index beyond both tables', '7f 00 01 61'],
    ['§4.2 size update after a field', '82 20'],
    ['§6.3 size update above the limit', '3f e2 1f'],
    ['§5.1 integer of too many bytes', 'ff 80 80 80 80 80 01'],
    ['§5.1 integer too large', 'ff ff ff ff ff 7f'],
    ['§5.1 integer cut off', 'ff'],
    ['§5.2 string longer than the block', '40 7f 00 61'],
    ['§5.2 string of claimed 256 MiB', '40 7f ff ff ff 7f 61'],
    ['§5.2 value missing', '40 01 61'],
    ['§5.2 Huffman padding longer than 7 bits', '00 82 1f ff 01 61'],
    ['§5.2 Huffman padding of zeros', '00 81 18 01 61'],
    ['§5.2 Huffman EOS', '00 84 ff ff ff ff 01 61'],
  ])('%s is a decoding error', (_rule, block) => {
    expect(() => decode(newDecoder(), hex(block))).toThrow('');
  });

  test('§4.4 an entry larger than the table empties it and is no error', () => {
    const decoder = newDecoder(64);
    decode(decoder, hex('40 01 61 01 62'));
    expect(decoder.table.length).toBe(1);
    decode(decoder, Buffer.concat([hex('40 01 61 40'), Buffer.alloc(64, 0x62)]));
    expect(decoder.table.length).toBe(0);
  });

  test('§4.3 a size update of 0 evicts all, and the table may grow again', () => {
    const decoder = newDecoder();
    decode(decoder, hex('40 01 61 01 62'));
    decode(decoder, hex('20 3f e1 1f 82'));
    expect([decoder.table.length, decoder.table.capacityBytes]).toEqual([0, 4096]);
  });

  test('an HPACK bomb is counted and not kept', () => {
    const decoder = newDecoder(4096, 16_384);
    const entry = Buffer.concat([hex('40 01 61 7f a1 1e'), Buffer.alloc(4000, 0x62)]);
    decoder.decode(entry, 0, entry.length);
    const bomb = Buffer.alloc(60_000, 0xbe);
    const fields = decoder.decode(bomb, 0, bomb.length);
    expect(fields.length).toBe(Math.floor(16_384 / 4033));
    expect(decoder.listBytes).toBe(60_000 * 4033);
  });

  test('the recurring answers settle at two bytes and one, and follow the peer when it shrinks its table', () => {
    const encoder = new HpackEncoder();
    const decoder = newDecoder();
    const head: FieldPair[] = [
      [':status', '200'],
      ['content-type', 'application/grpc'],
    ];
    const trailers: FieldPair[] = [['grpc-status', '0']];
    const both = () => {
      const update = encoder.updatePending ? encoder.takeUpdate() : Buffer.alloc(0);
      const first = Buffer.concat([update, encoder.encodeRecurring(head)]);
      const second = encoder.encodeRecurring(trailers);
      expect(decode(decoder, first)).toEqual([':status: 200', 'content-type: application/grpc']);
      expect(decode(decoder, second)).toEqual(['grpc-status: 0']);
      return [first.length, second.length];
    };
    expect(both()[0]).toBeGreaterThan(2);
    expect(both()).toEqual([2, 1]);
    encoder.setPeerTableSize(0);
    encoder.setPeerTableSize(50);
    expect(both()[0]).toBeGreaterThan(2);
    encoder.setPeerTableSize(65_536);
    both();
    expect(both()).toEqual([2, 1]);
  });
});

describe('properties', () => {
  const text = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 80,
  });

  test('Huffman round trip, of the length announced', () => {
    fc.assert(
      fc.property(text, (original) => {
        const encoded = Buffer.alloc(original.length * 4 + 8);
        const length = huffmanEncode(original, encoded, 0);
        expect(length).toBe(huffmanLength(original));
        const out = Buffer.alloc(huffmanBound(length));
        expect(out.toString('latin1', 0, huffmanDecode(encoded, 0, length, out))).toBe(original);
      }),
    );
  });

  test('literal blocks round trip', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 12 }), (fields) => {
        expect(decode(newDecoder(), encodeLiteral(fields))).toEqual(
          fields.map(([name, value]) => `${name}: ${value}`),
        );
      }),
    );
  });

  test('any bytes decode or are refused; the table stays within its bounds', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 6 }), (blocks) => {
        const decoder = newDecoder(256, 1000);
        try {
          for (const block of blocks) decoder.decode(Buffer.from(block), 0, block.length);
        } catch (error) {
          expect((error as Error).name).toBe('HpackError');
        }
        let size = 0;
        for (let at = 0; at < decoder.table.length; at++) size += decoder.table.at(at).sizeBytes;
        expect(size).toBe(decoder.table.sizeBytes);
        expect(size).toBeLessThanOrEqual(decoder.table.capacityBytes);
      }),
      { numRuns: 2000 },
    );
  });
});
