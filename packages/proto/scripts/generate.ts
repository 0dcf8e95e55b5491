/**
 * Writes the codecs of every message in `proto/` to `src/gen/`.
 *
 * protobufjs parses the files and resolves every name; this script turns the result into plain TypeScript that
 * reads and writes with protobufjs's own `Reader` and `Writer` (extended in `src/wire.ts`). Its stock static
 * target was not used because its 64-bit fields are `Long` objects and its messages keep their defaults on a
 * prototype: ours are `bigint` and plain objects of one fixed shape. `test/differential.test.ts` compares
 * what is generated here with protobufjs's reflection, message by message.
 *
 * Run by `pnpm generate`. A file is only touched when its text changes, so running it again costs nothing.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { type FileDescriptor, fileDescriptors } from './descriptors.ts';

const packageDir = join(dirname(fileURLToPath(import.meta.url)), '..');
const protoDir = join(packageDir, 'proto');
const genDir = join(packageDir, 'src/gen');

interface Scalar {
  readonly type: string;
  readonly zero: string;
  readonly wireType: number;
  /** Reader and Writer method of the same name. */
  readonly method: string;
  /** Condition under which a proto3 field without presence is left out, of a value named `v`. */
  readonly isSet: string;
}

const SCALARS: Record<string, Scalar> = {
  bool: { type: 'boolean', zero: 'false', wireType: 0, method: 'bool', isSet: 'v' },
  int32: { type: 'number', zero: '0', wireType: 0, method: 'int32', isSet: 'v !== 0' },
  uint32: { type: 'number', zero: '0', wireType: 0, method: 'uint32', isSet: 'v !== 0' },
  int64: { type: 'bigint', zero: '0n', wireType: 0, method: 'bigInt64', isSet: 'v !== 0n && v !== 0' },
  uint64: { type: 'bigint', zero: '0n', wireType: 0, method: 'bigUint64', isSet: 'v !== 0n && v !== 0' },
  string: { type: 'string', zero: "''", wireType: 2, method: 'text', isSet: "v !== ''" },
  bytes: { type: 'Uint8Array', zero: 'EMPTY_BYTES', wireType: 2, method: 'bytes', isSet: 'v.length > 0' },
};
/** Enum values are plain numbers: a peer may send one that this version does not know. */
const ENUM: Scalar = { type: 'number', zero: '0', wireType: 0, method: 'int32', isSet: 'v !== 0' };

const root = new protobuf.Root();
root.resolvePath = (_origin, target) => join(protoDir, target);
root.loadSync(
  readdirSync(protoDir)
    .filter((name) => name.endsWith('.proto'))
    .sort(),
  { keepCase: true, alternateCommentMode: true },
);
root.resolveAll();

const messages: protobuf.Type[] = [];
const enums: protobuf.Enum[] = [];
const services: protobuf.Service[] = [];
collect(root);
writeIfChanged(join(genDir, 'messages.ts'), messagesFile());
writeIfChanged(join(genDir, 'services.ts'), servicesFile());
writeIfChanged(join(genDir, 'fields.ts'), fieldsFile());
writeIfChanged(join(genDir, 'descriptors.ts'), descriptorsFile());

function collect(namespace: protobuf.NamespaceBase): void {
  for (const item of namespace.nestedArray) {
    if (item instanceof protobuf.Enum) enums.push(item);
    else if (item instanceof protobuf.Service) services.push(item);
    else if (item instanceof protobuf.Type) {
      messages.push(item);
      collect(item);
    } else if (item instanceof protobuf.Namespace) collect(item);
  }
}

/** `etcdserverpb.Compare.CompareResult` becomes `Compare_CompareResult`. */
function typeName(item: protobuf.ReflectionObject): string {
  const parents: string[] = [item.name];
  for (let at = item.parent; at instanceof protobuf.Type; at = at.parent) parents.unshift(at.name);
  return parents.join('_');
}

function fullName(item: protobuf.ReflectionObject): string {
  return item.fullName.replace(/^\./, '');
}

/** The lowerCamelCase name of proto3's JSON mapping: an underscore goes and raises the letter after it. */
function propertyName(field: protobuf.Field): string {
  return field.name.replace(/_(.)/g, (_match, letter: string) => letter.toUpperCase());
}

function scalarOf(field: protobuf.Field): Scalar | null {
  if (field.resolvedType instanceof protobuf.Enum) return ENUM;
  if (field.resolvedType) return null;
  const scalar = SCALARS[field.type];
  if (!scalar) throw new Error(`no codec for type ${field.type} of ${fullName(field)}`);
  return scalar;
}

function messageOf(field: protobuf.Field): string {
  if (!(field.resolvedType instanceof protobuf.Type)) throw new Error(`${fullName(field)} is not a message`);
  return typeName(field.resolvedType);
}

function elementType(field: protobuf.Field): string {
  return scalarOf(field)?.type ?? messageOf(field);
}

function fieldType(field: protobuf.Field): string {
  if (field.map) return `Map<string, ${elementType(field)}>`;
  if (field.repeated) return `${elementType(field)}[]`;
  return scalarOf(field) && !field.partOf ? elementType(field) : `${elementType(field)} | undefined`;
}

function fieldDefault(field: protobuf.Field): string {
  if (field.map) return 'new Map()';
  if (field.repeated) return '[]';
  if (field.partOf) return 'undefined';
  return scalarOf(field)?.zero ?? 'undefined';
}

function tagOf(field: protobuf.Field, wireType: number): number {
  return ((field.id << 3) | wireType) >>> 0;
}

function docComment(text: string | null, indent = ''): string {
  return text ? `${indent}/** ${text.replace(/\s*\n\s*/g, ' ')} */\n` : '';
}

function messagesFile(): string {
  const parts = [
    '// Generated from proto/*.proto by scripts/generate.ts. Do not edit.',
    '',
    "import { type Codec, EMPTY_BYTES, type Init, type WireReader, type WireWriter, messageCodec, tooDeep } from '../wire.ts';",
    '',
  ];
  for (const item of enums) parts.push(enumText(item));
  for (const item of messages) parts.push(messageText(item));
  return `${parts.join('\n')}`;
}

function enumText(item: protobuf.Enum): string {
  const name = typeName(item);
  const values = Object.entries(item.values).map(([key, value]) => `  ${key}: ${value},`);
  return [
    `/** Values of enum \`${fullName(item)}\`. */`,
    `export const ${name} = {\n${values.join('\n')}\n} as const;`,
    `export type ${name} = number;`,
    '',
  ].join('\n');
}

function messageText(item: protobuf.Type): string {
  const name = typeName(item);
  const fields = item.fieldsArray;
  const properties = fields.map((field) => {
    const note = field.partOf ? `/** Member of oneof \`${field.partOf.name}\`. */ ` : '';
    return `  ${note}${propertyName(field)}: ${fieldType(field)};`;
  });
  const empty = fields.map((field) => `${propertyName(field)}: ${fieldDefault(field)}`);
  return [
    `${docComment(item.comment)}export interface ${name} {`,
    ...properties,
    '}',
    `export const ${name}: Codec<${name}> = messageCodec<${name}>(`,
    `  '${fullName(item)}',`,
    `  () => ({ ${empty.join(', ')} }),`,
    `  write${name},`,
    `  read${name},`,
    ');',
    `function write${name}(${fields.length ? 'm' : '_m'}: Init<${name}>, ${fields.length ? 'w' : '_w'}: WireWriter): void {`,
    ...fields.map(writeField),
    '}',
    `function read${name}(${fields.length ? 'm' : '_m'}: ${name}, r: WireReader, end: number, depth: number): void {`,
    '  if (depth <= 0) tooDeep();',
    '  while (r.pos < end) {',
    '    const tag = r.tag();',
    '    switch (tag) {',
    ...fields.map(readField),
    '      default:',
    '        r.skipType(tag & 7, 0, tag >>> 3);',
    '    }',
    '  }',
    '}',
    '',
  ].join('\n');
}

function writeField(field: protobuf.Field): string {
  const value = `m.${propertyName(field)}`;
  const scalar = scalarOf(field);
  const lines: string[] = [];
  if (field instanceof protobuf.MapField) {
    lines.push(`  if (${value} !== undefined) for (const [k, v] of ${value}) {`);
    lines.push(`    w.tag(${tagOf(field, 2)}).fork().uint32(10).string(k);`);
    lines.push(`    w.message(18, v, write${messageOf(field)}); w.ldelim();`);
    lines.push('  }');
    return lines.join('\n');
  }
  if (field.repeated) {
    if (!scalar) {
      lines.push(
        `  if (${value} !== undefined) for (const v of ${value}) w.message(${tagOf(field, 2)}, v, write${messageOf(field)});`,
      );
    } else if (scalar.wireType === 2) {
      const method = scalar.method === 'text' ? 'string' : scalar.method;
      lines.push(
        `  if (${value} !== undefined) for (const v of ${value}) w.tag(${tagOf(field, 2)}).${method}(v);`,
      );
    } else {
      lines.push(`  if (${value} !== undefined && ${value}.length > 0) {`);
      lines.push(`    w.tag(${tagOf(field, 2)}).fork();`);
      lines.push(`    for (const v of ${value}) w.${scalar.method}(v);`);
      lines.push('    w.ldelim();', '  }');
    }
    return lines.join('\n');
  }
  if (!scalar)
    return `  if (${value} !== undefined) w.message(${tagOf(field, 2)}, ${value}, write${messageOf(field)});`;
  const condition = field.partOf ? '' : ` && ${scalar.isSet.replaceAll(/\bv\b/g, value)}`;
  const method = scalar.method === 'text' ? 'string' : scalar.method;
  return `  if (${value} !== undefined${condition}) w.tag(${tagOf(field, scalar.wireType)}).${method}(${value});`;
}

function readField(field: protobuf.Field): string {
  const value = `m.${propertyName(field)}`;
  const scalar = scalarOf(field);
  const siblings = (field.partOf?.fieldsArray ?? []).filter((other) => other !== field);
  const clear = siblings.map((other) => ` m.${propertyName(other)} = undefined;`).join('');
  if (field.map) {
    const target = messageOf(field);
    return [
      `      case ${tagOf(field, 2)}: {`,
      `        const entry = r.mapEntry(depth, ${target});`,
      `        ${value}.set(entry.key, entry.value);`,
      '        break;',
      '      }',
    ].join('\n');
  }
  if (!scalar) {
    const target = messageOf(field);
    const read = field.repeated
      ? `${value}.push(r.message(undefined, ${target}, depth))`
      : `${value} = r.message(${value}, ${target}, depth)`;
    return [`      case ${tagOf(field, 2)}:`, `        ${read};${clear}`, '        break;'].join('\n');
  }
  if (!field.repeated)
    return [
      `      case ${tagOf(field, scalar.wireType)}:`,
      `        ${value} = r.${scalar.method}();${clear}`,
      '        break;',
    ].join('\n');
  const one = [
    `      case ${tagOf(field, scalar.wireType)}:`,
    `        ${value}.push(r.${scalar.method}());`,
    '        break;',
  ];
  if (scalar.wireType === 2) return one.join('\n');
  return [
    ...one,
    `      case ${tagOf(field, 2)}: {`,
    '        const packedEnd = r.blockEnd();',
    `        while (r.pos < packedEnd) ${value}.push(r.${scalar.method}());`,
    '        break;',
    '      }',
  ].join('\n');
}

function servicesFile(): string {
  const parts = [
    '// Generated from proto/*.proto by scripts/generate.ts. Do not edit.',
    '',
    "import { bidiStreaming, serverStreaming, unary } from '../service.ts';",
    "import * as m from './messages.ts';",
    '',
    '/** Every call of the API: service name, then method name. */',
    'export const services = {',
  ];
  for (const service of services) {
    parts.push(`  '${fullName(service)}': {`);
    for (const method of service.methodsArray) {
      const kind = method.requestStream
        ? 'bidiStreaming'
        : method.responseStream
          ? 'serverStreaming'
          : 'unary';
      if (method.requestStream && !method.responseStream) throw new Error(`${method.name}: client streaming`);
      const request = typeName(method.resolvedRequestType as protobuf.Type);
      const response = typeName(method.resolvedResponseType as protobuf.Type);
      parts.push(
        `    ${method.name}: ${kind}('${fullName(service)}', '${method.name}', m.${request}, m.${response}),`,
      );
    }
    parts.push('  },');
  }
  parts.push('} as const;', '');
  return parts.join('\n');
}

/** The shape of every message as data, for what walks messages of any type: JSON, mostly. */
function fieldsFile(): string {
  const parts = [
    '// Generated from proto/*.proto by scripts/generate.ts. Do not edit.',
    '',
    "import type { FieldInfo } from '../fields.ts';",
    '',
    'export const messageFields: Readonly<Record<string, readonly FieldInfo[]>> = {',
  ];
  for (const item of messages) {
    parts.push(`  '${fullName(item)}': [`);
    for (const field of item.fieldsArray) {
      const kind =
        field.resolvedType instanceof protobuf.Enum ? 'enum' : field.resolvedType ? 'message' : 'scalar';
      const type = field.resolvedType ? fullName(field.resolvedType) : field.type;
      const label = field.map ? 'map' : field.repeated ? 'repeated' : 'single';
      const oneof = field.partOf ? `'${field.partOf.name}'` : 'null';
      parts.push(
        `    { number: ${field.id}, name: '${field.name}', property: '${propertyName(field)}', kind: '${kind}', type: '${type}', label: '${label}', oneof: ${oneof} },`,
      );
    }
    parts.push('  ],');
  }
  parts.push(
    '};',
    '',
    'export const enumValues: Readonly<Record<string, Readonly<Record<string, number>>>> = {',
  );
  for (const item of enums) parts.push(`  '${fullName(item)}': ${JSON.stringify(item.values)},`);
  parts.push('};', '');
  return parts.join('\n');
}

/** Reflection's older protocol is the newer one under another package name. */
function descriptorsFile(): string {
  const describe = (): FileDescriptor[] =>
    fileDescriptors(
      [...messages, ...enums, ...services].filter((item) => !(item.parent instanceof protobuf.Type)),
      (item) => basename(item.filename!),
    );
  const files = describe();
  const alpha = new protobuf.Root();
  const source = readFileSync(join(protoDir, 'reflection.proto'), 'utf8');
  protobuf.parse(source.replace('grpc.reflection.v1;', 'grpc.reflection.v1alpha;'), alpha, {
    keepCase: true,
  });
  alpha.resolveAll();
  const inAlpha = (alpha.lookup('grpc.reflection.v1alpha') as protobuf.Namespace).nestedArray;
  files.push(
    ...fileDescriptors(inAlpha as (protobuf.Type | protobuf.Service)[], () => 'reflection_v1alpha.proto'),
  );
  const parts = [
    '// Generated from proto/*.proto by scripts/generate.ts. Do not edit.',
    '',
    "import type { FileEntry } from '../descriptors.ts';",
    '',
    '/** `bytes` is a `google.protobuf.FileDescriptorProto` in base64. */',
    'export const files: readonly FileEntry[] = [',
  ];
  for (const { name, dependencies, symbols, services: own, bytes } of files) {
    parts.push('  {');
    parts.push(`    name: '${name}',`);
    parts.push(`    dependencies: ${JSON.stringify(dependencies)},`);
    parts.push(`    symbols: ${JSON.stringify(symbols)},`);
    parts.push(`    services: ${JSON.stringify(own)},`);
    parts.push(`    bytes: '${Buffer.from(bytes).toString('base64')}',`);
    parts.push('  },');
  }
  parts.push('];', '');
  return parts.join('\n');
}

function writeIfChanged(path: string, text: string): void {
  if (existsSync(path) && readFileSync(path, 'utf8') === text) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
