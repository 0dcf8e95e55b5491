/**
 * Names in the log's folder.
 *
 *   0000000000000007.wal     segment 7, sixteen hex digits: the order of names is the order of segments
 *   0000000000000003.spare   a file of segment size waiting for reuse; its contents mean nothing
 *   lock                     the exclusive lock
 */
const SEGMENT = /^([0-9a-f]{16})\.wal$/;
const SPARE = /^[0-9a-f]{16}\.spare$/;

export const LOCK_NAME = 'lock';

export function segmentName(segment: number): string {
  return `${segment.toString(16).padStart(16, '0')}.wal`;
}

export function spareName(segment: number): string {
  return `${segment.toString(16).padStart(16, '0')}.spare`;
}

/** The number of a segment file, or null when the name is something else. */
export function segmentNumber(name: string): number | null {
  const match = SEGMENT.exec(name);
  if (match === null) return null;
  const number = Number.parseInt(match[1]!, 16);
  return Number.isSafeInteger(number) && number > 0 ? number : null;
}

export function isSpareName(name: string): boolean {
  return SPARE.test(name);
}

export function joinPath(directory: string, name: string): string {
  return directory.endsWith('/') ? directory + name : `${directory}/${name}`;
}
