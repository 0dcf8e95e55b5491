/** The proto files as descriptors, for reflection: which file defines what, and its bytes. */
import { files } from './gen/descriptors.ts';

export interface FileEntry {
  readonly name: string;
  readonly dependencies: readonly string[];
  /** Full names of everything that it defines, methods included. */
  readonly symbols: readonly string[];
  readonly services: readonly string[];
  /** `google.protobuf.FileDescriptorProto` in base64. */
  readonly bytes: string;
}

const byName = new Map(files.map((file) => [file.name, file]));
const bySymbol = new Map(files.flatMap((file) => file.symbols.map((symbol) => [symbol, file.name])));

/** Every service, in the order of the files. */
export const serviceNames: readonly string[] = files.flatMap((file) => file.services);

/** The `FileDescriptorProto` of one file; null when there is no such file. */
export function fileDescriptor(name: string): Uint8Array | null {
  const file = byName.get(name);
  return file === undefined ? null : Uint8Array.from(Buffer.from(file.bytes, 'base64'));
}

/** The file that defines a message, enum, service or method; null when none does. */
export function fileContaining(symbol: string): string | null {
  return bySymbol.get(symbol) ?? null;
}

/** The file and all that it needs, each once, itself first. */
export function fileWithDependencies(name: string): Uint8Array[] {
  const wanted = [name];
  for (const next of wanted) {
    for (const dependency of byName.get(next)?.dependencies ?? []) {
      if (!wanted.includes(dependency)) wanted.push(dependency);
    }
  }
  return wanted.map((one) => fileDescriptor(one)).filter((bytes) => bytes !== null);
}
