/** The static table of RFC 7541 Appendix A. Index 1 is the first entry; index 0 is never valid. */
import { HeaderField } from './header-field.ts';

const rows: readonly (readonly [name: string, value?: string])[] = [
  [':authority'],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset'],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language'],
  ['accept-ranges'],
  ['accept'],
  ['access-control-allow-origin'],
  ['age'],
  ['allow'],
  ['authorization'],
  ['cache-control'],
  ['content-disposition'],
  ['content-encoding'],
  ['content-language'],
  ['content-length'],
  ['content-location'],
  ['content-range'],
  ['content-type'],
  ['cookie'],
  ['date'],
  ['etag'],
  ['expect'],
  ['expires'],
  ['from'],
  ['host'],
  ['if-match'],
  ['if-modified-since'],
  ['if-none-match'],
  ['if-range'],
  ['if-unmodified-since'],
  ['last-modified'],
  ['link'],
  ['location'],
  ['max-forwards'],
  ['proxy-authenticate'],
  ['proxy-authorization'],
  ['range'],
  ['referer'],
  ['refresh'],
  ['retry-after'],
  ['server'],
  ['set-cookie'],
  ['strict-transport-security'],
  ['transfer-encoding'],
  ['user-agent'],
  ['vary'],
  ['via'],
  ['www-authenticate'],
];

/** `staticTable[index - 1]` is the field at `index`. */
export const staticTable: readonly HeaderField[] = rows.map(
  ([name, value]) => new HeaderField(name, value ?? ''),
);

/** RFC 7541 §2.3.3: "Indices strictly greater than the length of the static table refer to elements in the dynamic table." */
export const STATIC_TABLE_LENGTH = 61;

const firstIndexByName = new Map<string, number>();
const indexByField = new Map<string, number>();
for (const [position, field] of staticTable.entries()) {
  if (!firstIndexByName.has(field.name)) firstIndexByName.set(field.name, position + 1);
  if (field.value !== '') indexByField.set(`${field.name}\n${field.value}`, position + 1);
}

/** Index of the first entry with this name, or 0. */
export function staticNameIndex(name: string): number {
  return firstIndexByName.get(name) ?? 0;
}

/** Index of the entry with this name and value, or 0. */
export function staticFieldIndex(name: string, value: string): number {
  return indexByField.get(`${name}\n${value}`) ?? 0;
}
