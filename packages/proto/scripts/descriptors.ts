/**
 * `FileDescriptorProto` messages of the parsed proto files, as `google/protobuf/descriptor.proto` defines them: what reflection
 * hands out. Only what our files use is written: proto3 messages, enums, maps, oneofs and services.
 */
import protobuf from 'protobufjs';

export interface FileDescriptor {
  readonly name: string;
  readonly dependencies: readonly string[];
  /** Full names of messages, enums, services and methods that it defines. */
  readonly symbols: readonly string[];
  readonly services: readonly string[];
  readonly bytes: Uint8Array;
}

const TYPES: Readonly<Record<string, number>> = {
  int64: 3,
  uint64: 4,
  int32: 5,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
};
const TYPE_MESSAGE = 11;
const TYPE_ENUM = 14;
const LABEL = { optional: 1, repeated: 3 } as const;

type Item = protobuf.Type | protobuf.Enum | protobuf.Service;

/** @param items top-level messages, enums and services, each with the file it was read from */
export function fileDescriptors(items: readonly Item[], fileOf: (item: Item) => string): FileDescriptor[] {
  const byFile = new Map<string, Item[]>();
  for (const item of items) byFile.set(fileOf(item), [...(byFile.get(fileOf(item)) ?? []), item]);
  return [...byFile]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, own]) => describeFile(name, own, (type) => fileOf(topLevel(type))));
}

function topLevel(type: protobuf.ReflectionObject): Item {
  return type.parent instanceof protobuf.Type ? topLevel(type.parent) : (type as Item);
}

const fullName = (item: protobuf.ReflectionObject): string => item.fullName.replace(/^\./, '');

function describeFile(
  name: string,
  items: readonly Item[],
  fileOf: (type: protobuf.ReflectionObject) => string,
): FileDescriptor {
  const dependencies = new Set<string>();
  const symbols: string[] = [];
  const services: string[] = [];
  const uses = (type: protobuf.ReflectionObject | null): void => {
    if (type !== null && fileOf(type) !== name) dependencies.add(fileOf(type));
  };
  const visit = (item: protobuf.ReflectionObject): void => {
    symbols.push(fullName(item));
    if (item instanceof protobuf.Type) {
      for (const field of item.fieldsArray) uses(field.resolvedType);
      item.nestedArray.forEach(visit);
    } else if (item instanceof protobuf.Service) {
      services.push(fullName(item));
      for (const method of item.methodsArray) {
        symbols.push(fullName(method));
        uses(method.resolvedRequestType);
        uses(method.resolvedResponseType);
      }
    }
  };
  items.forEach(visit);
  const writer = protobuf.Writer.create();
  writer.uint32(10).string(name);
  writer.uint32(18).string(fullName(items[0]!.parent!));
  for (const dependency of [...dependencies].sort()) writer.uint32(26).string(dependency);
  for (const item of items)
    if (item instanceof protobuf.Type) nested(writer, 34, () => message(writer, item));
  for (const item of items)
    if (item instanceof protobuf.Enum) nested(writer, 42, () => enumeration(writer, item));
  for (const item of items)
    if (item instanceof protobuf.Service) nested(writer, 50, () => service(writer, item));
  writer.uint32(98).string('proto3');
  return { name, dependencies: [...dependencies].sort(), symbols, services, bytes: writer.finish() };
}

function nested(writer: protobuf.Writer, tag: number, write: () => void): void {
  writer.uint32(tag).fork();
  write();
  writer.ldelim();
}

function message(writer: protobuf.Writer, type: protobuf.Type): void {
  writer.uint32(10).string(type.name);
  const oneofs = type.oneofsArray;
  for (const field of type.fieldsArray) nested(writer, 18, () => describeField(writer, field, oneofs));
  for (const item of type.nestedArray) {
    if (item instanceof protobuf.Type) nested(writer, 26, () => message(writer, item));
    else if (item instanceof protobuf.Enum) nested(writer, 34, () => enumeration(writer, item));
  }
  for (const field of type.fieldsArray) {
    if (field instanceof protobuf.MapField) nested(writer, 26, () => mapEntry(writer, field));
  }
  for (const oneof of oneofs) nested(writer, 66, () => writer.uint32(10).string(oneof.name));
}

function describeField(
  writer: protobuf.Writer,
  field: protobuf.Field,
  oneofs: readonly protobuf.OneOf[],
): void {
  writer.uint32(10).string(field.name);
  writer.uint32(24).int32(field.id);
  writer.uint32(32).int32(field.repeated || field.map ? LABEL.repeated : LABEL.optional);
  if (field instanceof protobuf.MapField) {
    writer.uint32(40).int32(TYPE_MESSAGE);
    writer.uint32(50).string(`${field.parent!.fullName}.${entryName(field)}`);
  } else fieldType(writer, field.type, field.resolvedType);
  if (field.partOf) writer.uint32(72).int32(oneofs.indexOf(field.partOf));
  writer.uint32(82).string(field.name.replace(/_(.)/g, (_match, letter: string) => letter.toUpperCase()));
}

function fieldType(
  writer: protobuf.Writer,
  scalar: string,
  resolved: protobuf.ReflectionObject | null,
): void {
  if (resolved === null) {
    const type = TYPES[scalar];
    if (type === undefined) throw new Error(`no descriptor for type ${scalar}`);
    writer.uint32(40).int32(type);
    return;
  }
  writer.uint32(40).int32(resolved instanceof protobuf.Enum ? TYPE_ENUM : TYPE_MESSAGE);
  writer.uint32(50).string(resolved.fullName);
}

/** `statuses` is a repeated `StatusesEntry`, as protoc has it. */
function entryName(field: protobuf.MapField): string {
  return `${field.name.replace(/(?:^|_)(.)/g, (_match, letter: string) => letter.toUpperCase())}Entry`;
}

function mapEntry(writer: protobuf.Writer, field: protobuf.MapField): void {
  const part = (name: string, number: number, type: string, resolved: protobuf.ReflectionObject | null) =>
    nested(writer, 18, () => {
      writer.uint32(10).string(name);
      writer.uint32(24).int32(number);
      writer.uint32(32).int32(LABEL.optional);
      fieldType(writer, type, resolved);
      writer.uint32(82).string(name);
    });
  writer.uint32(10).string(entryName(field));
  part('key', 1, field.keyType, null);
  part('value', 2, field.type, field.resolvedType);
  nested(writer, 58, () => writer.uint32(56).bool(true));
}

function enumeration(writer: protobuf.Writer, type: protobuf.Enum): void {
  writer.uint32(10).string(type.name);
  for (const [name, number] of Object.entries(type.values)) {
    nested(writer, 18, () => writer.uint32(10).string(name).uint32(16).int32(number));
  }
}

function service(writer: protobuf.Writer, type: protobuf.Service): void {
  writer.uint32(10).string(type.name);
  for (const method of type.methodsArray) {
    nested(writer, 18, () => {
      writer.uint32(10).string(method.name);
      writer.uint32(18).string(method.resolvedRequestType!.fullName);
      writer.uint32(26).string(method.resolvedResponseType!.fullName);
      if (method.requestStream) writer.uint32(40).bool(true);
      if (method.responseStream) writer.uint32(48).bool(true);
    });
  }
}
