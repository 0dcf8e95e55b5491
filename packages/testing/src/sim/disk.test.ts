import { DISK_CONTRACT, DiskError } from '@quorate/wal';
import { describe, expect, it } from 'vitest';
import { SimDisk } from './disk.ts';
import { Random } from './random.ts';

function diskWith(seed: number | string, options: { capacityBytes?: number } = {}): SimDisk {
  const disk = new SimDisk(new Random(seed, 'disk'), options);
  disk.makeDirectory('/d');
  return disk;
}

describe('the simulated disk keeps the disk contract', () => {
  for (const one of DISK_CONTRACT) it(one.name, () => one.run(diskWith(one.name), '/d'));
});

describe('a crash', () => {
  it('keeps what was synced, name and bytes, whatever the seed', () => {
    for (let seed = 0; seed < 200; seed++) {
      const disk = diskWith(seed);
      const file = disk.open('/d/a', 'create');
      file.write(new Uint8Array(2000).fill(1), 0);
      file.sync();
      disk.syncDirectory('/d');
      disk.crash();
      const after = disk.open('/d/a', 'read').read(0, 3000);
      expect(after).toEqual(new Uint8Array(2000).fill(1));
    }
  });

  it('loses, keeps or tears an unsynced write at 512-byte sectors, all of it over 200 seeds', () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 200; seed++) {
      const disk = diskWith(seed);
      const file = disk.open('/d/a', 'create');
      file.write(new Uint8Array(1024).fill(1), 0);
      file.sync();
      disk.syncDirectory('/d');
      file.write(new Uint8Array(1024).fill(2), 0);
      disk.crash();
      const after = disk.open('/d/a', 'read').read(0, 1024);
      for (const sector of [after.subarray(0, 512), after.subarray(512)]) {
        expect(new Set(sector).size).toBe(1);
      }
      outcomes.add(`${after[0]}${after[512]}`);
    }
    expect([...outcomes].sort()).toEqual(['11', '12', '21', '22']);
  });

  it('may lose a name whose folder was not synced, and keeps the old one then', () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 100; seed++) {
      const disk = diskWith(seed);
      disk.open('/d/a', 'create').close();
      disk.syncDirectory('/d');
      disk.rename('/d/a', '/d/b');
      disk.crash();
      outcomes.add(disk.list('/d').join());
    }
    expect([...outcomes].sort()).toEqual(['a', 'b']);
  });

  it('kills open files and frees locks', () => {
    const disk = diskWith(1);
    const file = disk.open('/d/a', 'create');
    disk.lock('/d/lock');
    disk.crash();
    expect(() => file.write(new Uint8Array(1), 0)).toThrow(DiskError);
    disk.lock('/d/lock').release();
  });

  it('repeats with its seed', () => {
    const image = (): unknown => {
      const disk = diskWith('same');
      for (const name of ['a', 'b', 'c', 'd'])
        disk.open(`/d/${name}`, 'create').write(new Uint8Array(5000).fill(3), 0);
      disk.crash();
      return disk.list('/d').map((name) => [name, disk.open(`/d/${name}`, 'read').read(0, 5000)]);
    };
    expect(image()).toEqual(image());
  });
});

describe('faults', () => {
  it('an injected failure hits the nth call only', () => {
    const disk = diskWith(1);
    const file = disk.open('/d/a', 'create');
    disk.inject({ operation: 'write', nth: 2, code: 'EIO' });
    file.write(new Uint8Array(1), 0);
    expect(() => file.write(new Uint8Array(1), 0)).toThrow(expect.objectContaining({ code: 'EIO' }));
    file.write(new Uint8Array(1), 0);
    expect(disk.tally.injected).toBe(1);
  });

  it('case-16 after a failed sync a second one succeeds and the data is gone all the same', () => {
    const disk = diskWith(1);
    const file = disk.open('/d/a', 'create');
    disk.syncDirectory('/d');
    file.write(new Uint8Array([7]), 0);
    disk.inject({ operation: 'sync' });
    expect(() => file.sync()).toThrow(DiskError);
    file.sync();
    expect(file.read(0, 1)).toEqual(new Uint8Array([7]));
    disk.crash();
    expect(disk.open('/d/a', 'read').size()).toBe(0);
  });

  it('case-18 a full disk refuses to grow a file, and takes overwrites', () => {
    const disk = diskWith(1, { capacityBytes: 1000 });
    const file = disk.open('/d/a', 'create');
    file.preallocate(1000);
    expect(() => file.write(new Uint8Array(1), 1000)).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    file.write(new Uint8Array(1000), 0);
    expect(disk.tally.full).toBe(1);
  });

  it('copies are independent of the original', () => {
    const disk = diskWith(1);
    const file = disk.open('/d/a', 'create');
    file.write(new Uint8Array([1]), 0);
    file.sync();
    disk.syncDirectory('/d');
    const copy = disk.copy(new Random(2, 'disk'));
    file.write(new Uint8Array([2]), 0);
    copy.crash();
    expect(copy.open('/d/a', 'read').read(0, 1)).toEqual(new Uint8Array([1]));
    expect(file.read(0, 1)).toEqual(new Uint8Array([2]));
  });
});
