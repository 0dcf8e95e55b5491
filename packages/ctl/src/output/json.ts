/**
 * JSON as Go's encoder writes etcd's messages: names of the proto file in its order, zero values left out, 64-bit
 * numbers as bare digits, bytes as base64, and `<`, `>`, `&` escaped.
 */
import { type FieldInfo, messageFields } from '@quorate/proto';

export type Json =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Json[]
  | { readonly [name: string]: Json };

/** Hands the text of `value` to `emit` bit by bit. */
export function writeJson(value: Json, emit: (text: string) => void): void {
  if (typeof value === 'string') emit(quoteJson(value));
  else if (value === null || typeof value !== 'object') emit(String(value));
  else if (value instanceof Uint8Array) writeBase64(value, emit);
  else if (Array.isArray(value)) {
    value.forEach((item, index) => {
      emit(index === 0 ? '[' : ',');
      writeJson(item, emit);
    });
    emit(value.length === 0 ? '[]' : ']');
  } else {
    const entries = Object.entries(value);
    entries.forEach(([name, item], index) => {
      emit(`${index === 0 ? '{' : ','}${quoteJson(name)}:`);
      writeJson(item, emit);
    });
    emit(entries.length === 0 ? '{}' : '}');
  }
}

/** A multiple of three, so that only the last piece is padded. */
const BASE64_BYTES = 3 * 2 ** 20;

function writeBase64(bytes: Uint8Array, emit: (text: string) => void): void {
  emit('"');
  for (let at = 0; at < bytes.length; at += BASE64_BYTES) emit(base64(bytes.subarray(at, at + BASE64_BYTES)));
  emit('"');
}

function quoteJson(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** A message of type `typeName` (`etcdserverpb.PutResponse`). */
export function messageToJson(typeName: string, message: object): { [name: string]: Json } {
  const fields = messageFields[typeName];
  if (!fields) throw new TypeError(`${typeName} is no message`);
  const values = message as Record<string, unknown>;
  const out: { [name: string]: Json } = {};
  for (const field of fields) {
    const value = values[field.property];
    if (value === undefined || (field.oneof === null && isZero(value))) continue;
    const item =
      field.label === 'repeated'
        ? (value as unknown[]).map((one) => toJson(field, one))
        : toJson(field, value);
    // Go holds a oneof in a field of its own, named after it.
    if (field.oneof === null) out[field.name] = item;
    else out[goName(field.oneof)] = { [field.name]: item };
  }
  return out;
}

function toJson(field: FieldInfo, value: unknown): Json {
  return field.kind === 'message' ? messageToJson(field.type, value as object) : (value as Json);
}

function isZero(value: unknown): boolean {
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
  return value === 0 || value === 0n || value === '' || value === false;
}

/** `target_union` becomes `TargetUnion`. */
function goName(name: string): string {
  return name.replace(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
