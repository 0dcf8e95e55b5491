/**
 * Request metadata, read from the header fields when someone asks (PROTOCOL-HTTP2.md, "Custom-Metadata").
 *
 * Names that end in `-bin` carry base64, padded or not, and several values in one field are separated by commas.
 */
import type { Metadata, ResponseFields } from '../handler.ts';
import type { FieldPair } from '../hpack/encoder.ts';
import type { HeaderField } from '../hpack/header-field.ts';
import { isFieldName, isFieldValue } from '../http2/request-head.ts';

/** The transport's own fields; what they mean is in the call. `user-agent` and `content-type` stay visible, as in grpc-go. */
const reserved = new Set([
  'te',
  'grpc-timeout',
  'grpc-encoding',
  'grpc-accept-encoding',
  'host',
  'content-length',
]);

export function isBinaryName(name: string): boolean {
  return name.endsWith('-bin');
}

/** @returns undefined when `text` is not base64 (with the standard alphabet, and padding complete or absent) */
export function decodeBinary(text: string): Uint8Array | undefined {
  const unpadded = text.endsWith('==') ? text.slice(0, -2) : text.endsWith('=') ? text.slice(0, -1) : text;
  if (unpadded !== text && text.length % 4 !== 0) return undefined;
  if (unpadded.length % 4 === 1 || !/^[A-Za-z0-9+/]*$/.test(unpadded)) return undefined;
  return new Uint8Array(Buffer.from(unpadded, 'base64'));
}

export class RequestMetadata implements Metadata {
  readonly #fields: readonly HeaderField[];

  constructor(fields: readonly HeaderField[]) {
    this.#fields = fields;
  }

  get(name: string): string | Uint8Array | undefined {
    if (reserved.has(name)) return undefined;
    for (const field of this.#fields) {
      if (field.name !== name) continue;
      if (!isBinaryName(name)) return field.value;
      const comma = field.value.indexOf(',');
      return decodeBinary(comma < 0 ? field.value : field.value.slice(0, comma).trim());
    }
    return undefined;
  }

  *entries(): Iterable<readonly [name: string, value: string | Uint8Array]> {
    for (const { name, value } of this.#fields) {
      if (reserved.has(name)) continue;
      if (!isBinaryName(name)) yield [name, value];
      else for (const part of value.split(',')) yield [name, decodeBinary(part.trim())!];
    }
  }
}

/**
 * Response metadata as header fields.
 * @throws TypeError for what HTTP/2 cannot carry, and for names that mean something to the transport
 */
export function encodeFields(fields: ResponseFields): FieldPair[] {
  return fields.map(([name, value]) => {
    const text = typeof value === 'string' ? value : Buffer.from(value).toString('base64').replace(/=+$/, '');
    const isOurs = name.startsWith('grpc-') || name === 'content-type' || reserved.has(name);
    if (
      isOurs ||
      name !== name.toLowerCase() ||
      !isFieldName(name) ||
      !/^[ -~]*$/.test(text) ||
      !isFieldValue(text)
    ) {
      throw new TypeError(`"${name}" cannot be response metadata`);
    }
    if (isBinaryName(name) !== (typeof value !== 'string')) {
      throw new TypeError(`"${name}": bytes belong to names that end in -bin, and only to them`);
    }
    return [name, text];
  });
}
