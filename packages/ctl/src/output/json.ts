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
  | readonly Json[]
  | { readonly [name: string]: Json };

export function stringify(value: Json): string {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'string') return quoteJson(value);
  if (Array.isArray(value)) return `[${value.map(stringify).join(',')}]`;
  if (value !== null && typeof value === 'object')
    return `{${Object.entries(value)
      .map(([name, item]) => `${quoteJson(name)}:${stringify(item)}`)
      .join(',')}}`;
  return String(value);
}

function quoteJson(text: string): string {
  return JSON.stringify(text).replace(
    /[<>&\u2028\u2029]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

export function base64(bytes: Uint8Array): string {
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
  if (field.kind === 'message') return messageToJson(field.type, value as object);
  return value instanceof Uint8Array ? base64(value) : (value as Json);
}

function isZero(value: unknown): boolean {
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
  return value === 0 || value === 0n || value === '' || value === false;
}

/** `target_union` becomes `TargetUnion`. */
function goName(name: string): string {
  return name.replace(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
}
