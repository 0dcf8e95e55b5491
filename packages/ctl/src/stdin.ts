/** Standard input: all of it, or line by line. */
import { decodeRaw } from './raw-text.ts';

export async function readAll(stream: NodeJS.ReadableStream): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Buffer));
  return Buffer.concat(chunks);
}

/** Lines without their ends, as they come. A last line without an end is not a line: what it says may be cut off. */
export async function* readLines(stream: NodeJS.ReadableStream): AsyncGenerator<string, void, void> {
  // Parts of the line that has not ended yet: joined once, however many it comes in.
  let parts: Buffer[] = [];
  for await (const chunk of stream) {
    let rest = Buffer.from(chunk as Buffer);
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      const line = decodeRaw(Buffer.concat([...parts, rest.subarray(0, end)]));
      parts = [];
      rest = rest.subarray(end + 1);
      yield line;
    }
    if (rest.length > 0) parts.push(rest);
  }
}
