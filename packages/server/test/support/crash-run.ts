/**
 * Runs `crash-host.ts` until it dies, and checks what is left against what it said.
 *
 * What is acknowledged must be there, at its revision, whole; whatever else is there must be something that was asked for, once.
 */
import { once } from 'node:events';
import type { StoreEvent } from '@quorate/mvcc';
import { boundCommand, spawnBound } from '@quorate/testing/child';
import type { Logger } from '../../src/env.ts';
import { NO_FAILPOINTS } from '../../src/failpoints.ts';
import { createLessor } from '../../src/lease/create-lessor.ts';
import type { Member } from '../../src/member.ts';
import { nodeWorld } from '../../src/node/world.ts';
import { startMember } from '../../src/start-member.ts';
import { smallMember } from './small-member.ts';

const HOST = new URL('./crash-host.ts', import.meta.url).pathname;

interface Acknowledged {
  readonly revision: number;
  readonly keys: readonly string[];
  readonly value: string;
}

/** What one or more runs over one folder have said. */
export class Spoken {
  readonly writes: Acknowledged[] = [];
  readonly deletes: { revision: number; client: string }[] = [];
  highestRevision = 1;
  compacted = -1;
  ups = 0;
  fatal: string | null = null;

  hear(line: string): void {
    const words = line.split(' ');
    const revision = Number(words.at(-1));
    switch (words[0]) {
      case 'up':
        this.ups++;
        break;
      case 'put':
        this.writes.push({ keys: [words[1]!], value: words[2]!, revision });
        break;
      case 'txn':
        this.writes.push({ keys: [words[1]!, words[2]!], value: words[3]!, revision });
        break;
      case 'deleted':
        this.deletes.push({ client: words[1]!, revision });
        break;
      case 'compacted':
        this.compacted = Math.max(this.compacted, revision);
        return;
      case 'fatal':
        this.fatal = line;
        return;
    }
    this.highestRevision = Math.max(this.highestRevision, revision);
  }
}

export interface HostEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly errors: string;
}

export interface HostOptions {
  readonly folder: string;
  readonly run: string;
  readonly seconds: number;
  readonly env?: Record<string, string>;
  /** A program and its arguments to run the host under. */
  readonly under?: readonly string[];
  /** Told every line; may kill. */
  readonly onLine?: (line: string, pid: number) => void;
}

/** Runs the host to its end. Lines that it did not finish were not said. */
export async function runHost(options: HostOptions, spoken: Spoken): Promise<HostEnd> {
  const own = ['--conditions=@quorate/source', HOST, options.folder, options.run, String(options.seconds)];
  const host = boundCommand(process.execPath, own);
  const [program, ...args] = [...(options.under ?? []), host.program, ...host.args];
  const child = spawnBound(program!, args, {
    env: { ...process.env, NODE_ENV: 'test', ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let rest = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      spoken.hear(line);
      options.onLine?.(line, child.pid!);
    }
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-8192);
  });
  // A host that hangs is a failure of its own: it is ended, and its end is not the expected one.
  const hung = setTimeout(() => child.kill('SIGABRT'), (options.seconds + 15) * 1000);
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  clearTimeout(hung);
  return { code, signal, errors };
}

const SILENT: Logger = { log() {} };

/** Opens the folder again, without failpoints, in this process. */
export function reopen(folder: string): Promise<Member> {
  return startMember(smallMember(folder), { ...nodeWorld(SILENT), failpoint: NO_FAILPOINTS }, createLessor);
}

/** Every event the store still has, by revision. */
function history(member: Member): Map<number, readonly StoreEvent[]> {
  const events = new Map<number, readonly StoreEvent[]>();
  let from = Math.max(1, member.store.compactRevision);
  while (from <= member.store.revision) {
    const { batches, next } = member.store.readEvents(from, 1 << 20);
    for (const batch of batches) events.set(batch.revision, batch.events);
    from = next;
  }
  return events;
}

/** @returns what is wrong, in words; nothing when all is well */
export function problemsOf(member: Member, spoken: Spoken): string[] {
  const { store } = member;
  const problems: string[] = [];
  if (store.revision < spoken.highestRevision) {
    problems.push(`revision ${store.revision} is below the acknowledged ${spoken.highestRevision}`);
  }
  if (store.compactRevision < spoken.compacted) {
    problems.push(`compact revision ${store.compactRevision} is below the acknowledged ${spoken.compacted}`);
  }
  const events = history(member);
  const found = new Map<string, string>();
  for (const [revision, batch] of events) {
    for (const event of batch) {
      if (event.type !== 'put') continue;
      const value = Buffer.from(event.record.value).toString().replace(/\.+$/, '');
      const place = `${value} of ${Buffer.from(event.record.key)}`;
      const before = found.get(place);
      if (before !== undefined) problems.push(`${place} was applied twice: ${before} and ${revision}`);
      found.set(place, String(revision));
    }
  }
  // Of what is below the compact revision, only what nothing superseded is left to look at.
  for (const { keys, value, revision } of spoken.writes) {
    if (revision <= store.compactRevision) continue;
    for (const key of keys) {
      const at = found.get(`${value} of ${key}`);
      if (at !== String(revision))
        problems.push(`${value} of ${key} was acknowledged at ${revision}, found at ${at}`);
    }
  }
  for (const { client, revision } of spoken.deletes) {
    const deleted = events.get(revision);
    if (revision <= store.compactRevision || deleted === undefined) continue;
    const alien = deleted.some(
      ({ type, record }) =>
        type === 'delete' && !Buffer.from(record.key).toString().startsWith(`k${client}/`),
    );
    if (alien) problems.push(`the delete of client ${client} at ${revision} took other keys`);
  }
  for (let revision = Math.max(2, store.compactRevision + 1); revision <= store.revision; revision++) {
    if (!events.has(revision)) problems.push(`revision ${revision} has no events`);
  }
  problems.push(...newestProblems(member, spoken));
  return problems;
}

/** The newest acknowledged value of a key is there, unless a later change of that key is. */
function newestProblems(member: Member, spoken: Spoken): string[] {
  const newest = new Map<string, Acknowledged>();
  for (const write of spoken.writes) {
    for (const key of write.keys) {
      if ((newest.get(key)?.revision ?? 0) < write.revision) newest.set(key, write);
    }
  }
  const problems: string[] = [];
  for (const [key, { value, revision }] of newest) {
    const client = key.slice(1, key.indexOf('/'));
    if (spoken.deletes.some((one) => one.client === client && one.revision > revision)) continue;
    const record = member.store.get(Buffer.from(key));
    if (record === null) {
      // Only a delete that was not acknowledged any more may have taken it, and it came after everything of this client.
      const later = history(member);
      const deleted = [...later].some(
        ([at, events]) =>
          at > revision &&
          events.some((one) => one.type === 'delete' && Buffer.from(one.record.key).equals(Buffer.from(key))),
      );
      if (!deleted) problems.push(`${key} is gone, its value ${value} was acknowledged at ${revision}`);
    } else if (record.modRevision < revision) {
      problems.push(`${key} is at ${record.modRevision}, ${value} was acknowledged at ${revision}`);
    } else if (
      record.modRevision === revision &&
      !Buffer.from(record.value).toString().startsWith(`${value}.`)
    ) {
      problems.push(`${key} at ${revision} has another value than ${value}`);
    }
  }
  return problems;
}
