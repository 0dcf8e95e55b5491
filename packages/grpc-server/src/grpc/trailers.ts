/**
 * What a gRPC answer says besides its messages: one head, and one trailer section with the status (PROTOCOL-HTTP2.md,
 * "Responses").
 *
 * The head and the trailers of success recur on every call and are named by number (`hpack/recurring-blocks.ts`).
 * Failures recur too, with few texts: their blocks hold on any connection and are remembered here.
 */
import { Status } from '../handler.ts';
import { encodeLiteral, type FieldPair } from '../hpack/encoder.ts';

/** Numbers of the recurring blocks; positions in `recurringFields`. */
export const Block = { HEAD: 0, OK: 1, GZIP_HEAD: 2 } as const;

const contentType: FieldPair = ['content-type', 'application/grpc'];

export const recurringFields: readonly (readonly FieldPair[])[] = [
  [[':status', '200'], contentType],
  [['grpc-status', '0']],
  [[':status', '200'], contentType, ['grpc-encoding', 'gzip']],
];

/** PROTOCOL-HTTP2.md: "Percent-Encoded: 1*(Percent-Byte-Unencoded / Percent-Byte-Encoded)"; unencoded are %x20-24 and %x26-7E. */
export function percentEncode(message: string): string {
  if (/^[\x20-\x24\x26-\x7e]*$/.test(message)) return message;
  let encoded = '';
  for (const byte of Buffer.from(message, 'utf8')) {
    const isPlain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += isPlain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** Longest `grpc-message` sent, before encoding: clients refuse header lists that are too large. */
const MAX_MESSAGE_CHARACTERS = 2_048;
const MAX_REMEMBERED = 256;
const remembered = new Map<string, Buffer>();

function rememberBlock(key: string, fields: () => FieldPair[]): Buffer {
  let block = remembered.get(key);
  if (block === undefined) {
    block = encodeLiteral(fields());
    // Texts that carry values would fill it: then it starts anew, which costs the common ones an encoding each.
    if (remembered.size >= MAX_REMEMBERED) remembered.clear();
    remembered.set(key, block);
  }
  return block;
}

function statusFields(status: Status, message: string): FieldPair[] {
  const fields: FieldPair[] = [['grpc-status', String(status)]];
  if (message !== '') fields.push(['grpc-message', percentEncode(message.slice(0, MAX_MESSAGE_CHARACTERS))]);
  return fields;
}

/** The head of an answer with metadata of the handler's. */
export function headWith(isGzip: boolean, fields: readonly FieldPair[]): Buffer {
  return encodeLiteral([...recurringFields[isGzip ? Block.GZIP_HEAD : Block.HEAD]!, ...fields]);
}

/** The trailer section with metadata of the handler's. */
export function trailersWith(status: Status, message: string, fields: readonly FieldPair[]): Buffer {
  return encodeLiteral([...statusFields(status, message), ...fields]);
}

/** Head and status in one section, with metadata of the handler's. */
export function trailersOnlyWith(status: Status, message: string, fields: readonly FieldPair[]): Buffer {
  return encodeLiteral([[':status', '200'], contentType, ...statusFields(status, message), ...fields]);
}

/** The trailer section after a head has been sent. */
export function trailers(status: Status, message: string): Buffer | number {
  if (status === Status.OK && message === '') return Block.OK;
  return rememberBlock(`${status} ${message}`, () => statusFields(status, message));
}

/**
 * "Trailers-Only": head and status in one section, for calls that fail before any message.
 * @param httpStatus other than 200 where PROTOCOL-HTTP2.md asks for it (415, 405)
 * @param acceptEncoding what compression would be understood, when the request's was not
 */
export function trailersOnly(status: Status, message: string, httpStatus = 200, acceptEncoding = ''): Buffer {
  return rememberBlock(`${httpStatus} ${acceptEncoding} ${status} ${message}`, () => {
    const fields: FieldPair[] = [
      [':status', String(httpStatus)],
      contentType,
      ...statusFields(status, message),
    ];
    if (acceptEncoding !== '') fields.push(['grpc-accept-encoding', acceptEncoding]);
    return fields;
  });
}
