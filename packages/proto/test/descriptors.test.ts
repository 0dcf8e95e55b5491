/** Descriptors against protobufjs: what a tool builds from them is the API that the proto files declare. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import descriptor from 'protobufjs/ext/descriptor.js';
import { expect, test } from 'vitest';
import { fileContaining, fileDescriptor, fileWithDependencies, methods, serviceNames } from '../src/index.ts';

const protoDir = fileURLToPath(new URL('../proto', import.meta.url));
const FROM_DESCRIPTOR = protobuf.Root as unknown as {
  fromDescriptor(set: { file: unknown[] }): protobuf.Root;
};

function shape(root: protobuf.Root): string[] {
  const rows: string[] = [];
  const visit = (namespace: protobuf.NamespaceBase): void => {
    for (const item of namespace.nestedArray) {
      if (item instanceof protobuf.Enum) rows.push(`${item.fullName} ${JSON.stringify(item.values)}`);
      else if (item instanceof protobuf.Type) {
        for (const field of item.fieldsArray) {
          const type = field.resolvedType?.fullName ?? field.type;
          const oneof = field.partOf?.name ?? '';
          rows.push(
            `${item.fullName} ${field.name.replaceAll('_', '').toLowerCase()}=${field.id} ${type} ${field.repeated} ${field.map} ${oneof}`,
          );
        }
        visit(item);
      } else if (item instanceof protobuf.Service) {
        for (const method of item.methodsArray) {
          const ends = [method.resolvedRequestType?.fullName, method.resolvedResponseType?.fullName];
          rows.push(
            `${item.fullName}.${method.name} ${ends} ${!!method.requestStream} ${!!method.responseStream}`,
          );
        }
      } else if (item instanceof protobuf.Namespace) visit(item);
    }
  };
  visit(root);
  return rows.sort();
}

test('the descriptors of all files build the same API as the files', () => {
  const names = readdirSync(protoDir);
  const declared = new protobuf.Root();
  declared.resolvePath = (_origin, target) => `${protoDir}/${target}`;
  declared.loadSync(names, { keepCase: true }).resolveAll();
  const file = names.map((name) => descriptor.FileDescriptorProto.decode(fileDescriptor(name)!));
  const built = FROM_DESCRIPTOR.fromDescriptor({ file });
  built.resolveAll();
  expect(shape(built)).toEqual(shape(declared));
  expect(shape(built).length).toBeGreaterThan(300);
});

test('every call is found by its name, with files that need no others', () => {
  for (const { service, name } of methods) {
    expect(serviceNames).toContain(service);
    const files = fileWithDependencies(fileContaining(`${service}.${name}`)!);
    const decoded = files.map(
      (bytes) => descriptor.FileDescriptorProto.decode(bytes) as unknown as descriptor.IFileDescriptorProto,
    );
    const has = new Set(decoded.map((one) => one.name));
    for (const one of decoded)
      for (const dependency of one.dependency ?? []) expect(has).toContain(dependency);
  }
  expect(fileContaining('nothing')).toBeNull();
  expect(fileDescriptor('nothing')).toBeNull();
});
