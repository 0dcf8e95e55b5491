/** What the writer of a tree keeps while a large bucket goes through it. */
import { expect, test } from 'vitest';
import { BoltFile, bytesSource } from '../src/index.ts';
import { encodeMetaPage } from '../src/meta.ts';
import { TreeWriter } from '../src/tree-writer.ts';

test("once its page is written a row is its owner's again: branches keep copies of keys, not views of rows", () => {
  const pageBytes = 512;
  const pages: Uint8Array[] = [];
  let nextId = 3;
  // Rows whose page is not written yet.
  const lent: Buffer[] = [];
  const tree = new TreeWriter({
    pageBytes,
    get nextId() {
      return nextId;
    },
    append(page) {
      pages.push(page);
      nextId += page.length / pageBytes;
      const isLeaf = new DataView(page.buffer).getUint16(8, true) === 2;
      const count = new DataView(page.buffer).getUint16(10, true);
      // As when the memory that the rows lie in is used for the next ones.
      if (isLeaf) for (const row of lent.splice(0, count)) row.fill(0xff);
    },
  });
  const names = Array.from({ length: 500 }, (_, i) => `key-${1_000 + i}`);
  for (const name of names) {
    const row = Buffer.from(`${name}${'v'.repeat(60)}`);
    lent.push(row);
    tree.add(row.subarray(0, name.length), row.subarray(name.length), 0);
  }
  const root = tree.finish();

  // As the outermost bucket of a file.
  const meta = { pageBytes, rootPageId: root, rootSequence: 0, freelistPageId: 2, highWater: nextId };
  const metas = [0, 1].map((transactionId) => encodeMetaPage({ ...meta, transactionId }));
  const file = new BoltFile(bytesSource(Buffer.concat([...metas, new Uint8Array(pageBytes), ...pages])));
  expect([...file.root.entries()].map(({ key }) => Buffer.from(key).toString())).toEqual(names);
});
