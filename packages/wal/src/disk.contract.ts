/**
 * What every `Disk` must do, as cases that any test runner can run: `for (const c of DISK_CONTRACT) it(c.name, () => c.run(disk, folder))`.
 *
 * Each case gets an existing, empty folder. Whoever writes a disk of their own (another store, a simulation) runs these.
 */
import assert from 'node:assert/strict';
import { type Disk, DiskError } from './disk.ts';

export interface DiskContractCase {
  readonly name: string;
  run(disk: Disk, directory: string): void;
}

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const read = (data: Uint8Array): number[] => [...data];

function failsWith(code: string, run: () => void): void {
  assert.throws(run, (error) => error instanceof DiskError && error.code === code);
}

export const DISK_CONTRACT: readonly DiskContractCase[] = [
  {
    name: 'what was written reads back, also beyond the end, with zeros between',
    run(disk, directory) {
      const file = disk.open(`${directory}/a`, 'create');
      file.write(bytes(1, 2, 3), 0);
      file.write(bytes(9), 6);
      assert.equal(file.size(), 7);
      assert.deepEqual(read(file.read(0, 7)), [1, 2, 3, 0, 0, 0, 9]);
      file.close();
    },
  },
  {
    name: 'a read is shorter only at the end of the file',
    run(disk, directory) {
      const file = disk.open(`${directory}/a`, 'create');
      file.write(bytes(1, 2, 3), 0);
      assert.deepEqual(read(file.read(1, 10)), [2, 3]);
      assert.deepEqual(read(file.read(3, 10)), []);
      assert.deepEqual(read(file.read(100, 10)), []);
      file.close();
    },
  },
  {
    name: 'what a read returned does not change with the file',
    run(disk, directory) {
      const file = disk.open(`${directory}/a`, 'create');
      file.write(bytes(1, 2, 3), 0);
      const before = file.read(0, 3);
      file.write(bytes(7, 7, 7), 0);
      assert.deepEqual(read(before), [1, 2, 3]);
      file.close();
    },
  },
  {
    name: 'what a write was given may be reused at once',
    run(disk, directory) {
      const file = disk.open(`${directory}/a`, 'create');
      const data = bytes(1, 2, 3);
      file.write(data, 0);
      data.fill(8);
      assert.deepEqual(read(file.read(0, 3)), [1, 2, 3]);
      file.close();
    },
  },
  {
    name: 'two handles of a file see the same bytes, and synced bytes are there for later handles',
    run(disk, directory) {
      const writer = disk.open(`${directory}/a`, 'create');
      const reader = disk.open(`${directory}/a`, 'read');
      writer.write(bytes(5), 0);
      assert.deepEqual(read(reader.read(0, 1)), [5]);
      writer.sync();
      writer.close();
      reader.close();
      const later = disk.open(`${directory}/a`, 'write');
      assert.deepEqual(read(later.read(0, 1)), [5]);
      later.close();
    },
  },
  {
    name: 'truncate cuts, and what grows back reads as zeros',
    run(disk, directory) {
      const file = disk.open(`${directory}/a`, 'create');
      file.write(bytes(1, 2, 3, 4), 0);
      file.truncate(2);
      assert.equal(file.size(), 2);
      file.preallocate(4);
      assert.deepEqual(read(file.read(0, 4)), [1, 2, 0, 0]);
      file.close();
    },
  },
  {
    name: 'preallocate grows with zeros, keeps what is there and never shrinks',
    run(disk, directory) {
      const file = disk.open(`${directory}/a`, 'create');
      file.write(bytes(1, 2), 0);
      file.preallocate(600_000);
      assert.equal(file.size(), 600_000);
      assert.deepEqual(read(file.read(0, 3)), [1, 2, 0]);
      assert.deepEqual(read(file.read(599_999, 1)), [0]);
      file.preallocate(10);
      assert.equal(file.size(), 600_000);
      file.close();
    },
  },
  {
    name: 'create refuses a name that exists; write and read refuse one that does not',
    run(disk, directory) {
      disk.open(`${directory}/a`, 'create').close();
      failsWith('EEXIST', () => disk.open(`${directory}/a`, 'create'));
      failsWith('ENOENT', () => disk.open(`${directory}/b`, 'write'));
      failsWith('ENOENT', () => disk.open(`${directory}/b`, 'read'));
    },
  },
  {
    name: 'a file opened for reading cannot be written',
    run(disk, directory) {
      disk.open(`${directory}/a`, 'create').close();
      const file = disk.open(`${directory}/a`, 'read');
      assert.throws(() => file.write(bytes(1), 0), DiskError);
      file.close();
    },
  },
  {
    name: 'closing twice does nothing more',
    run(disk, directory) {
      const file = disk.open(`${directory}/a`, 'create');
      file.close();
      file.close();
    },
  },
  {
    name: 'list is sorted, and empty for a folder that does not exist',
    run(disk, directory) {
      for (const name of ['b', 'c', 'a']) disk.open(`${directory}/${name}`, 'create').close();
      assert.deepEqual(disk.list(directory), ['a', 'b', 'c']);
      assert.deepEqual(disk.list(`${directory}/none`), []);
      assert.equal(disk.exists(`${directory}/a`), true);
      assert.equal(disk.exists(`${directory}/none`), false);
    },
  },
  {
    name: 'rename replaces its target, and open handles follow the file',
    run(disk, directory) {
      const file = disk.open(`${directory}/a`, 'create');
      file.write(bytes(1), 0);
      disk.open(`${directory}/b`, 'create').close();
      disk.rename(`${directory}/a`, `${directory}/b`);
      assert.deepEqual(disk.list(directory), ['b']);
      file.write(bytes(2), 1);
      const renamed = disk.open(`${directory}/b`, 'read');
      assert.deepEqual(read(renamed.read(0, 2)), [1, 2]);
      renamed.close();
      file.close();
      failsWith('ENOENT', () => disk.rename(`${directory}/a`, `${directory}/c`));
    },
  },
  {
    name: 'remove takes the name away',
    run(disk, directory) {
      disk.open(`${directory}/a`, 'create').close();
      disk.remove(`${directory}/a`);
      assert.equal(disk.exists(`${directory}/a`), false);
      failsWith('ENOENT', () => disk.remove(`${directory}/a`));
    },
  },
  {
    name: 'makeDirectory makes parents too, and nothing happens when it exists',
    run(disk, directory) {
      disk.makeDirectory(`${directory}/x/y`);
      disk.makeDirectory(`${directory}/x/y`);
      assert.equal(disk.exists(`${directory}/x/y`), true);
      disk.open(`${directory}/x/y/a`, 'create').close();
      disk.syncDirectory(`${directory}/x/y`);
      assert.deepEqual(disk.list(`${directory}/x/y`), ['a']);
    },
  },
  {
    name: 'a lock is exclusive until it is released',
    run(disk, directory) {
      const lock = disk.lock(`${directory}/lock`);
      failsWith('LOCKED', () => disk.lock(`${directory}/lock`));
      lock.release();
      lock.release();
      disk.lock(`${directory}/lock`).release();
    },
  },
];
