/**
 * Power loss: every write and sync of a process is recorded, and disk images are built as a power loss could have left them.
 *
 * An image ends at some system call. Writes that a later sync had covered by then are there; of the others a random part is, one of them perhaps torn at 512 bytes.
 * LMDB writes its meta page through a file opened with O_DSYNC: durable when the call returns. Needs `strace`; without it the suite says so and is skipped.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { boundCommand } from '@quorate/testing/child';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectWhole } from './whole.ts';

const found = spawnSync('strace', ['-V']).status === 0;
const seed = Number(process.env.MVCC_SEED ?? 20261121);
const IMAGES = Number(process.env.MVCC_IMAGES ?? 200);
const SECTOR = 512;

type Call =
  | { kind: 'write'; offset: number; data: Buffer; durable: boolean }
  | { kind: 'sync' }
  | { kind: 'said'; durable: number };

/** The calls of a trace that concern the store's file, in the order in which they ended. */
function parseTrace(trace: string): Call[] {
  const files = new Map<number, { store: boolean; durable: boolean; position: number }>();
  const begun = new Map<string, string>();
  const calls: Call[] = [];
  for (const line of trace.split('\n')) {
    const [, pid, rest] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (pid === undefined || rest === undefined) continue;
    if (rest.endsWith('<unfinished ...>')) {
      begun.set(pid, rest.slice(0, -'<unfinished ...>'.length));
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    const call = resumed === null ? rest : `${begun.get(pid)}${resumed[1]}`;
    const parts = /^(\w+)\((.*)\) += (-?\d+)/.exec(call);
    if (parts === null) continue;
    const [, name, args, result] = parts as unknown as [string, string, string, string];
    if (name === 'openat') {
      const path = Buffer.from(
        args.match(/"((?:\\x[0-9a-f]{2})*)"/)?.[1]?.replaceAll('\\x', '') ?? '',
        'hex',
      ).toString();
      files.set(Number(result), {
        store: path.endsWith('.mdb'),
        durable: args.includes('O_DSYNC'),
        position: 0,
      });
      continue;
    }
    const fd = Number(/^\d+/.exec(args)?.[0]);
    const bytes = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex]) =>
      Buffer.from(hex!.replaceAll('\\x', ''), 'hex'),
    );
    if (name === 'write' && fd === 1) {
      const said = /durable (\d+)/.exec(Buffer.concat(bytes).toString());
      if (said !== null) calls.push({ kind: 'said', durable: Number(said[1]) });
    }
    const file = files.get(fd);
    if (file === undefined || !file.store) continue;
    if (name === 'fdatasync' || name === 'fsync') calls.push({ kind: 'sync' });
    else if (name === 'lseek') file.position = Number(result);
    else if (name === 'writev') {
      // Several neighbouring pages: LMDB sets the position first.
      const data = Buffer.concat(bytes);
      expect(data.length).toBe(Number(result));
      calls.push({ kind: 'write', offset: file.position, data, durable: file.durable });
      file.position += data.length;
    } else if (name === 'pwrite64' || name === 'pwritev') {
      const data = Buffer.concat(bytes);
      expect(data.length).toBe(Number(result));
      calls.push({ kind: 'write', offset: Number(/(\d+)\s*$/.exec(args)![1]), data, durable: file.durable });
    }
  }
  return calls;
}

/** The file after the first `end` calls and a power loss. */
function image(calls: readonly Call[], end: number, random: (bound: number) => number): Buffer {
  let file = Buffer.alloc(0);
  const put = (offset: number, data: Buffer): void => {
    if (file.length < offset + data.length)
      file = Buffer.concat([file, Buffer.alloc(offset + data.length - file.length)]);
    data.copy(file, offset);
  };
  let lastSync = -1;
  for (let i = 0; i < end; i++) if (calls[i]!.kind === 'sync') lastSync = i;
  for (let i = 0; i < end; i++) {
    const call = calls[i]!;
    if (call.kind !== 'write') continue;
    if (i < lastSync || call.durable) put(call.offset, call.data);
    else if (random(2) === 0) {
      const torn = random(4) === 0 && call.data.length > SECTOR;
      put(
        call.offset,
        torn ? call.data.subarray(0, SECTOR * (1 + random(call.data.length / SECTOR - 1))) : call.data,
      );
    }
  }
  return file;
}

describe.skipIf(!found)(
  `images of a power loss (seed ${seed})${found ? '' : ': no strace on the path'}`,
  () => {
    const directory = mkdtempSync(join(tmpdir(), 'mvcc-images-'));
    let calls: Call[] = [];

    beforeAll(() => {
      const child = fileURLToPath(new URL('./child.ts', import.meta.url));
      const trace = join(directory, 'trace');
      const which = 'trace=openat,pwrite64,pwritev,write,fdatasync,fsync,lseek,writev';
      const node = [
        process.execPath,
        '--conditions=@quorate/source',
        child,
        join(directory, 'recorded'),
        'none',
        '1',
        '2000',
        'no',
      ];
      const args = ['-f', '-xx', '-s', '100000000', '-e', which, '-o', trace, ...node];
      const command = boundCommand('strace', args);
      const result = spawnSync(command.program, command.args, { encoding: 'utf8', timeout: 60_000 });
      expect([result.status, result.stderr]).toEqual([0, '']);
      calls = parseTrace(readFileSync(trace, 'utf8'));
    }, 90_000);

    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    test(`case-22 ${IMAGES} images open with everything that was called durable`, {
      timeout: 300_000,
    }, async () => {
      expect(calls.filter(({ kind }) => kind === 'sync').length).toBeGreaterThan(40);
      let state = seed;
      const random = (bound: number): number => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return Math.floor((state / 2 ** 32) * bound);
      };
      // From the first commit on: before it there is no store.
      const first = calls.findIndex(({ kind }) => kind === 'said');
      let unsynced = 0;
      for (let i = 0; i < IMAGES; i++) {
        const end = first + random(calls.length - first + 1);
        let durable = 0;
        for (const call of calls.slice(0, end)) if (call.kind === 'said') durable = call.durable;
        if (calls.slice(0, end).findLast(({ kind }) => kind !== 'said')?.kind === 'write') unsynced++;
        const store = join(directory, `image-${i}`);
        mkdirSync(store, { mode: 0o700 });
        writeFileSync(join(store, 'store-000001.mdb'), image(calls, end, random));
        await expectWhole(store, durable);
        rmSync(store, { recursive: true });
      }
      // The fault must have been there: many images end between a write and its sync.
      expect(unsynced).toBeGreaterThan(IMAGES / 5);
    });
  },
);
