/** The JSON codec: both directions against the generated codecs, and what must be refused. */
import * as proto from '@quorate/proto';
import { type Codec, messageFields, methods } from '@quorate/proto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBase64, decodeJson, MAX_JSON_VALUES, wholeNumber } from './decode.ts';
import { jsonPieces, jsonText } from './encode.ts';
import { type MessageShape, shapeOf } from './shape.ts';
import { JsonError, MAX_JSON_DEPTH } from './syntax.ts';

const codecs = new Map<string, Codec<object>>();
for (const value of Object.values(proto) as unknown[]) {
  if (typeof value === 'object' && value !== null && 'typeName' in value) {
    const codec = value as Codec<object>;
    codecs.set(codec.typeName, codec);
  }
}

/** A message cut between all of its fields. */
function fieldsOf(bytes: Uint8Array): Uint8Array[] {
  const fields: Uint8Array[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const from = at;
    const wireType = varint() & 7;
    const length = varint();
    if (wireType === 2) at += length;
    fields.push(bytes.subarray(from, at));
  }
  return fields;
}

/** Any message of a type, as few levels deep as `depth`. */
function message(typeName: string, depth: number): fc.Arbitrary<Record<string, unknown>> {
  const model: Record<string, fc.Arbitrary<unknown>> = {};
  const oneofs = new Map<string, string[]>();
  for (const field of messageFields[typeName]!) {
    if (field.kind === 'message' && depth === 0) continue;
    const one = value(field.kind, field.type, depth);
    model[field.property] = field.label === 'repeated' ? fc.array(one, { maxLength: 4 }) : one;
    if (field.oneof !== null) oneofs.set(field.oneof, [...(oneofs.get(field.oneof) ?? []), field.property]);
  }
  return fc.record(model, { requiredKeys: [] }).chain((fields) => {
    const choices = [...oneofs.values()].map((members) => fc.constantFrom(...members));
    return fc.tuple(...choices).map((chosen) => {
      const kept = { ...fields };
      for (const members of oneofs.values()) {
        for (const name of members) if (!chosen.includes(name)) delete kept[name];
      }
      return kept;
    });
  });
}

function value(kind: string, type: string, depth: number): fc.Arbitrary<unknown> {
  if (kind === 'message') return message(type, depth - 1);
  if (kind === 'enum')
    return fc.oneof(fc.integer({ min: 0, max: 4 }), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }));
  if (type === 'bytes') return fc.uint8Array({ maxLength: 20 });
  if (type === 'string') return fc.string({ unit: 'binary', maxLength: 10 });
  if (type === 'bool') return fc.boolean();
  if (type === 'uint32') return fc.integer({ min: 0, max: 2 ** 32 - 1 });
  if (type === 'int64') return fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
}

const travelling = [
  ...new Set(methods.flatMap(({ request, response }) => [request.typeName, response.typeName])),
]
  .filter((name) => !name.startsWith('grpc.'))
  .sort();

const KV = 'etcdserverpb.RangeResponse';
const range = shapeOf('etcdserverpb.RangeRequest');
const decode = (text: string, shape: MessageShape = range) => decodeJson(text, shape);

describe('every message of the API', () => {
  test.each(travelling)('%s is the same after a trip through JSON', (typeName) => {
    const codec = codecs.get(typeName)!;
    const shape = shapeOf(typeName);
    expect([...shape.byNumber.values()].filter(({ label }) => label === 'map')).toEqual([]);
    fc.assert(
      fc.property(message(typeName, 3), (fields) => {
        const bytes = codec.encode(fields);
        const text = jsonText(bytes, shape);
        for (const parts of [[bytes], fieldsOf(bytes)])
          expect([...jsonPieces(parts, shape)].join('')).toBe(text);
        // Valid, and without a zero or an unknown name.
        JSON.parse(text);
        expect(Buffer.from(codec.encode(decodeJson(text, shape)))).toEqual(Buffer.from(bytes));
      }),
      { numRuns: 30 },
    );
  });

  test('bytes in another order, and fields that come twice, give what the generated codec reads', () => {
    const codec = codecs.get(KV)!;
    const shape = shapeOf(KV);
    fc.assert(
      fc.property(message(KV, 2), message(KV, 2), (first, second) => {
        const bytes = Buffer.concat([codec.encode(first), codec.encode(second)]);
        const merged = codec.encode(codec.decode(bytes));
        expect(jsonText(bytes, shape)).toBe(jsonText(merged, shape));
        for (const parts of [[bytes], fieldsOf(bytes)])
          expect([...jsonPieces(parts, shape)].join('')).toBe(jsonText(merged, shape));
      }),
      { numRuns: 200 },
    );
  });
});

describe('on the way out', () => {
  test('large answers come in small pieces however deep they lie', () => {
    const kvs = Array.from({ length: 20_000 }, (_, index) => ({
      key: Buffer.from(`key-${index}`),
      version: 1,
    }));
    const bytes = codecs.get('etcdserverpb.TxnResponse')!.encode({
      succeeded: true,
      responses: [{ responseRange: { kvs, count: 20_000 } }],
    } as object);
    const parts = [...jsonPieces([bytes], shapeOf('etcdserverpb.TxnResponse'))];
    expect(Math.max(...parts.map(({ length }) => length))).toBeLessThan(40_000);
    expect(parts.length).toBeGreaterThan(20);
    expect(JSON.parse(parts.join('')).responses[0].response_range.kvs).toHaveLength(20_000);
  });

  test('a large answer is looked at a few fields at a time, before the first of its text and while it comes', () => {
    const kvs = Array.from({ length: 50_000 }, () => ({ key: Buffer.from('k') }));
    const codec = codecs.get('etcdserverpb.RangeResponse')!;
    const parts = [codec.encode({ kvs } as object), codec.encode({ count: 50_000n } as object)];
    const pieces = [...jsonPieces(parts, shapeOf('etcdserverpb.RangeResponse'))];
    const looks = pieces.findIndex((piece) => piece !== '');
    expect(looks).toBe(Math.floor(50_001 / 4_096));
    const answer = JSON.parse(pieces.join(''));
    expect([answer.kvs.length, answer.count]).toEqual([50_000, '50000']);
  });

  test('names of the proto file, text for 64 bits, names for enums, members of a oneof even when zero', () => {
    const txn = codecs
      .get('etcdserverpb.Compare')!
      .encode({ key: Buffer.from('a'), version: 0n, result: 1 } as object);
    expect(jsonText(txn, shapeOf('etcdserverpb.Compare'))).toBe(
      '{"result":"GREATER","key":"YQ==","version":"0"}',
    );
    const hash = codecs.get('etcdserverpb.HashResponse')!.encode({ hash: 4_294_967_295 } as object);
    expect(jsonText(hash, shapeOf('etcdserverpb.HashResponse'))).toBe('{"hash":4294967295}');
  });
});

describe('on the way in', () => {
  const a = Uint8Array.of(97);
  test.each<[string, object]>([
    ['', {}],
    ['  \n', {}],
    ['{}', {}],
    ['{"key":"YQ==","range_end":"YQ","limit":null}', { key: a, rangeEnd: a }],
    ['{"rangeEnd":"YQ"} and more', { rangeEnd: a }],
    [
      '{"limit":"7","revision":7,"min_mod_revision":7e0,"maxModRevision":"70e-1"}',
      { limit: 7, revision: 7, minModRevision: 7, maxModRevision: 7 },
    ],
    [
      '{"limit":9223372036854775807,"revision":"-9223372036854775808"}',
      { limit: 2n ** 63n - 1n, revision: -(2n ** 63n) },
    ],
    ['{"sort_order":"DESCEND","sort_target":4}', { sortOrder: 2, sortTarget: 4 }],
    ['{"sort_order":"NOPE","sort_target":99}', { sortTarget: 99 }],
    ['{"__proto__":{"limit":5},"constructor":1,"toString":[],"hasOwnProperty":null,"limit":1}', { limit: 1 }],
    ['{"unknown":{"deep":[{"limit":1,"limit":2}]},"key":"\\u0059Q=="}', { key: a }],
    ['{"key":"-_8="}', { key: Uint8Array.of(0xfb, 0xff) }],
    ['{"key":"+/8"}', { key: Uint8Array.of(0xfb, 0xff) }],
  ])('%s', (text, fields) => {
    expect(decode(text)).toEqual(fields);
  });

  test('nothing a caller names reaches a prototype', () => {
    decode('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  test.each([
    ['{"key":"Zm9', 'unexpected EOF'],
    ['abc', "invalid character 'a' looking for beginning of value"],
    ['{key:1}', "invalid character 'k' looking for beginning of object key string"],
    ['{"key" 1}', "invalid character '1' after object key"],
    ['{"key":"YQ==" 1}', "invalid character '1' after object key:value pair"],
    ['{"a":[1 2]}', "invalid character '2' after array element"],
    ['{"a":tru}', "invalid character '}' in literal true (expecting 'e')"],
    ['{"a":01}', "invalid character '1' after object key:value pair"],
    ['{"a":1.}', "invalid character '}' after decimal point in numeric literal"],
    ['{"a":"\\q"}', "invalid character 'q' in string escape code"],
    ['{"a":"\n"}', "invalid character '\\n' in string literal"],
    ["{'a':1}", "invalid character '\\'' looking for beginning of object key string"],
    ['null', 'proto: syntax error (line 1:1): unexpected token null'],
    ['[]', 'proto: syntax error (line 1:1): unexpected token ['],
    ['{"key":"YQ==","key":"YQ=="}', 'proto: (line 1:15): duplicate field "key"'],
    ['{"range_end":"","rangeEnd":""}', 'proto: (line 1:17): duplicate field "rangeEnd"'],
    ['{"key":"Y"}', 'proto: (line 1:8): invalid value for bytes field key: "Y"'],
    ['{"key":"YQ=="\n,"limit":"x"}', 'proto: (line 2:10): invalid value for int64 field limit: "x"'],
    ['{"limit":1.5}', 'proto: (line 1:10): invalid value for int64 field limit: 1.5'],
    [
      '{"limit":9223372036854775808}',
      'proto: (line 1:10): invalid value for int64 field limit: 9223372036854775808',
    ],
    ['{"limit":" 1"}', 'proto: (line 1:10): invalid value for int64 field limit: " 1"'],
    ['{"serializable":"true"}', 'proto: (line 1:17): invalid value for bool field serializable: "true"'],
    ['{"key":{"a":1}}', 'proto: (line 1:8): invalid value for bytes field key: {'],
  ])('%s is refused', (text, complaint) => {
    expect(() => decode(text)).toThrow(new JsonError(complaint));
  });

  test('two members of a oneof', () => {
    const compare = shapeOf('etcdserverpb.Compare');
    expect(decode('{"version":null,"value":"YQ=="}', compare)).toEqual({ value: a });
    expect(() => decode('{"version":1,"value":"YQ=="}', compare)).toThrow(
      'error parsing "value", oneof etcdserverpb.Compare.target_union is already set',
    );
  });

  test('case-66 the number of messages and elements is bounded: an empty one costs a hundred times its text', () => {
    const txn = shapeOf('etcdserverpb.TxnRequest');
    const empty = (count: number) => `{"success":[${Array(count).fill('{}').join()}]}`;
    expect(decode(empty(MAX_JSON_VALUES), txn)).toMatchObject({ success: { length: MAX_JSON_VALUES } });
    expect(() => decode(empty(MAX_JSON_VALUES + 1), txn)).toThrow('so many values');
    // What is not read is not counted.
    expect(decode(`{"unknown":${empty(MAX_JSON_VALUES + 1)}}`, txn)).toEqual({});
  });

  test('case-66 depth: known and unknown names, objects and lists, unclosed and closed', () => {
    const txn = shapeOf('etcdserverpb.TxnRequest');
    for (const [open, close] of [
      ['{"success":[{"request_txn":', '}]}'],
      ['[', ']'],
      ['{"a":', '}'],
      ['{"success":', '}'],
    ] as const) {
      expect(() => decode(open.repeat(100_000), txn)).toThrow(JsonError);
      expect(() => decode(`{"x":${open.repeat(100_000)}1${close.repeat(100_000)}}`, txn)).toThrow(
        'exceeded max depth',
      );
    }
    const deep = Math.floor(MAX_JSON_DEPTH / 3) - 1;
    const nested = decode(`${'{"success":[{"request_txn":'.repeat(deep)}{}${'}]}'.repeat(deep)}`, txn);
    expect(nested.success).toHaveLength(1);
    let answer: Uint8Array = proto.TxnResponse.encode({ succeeded: true });
    for (let level = 0; level < deep; level++) {
      answer = proto.TxnResponse.encode({ responses: [{ responseTxn: answer }] });
    }
    const inner = `${'{"responses":[{"response_txn":'.repeat(deep)}{"succeeded":true}${'}]}'.repeat(deep)}`;
    expect(jsonText(answer, shapeOf('etcdserverpb.TxnResponse'))).toBe(inner);
    expect([...jsonPieces([answer], shapeOf('etcdserverpb.TxnResponse'))].join('')).toBe(inner);
  });

  test('case-66 numbers: no length or exponent costs time', () => {
    for (const text of [
      `1e${'9'.repeat(8)}`,
      `0.${'0'.repeat(1_000_000)}1`,
      '9'.repeat(1_000_000),
      `-${'9'.repeat(30)}`,
    ]) {
      expect(wholeNumber(text, 'int64')).toBeUndefined();
    }
    expect(wholeNumber(`1${'0'.repeat(18)}`, 'int64')).toBe(10n ** 18n);
    expect(wholeNumber('0e999999999', 'int64')).toBe(0);
    expect(wholeNumber('-0.0', 'uint64')).toBe(0);
    expect(wholeNumber('-1', 'uint64')).toBeUndefined();
    expect(wholeNumber('18446744073709551615', 'uint64')).toBe(2n ** 64n - 1n);
  });

  test('case-66 whatever text: a message or a JsonError, and valid JSON is told from invalid as JSON.parse does', () => {
    const shape = shapeOf('etcdserverpb.TxnRequest');
    const names = fc.constantFrom(
      'compare',
      'success',
      'request_put',
      'requestRange',
      '__proto__',
      'key',
      'version',
      'x',
    );
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        fc.jsonValue(),
        tie('object'),
        fc.array(tie('tree'), { maxLength: 3 }),
      ),
      object: fc.dictionary(names, tie('tree'), { maxKeys: 4 }),
    }));
    const texts = fc.oneof(
      tree.map((item) => JSON.stringify(item)),
      fc
        .tuple(
          tree.map((item) => JSON.stringify(item)),
          fc.nat(),
          fc.string({ maxLength: 2 }),
        )
        .map(([text, at, junk]) => {
          const place = at % (text.length + 1);
          return text.slice(0, place) + junk + text.slice(place + junk.length);
        }),
      fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0019eE+-. tfn\n'), maxLength: 40 }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        let error: unknown = null;
        try {
          decodeJson(`[${text}]`, shape);
        } catch (thrown) {
          error = thrown;
        }
        expect(error).toBeInstanceOf(JsonError);
        const isSyntaxError = !(error as Error).message.startsWith('proto:');
        // What follows the first value is not looked at, so only texts that stay in their brackets can be compared.
        if (!isSyntaxError) return;
        expect(() => JSON.parse(`[${text}]`)).toThrow();
      }),
      { numRuns: 2_000 },
    );
  });

  test('base64 as Go reads it', () => {
    expect(decodeBase64('YW\nJj')).toEqual(Uint8Array.from(Buffer.from('abc')));
    expect(decodeBase64('YWJj\n\n\n\n')).toEqual(Uint8Array.from(Buffer.from('abc')));
    expect(decodeBase64('YQ=')).toBeUndefined();
    expect(decodeBase64('Y===')).toBeUndefined();
    expect(decodeBase64('+_==')).toBeUndefined();
    expect(decodeBase64('=')).toBeUndefined();
    expect(decodeBase64('')).toEqual(new Uint8Array(0));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
        const text = Buffer.from(bytes).toString('base64');
        expect(decodeBase64(text)).toEqual(bytes);
        expect(decodeBase64(text.replaceAll('=', ''))).toEqual(bytes);
        expect(decodeBase64(Buffer.from(bytes).toString('base64url'))).toEqual(bytes);
      }),
    );
  });
});
