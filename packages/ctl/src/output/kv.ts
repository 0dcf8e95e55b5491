/** Answers of the KV service. A transaction prints the answers inside it with the same functions. */
import * as wire from '@quorate/proto';
import * as fields from './fields.ts';
import { messageToJson } from './json.ts';
import type { Chunk, Format, Report } from './report.ts';

/** Bytes as they are, or as `\x66\x6f`. */
export function bytesText(bytes: Uint8Array, { hex }: Format): Chunk {
  if (!hex) return bytes;
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}

export function keyValueLines(kv: wire.KeyValue, format: Format): Chunk[] {
  return [bytesText(kv.key, format), '\n', bytesText(kv.value, format), '\n'];
}

function rangeLines(response: wire.RangeResponse, format: Format, valueOnly = false): Chunk[] {
  if (valueOnly) return response.kvs.flatMap((kv) => [bytesText(kv.value, format), '\n']);
  return response.kvs.flatMap((kv) => keyValueLines(kv, format));
}

function putLines(response: wire.PutResponse, format: Format): Chunk[] {
  return ['OK\n', ...(response.prevKv ? keyValueLines(response.prevKv, format) : [])];
}

function deleteLines(response: wire.DeleteRangeResponse, format: Format): Chunk[] {
  return [`${response.deleted}\n`, ...response.prevKvs.flatMap((kv) => keyValueLines(kv, format))];
}

function txnLines(response: wire.TxnResponse, format: Format): Chunk[] {
  const answers = response.responses.map((op): Chunk[] => {
    if (op.responsePut) return putLines(op.responsePut, format);
    if (op.responseRange) return rangeLines(op.responseRange, format);
    if (op.responseDeleteRange) return deleteLines(op.responseDeleteRange, format);
    return op.responseTxn ? txnLines(op.responseTxn, format) : [];
  });
  // Not pushed with `...`: an answer may have more lines than a call can have arguments.
  return [response.succeeded ? 'SUCCESS\n' : 'FAILURE\n', ...answers.flatMap((lines) => ['\n', ...lines])];
}

function rangeFields(response: wire.RangeResponse): string[] {
  return [
    fields.header(response.header),
    ...response.kvs.map((kv) => fields.keyValue('', kv)),
    fields.field('More', response.more),
    fields.field('Count', response.count),
  ];
}

function putFields(response: wire.PutResponse): string[] {
  const previous = response.prevKv ? [fields.keyValue('Prev', response.prevKv)] : [];
  return [fields.header(response.header), ...previous];
}

function deleteFields(response: wire.DeleteRangeResponse): string[] {
  return [
    fields.header(response.header),
    fields.field('Deleted', response.deleted),
    ...response.prevKvs.map((kv) => fields.keyValue('Prev', kv)),
  ];
}

function txnFields(response: wire.TxnResponse): string[] {
  const inner = response.responses.flatMap((op): string[] => {
    if (op.responsePut) return putFields(op.responsePut);
    if (op.responseRange) return rangeFields(op.responseRange);
    if (op.responseDeleteRange) return deleteFields(op.responseDeleteRange);
    return op.responseTxn ? txnFields(op.responseTxn) : [];
  });
  return [fields.header(response.header), fields.field('Succeeded', response.succeeded), ...inner];
}

export function rangeReport(response: wire.RangeResponse, valueOnly: boolean): Report {
  return {
    simple: (format) => rangeLines(response, format, valueOnly),
    json: () => messageToJson(wire.RangeResponse.typeName, response),
    fields: () => rangeFields(response),
    protobuf: () => wire.RangeResponse.encode(response),
  };
}

export function putReport(response: wire.PutResponse): Report {
  return {
    simple: (format) => putLines(response, format),
    json: () => messageToJson(wire.PutResponse.typeName, response),
    fields: () => putFields(response),
    protobuf: () => wire.PutResponse.encode(response),
  };
}

export function deleteReport(response: wire.DeleteRangeResponse): Report {
  return {
    simple: (format) => deleteLines(response, format),
    json: () => messageToJson(wire.DeleteRangeResponse.typeName, response),
    fields: () => deleteFields(response),
    protobuf: () => wire.DeleteRangeResponse.encode(response),
  };
}

export function txnReport(response: wire.TxnResponse): Report {
  return {
    simple: (format) => txnLines(response, format),
    json: () => messageToJson(wire.TxnResponse.typeName, response),
    fields: () => txnFields(response),
    protobuf: () => wire.TxnResponse.encode(response),
  };
}
