/**
 * The generated codecs against protobufjs's own reflection: random messages of every type must encode to the same
 * bytes and decode to the same fields. Two routes that must agree.
 */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import Long from 'long';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import * as proto from '../src/index.ts';

// Reflection needs Long for 64-bit fields and does not find it by itself under every loader.
protobuf.util.Long = Long;
protobuf.configure();

const protoDir = fileURLToPath(new URL('../proto', import.meta.url));
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => `${protoDir}/${target}`;
root.loadSync(readdirSync(protoDir));
root.resolveAll();

const codecs = Object.values(proto).filter(
  (item): item is proto.Codec<object> => typeof item === 'object' && item !== null && 'typeName' in item,
);

type Value = Record<string, unknown>;
const int64 = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt(-3n, 300n));
const uint64 = fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt(0n, 300n));

function scalar(field: protobuf.Field): fc.Arbitrary<unknown> {
  if (field.resolvedType instanceof protobuf.Enum) return fc.integer({ min: -2, max: 9 });
  if (field.type === 'int64') return int64;
  if (field.type === 'uint64') return uint64;
  if (field.type === 'uint32') return fc.integer({ min: 0, max: 2 ** 32 - 1 });
  if (field.type === 'bool') return fc.boolean();
  if (field.type === 'string') return fc.string({ unit: 'grapheme', maxLength: 20 });
  if (field.type === 'bytes') return fc.uint8Array({ maxLength: 20 });
  if (field.type === 'int32') return fc.integer();
  throw new Error(`no generator for ${field.type}`);
}

function fieldValue(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> {
  field.resolve();
  const one =
    field.resolvedType instanceof protobuf.Type ? message(field.resolvedType, depth - 1) : scalar(field);
  if (field.map)
    return fc.dictionary(fc.string({ maxLength: 5 }), one, { maxKeys: 3, noNullPrototype: true });
  return field.repeated ? fc.array(one, { maxLength: 3 }) : one;
}

/** A message as plain fields; of each oneof at most one member is there. */
function message(type: protobuf.Type, depth: number): fc.Arbitrary<Value> {
  const plain = type.fieldsArray.filter((f) => !f.partOf && (depth > 0 || !isMessage(f)));
  const shape: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of plain) shape[field.name] = fieldValue(field, depth);
  let result: fc.Arbitrary<Value> = fc.record(shape, { requiredKeys: [], noNullPrototype: true });
  for (const group of type.oneofsArray) {
    const members = group.fieldsArray.filter((f) => depth > 0 || !isMessage(f));
    const member = fc.oneof(
      fc.constant({} as Value),
      ...members.map((f) => fieldValue(f, depth).map((v): Value => ({ [f.name]: v }))),
    );
    result = fc.tuple(result, member).map(([fields, chosen]) => ({ ...fields, ...chosen }));
  }
  return result;
}

function isMessage(field: protobuf.Field): boolean {
  return field.resolve().resolvedType instanceof protobuf.Type;
}

/** protobufjs keeps `remaining_TTL`, JSON names do not. */
const jsonName = (name: string): string => name.replace('_TTL', 'TTL');

/** Our spelling of the same message: maps as `Map`. */
function ours(type: protobuf.Type, value: Value): Value {
  const out: Value = {};
  for (const [name, item] of Object.entries(value)) {
    const field = type.fields[name]!;
    const inner = field.resolvedType;
    const one = (v: unknown): unknown => (inner instanceof protobuf.Type ? ours(inner, v as Value) : v);
    if (field.map) out[jsonName(name)] = new Map(Object.entries(item as Value).map(([k, v]) => [k, one(v)]));
    else out[jsonName(name)] = field.repeated ? (item as unknown[]).map(one) : one(item);
  }
  return out;
}

/** What reflection decoded, with every field present, in our spelling. */
function filled(type: protobuf.Type, codec: proto.Codec<object>, value: Value): Value {
  const out = codec.empty() as Value;
  for (const [name, item] of Object.entries(value)) {
    const field = type.fields[name];
    if (!field) continue;
    const inner = field.resolvedType;
    const one = (v: unknown): unknown => {
      if (inner instanceof protobuf.Type) return filled(inner, codecFor(inner), v as Value);
      return v instanceof Uint8Array ? new Uint8Array(v) : v;
    };
    if (field.map) out[jsonName(name)] = new Map(Object.entries(item as Value).map(([k, v]) => [k, one(v)]));
    else out[jsonName(name)] = field.repeated ? (item as unknown[]).map(one) : one(item);
  }
  return out;
}

function codecFor(type: protobuf.Type): proto.Codec<object> {
  const codec = codecs.find((c) => c.typeName === type.fullName.slice(1));
  if (!codec) throw new Error(`no codec for ${type.fullName}`);
  return codec;
}

describe('generated codecs equal protobufjs reflection', () => {
  for (const codec of codecs) {
    test(codec.typeName, () => {
      const type = root.lookupType(codec.typeName);
      fc.assert(
        fc.property(message(type, 3), (value) => {
          const theirs = type.encode(type.fromObject(value)).finish();
          const bytes = codec.encode(ours(type, value) as proto.Init<object>);
          expect(Buffer.from(bytes).toString('hex')).toBe(Buffer.from(theirs).toString('hex'));
          const decoded = type.toObject(type.decode(theirs), { longs: BigInt });
          expect(codec.decode(bytes)).toEqual(filled(type, codec, decoded));
        }),
        { numRuns: 60 },
      );
    });
  }

  test('every message has a codec', () => expect(codecs.length).toBeGreaterThan(100));
});
