/** `@quorate/bbolt`: the public names, by topic. */

// Reading
export { BoltBucket, type BoltEntry } from './bucket.ts';
// Looking at all of a file
export { type BoltContents, checkFile } from './check.ts';
export { BoltCursor } from './cursor.ts';
export { BoltError, type BoltProblem } from './errors.ts';
export { BoltFile, type BoltFileOptions } from './file.ts';
export type { Meta } from './meta.ts';
// Real files
export { type BoltFileHandle, type BoltFileSink, createFile, openFile } from './node/file.ts';
export { type BoltSource, bytesSource } from './source.ts';
// Writing
export { type BoltSink, BoltWriter, type BoltWriterOptions } from './writer.ts';
