/**
 * The proto files state the same contract as the tables in `fixtures/`: every message, field, number, type and
 * call, and nothing besides.
 */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import * as proto from '../src/index.ts';
import { readTable } from './facts.ts';

const protoDir = fileURLToPath(new URL('../proto', import.meta.url));
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => `${protoDir}/${target}`;
root.loadSync(readdirSync(protoDir), { keepCase: true });
root.resolveAll();

function packageOf(item: protobuf.ReflectionObject): string {
  let at: protobuf.ReflectionObject | null = item;
  while (at instanceof protobuf.Type || at instanceof protobuf.Enum) at = at.parent;
  return at?.fullName.slice(1) ?? '';
}

function typeText(field: protobuf.Field): string {
  const type = field.resolvedType?.fullName.slice(1) ?? field.type;
  return field instanceof protobuf.MapField ? `map<${field.keyType},${type}>` : type;
}

function labelText(field: protobuf.Field): string {
  if (field.map) return 'map';
  if (field.repeated) return 'repeated';
  return field.partOf ? `oneof:${field.partOf.name}` : 'optional';
}

function declared(): string[] {
  const rows: string[] = [];
  const visit = (namespace: protobuf.NamespaceBase): void => {
    for (const item of namespace.nestedArray) {
      const pkg = packageOf(item);
      const owner = item.fullName.slice(pkg.length + 2);
      if (item instanceof protobuf.Enum) {
        rows.push(`enum ${pkg} ${owner}`);
        for (const [name, value] of Object.entries(item.values))
          rows.push(`value ${pkg} ${owner} ${name}=${value}`);
      } else if (item instanceof protobuf.Type) {
        rows.push(`message ${pkg} ${owner}`);
        for (const field of item.fieldsArray)
          rows.push(`field ${pkg} ${owner} ${field.name}=${field.id} ${typeText(field)} ${labelText(field)}`);
        visit(item);
      } else if (item instanceof protobuf.Namespace) visit(item);
    }
  };
  visit(root);
  // Reflection is ours alone: etcd has none.
  return rows.filter((row) => !row.includes(' grpc.reflection.v1 ')).sort();
}

function expected(): string[] {
  return readTable('wire-api.tsv')
    .map((row) => {
      const at = `${row.package} ${row.owner}`;
      if (row.kind === 'field') return `field ${at} ${row.name}=${row.number} ${row.type} ${row.label}`;
      if (row.kind === 'enumvalue') return `value ${at} ${row.name}=${row.number}`;
      return `${row.kind} ${at}`;
    })
    .sort();
}

describe('wire facts', () => {
  test('proto files and wire-api.tsv list the same messages, fields and enums', () => {
    expect(declared()).toEqual(expected());
    expect(expected().length).toBeGreaterThan(400);
  });

  test('generated property names are the JSON names of the table', () => {
    const fields = readTable('wire-api.tsv').filter((row) => row.kind === 'field');
    for (const row of fields) {
      const codec = (proto as unknown as Record<string, proto.Codec<object>>)[
        row.owner!.replaceAll('.', '_')
      ];
      expect(codec?.typeName).toBe(`${row.package}.${row.owner}`);
      expect(Object.keys(codec!.empty()), `${row.owner}.${row.name}`).toContain(row.json_name);
      const info = proto.messageFields[codec!.typeName]?.find((field) => field.name === row.name);
      expect(info, `${row.owner}.${row.name}`).toMatchObject({ property: row.json_name });
      expect(row.label === 'repeated').toBe(info?.label === 'repeated');
      expect(row.label?.startsWith('oneof:') ? row.label.slice(6) : null).toBe(info?.oneof);
    }
  });

  test('generated calls and wire-services.tsv list the same paths, types and directions', () => {
    const shared = proto.methods.filter(({ service }) => service !== 'grpc.reflection.v1.ServerReflection');
    const actual = shared.map((m) =>
      [
        m.service,
        m.name,
        m.path,
        m.request.typeName,
        m.response.typeName,
        m.requestStream,
        m.responseStream,
      ].join(' '),
    );
    const rows = readTable('wire-services.tsv').map((row) =>
      [
        row.service,
        row.method,
        row.path,
        row.request,
        row.response,
        row.client_stream === 'yes',
        row.server_stream === 'yes',
      ].join(' '),
    );
    expect(actual.sort()).toEqual(rows.sort());
  });
});
