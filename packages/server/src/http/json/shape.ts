/**
 * Messages as the JSON codec sees them: the field tables of `@quorate/proto`, indexed by name and by number.
 *
 * One generic codec serves every message of the API, so nothing here knows a message by name. Maps do not occur in
 * messages that travel as JSON (a test holds that).
 *
 * Read next: `decode.ts` (JSON to message), `encode.ts` (wire bytes to JSON).
 */
import { enumValues, type FieldInfo, messageFields } from '@quorate/proto';

export interface FieldShape extends FieldInfo {
  /** Place among the fields in the proto file: the order in which JSON is written. */
  readonly index: number;
  readonly shape: MessageShape | null;
  readonly enumNames: ReadonlyMap<number, string> | null;
  readonly enumNumbers: ReadonlyMap<string, number> | null;
}

export interface MessageShape {
  readonly typeName: string;
  /** Under the name of the proto file (`range_end`) and that of proto3's JSON (`rangeEnd`); both are accepted. */
  readonly byName: ReadonlyMap<string, FieldShape>;
  readonly byNumber: ReadonlyMap<number, FieldShape>;
}

const shapes = new Map<string, MessageShape>();

/** @throws TypeError when there is no such message */
export function shapeOf(typeName: string): MessageShape {
  const known = shapes.get(typeName);
  if (known !== undefined) return known;
  const fields = Object.hasOwn(messageFields, typeName) ? messageFields[typeName] : undefined;
  if (fields === undefined) throw new TypeError(`${typeName} is no message`);
  const byName = new Map<string, FieldShape>();
  const byNumber = new Map<number, FieldShape>();
  const shape: MessageShape = { typeName, byName, byNumber };
  // Registered before its fields are: a transaction holds transactions.
  shapes.set(typeName, shape);
  for (const [index, info] of fields.entries()) {
    const values = info.kind === 'enum' ? Object.entries(enumValues[info.type]!) : null;
    const field: FieldShape = {
      ...info,
      index,
      shape: info.kind === 'message' ? shapeOf(info.type) : null,
      enumNames: values && new Map(values.map(([name, number]) => [number, name])),
      enumNumbers: values && new Map(values),
    };
    byName.set(info.name, field);
    byName.set(info.property, field);
    byNumber.set(info.number, field);
  }
  return shape;
}
