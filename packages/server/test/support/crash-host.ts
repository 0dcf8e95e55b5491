/**
 * A program that is made to die: one member on the real disk under load, saying on its standard output what was acknowledged.
 *
 *     node crash-host.ts FOLDER RUN SECONDS
 *
 * Eight clients, each sequential and with keys of its own, do puts, txns of two puts, deletes of a range and puts with leases; every
 * value is unique (`RUN.client.number`). On the side, compactions and defragmentations. A line leaves at once, before the next
 * request, so that what the reader has seen was acknowledged:
 *
 *     up REVISION                          put KEY VALUE REVISION            txn KEY KEY VALUE REVISION
 *     deleted CLIENT REVISION              compacted REVISION                fatal MESSAGE
 *
 * Ends with exit code 0 after SECONDS, on SIGTERM, and with 1 when the member ended by itself.
 */
import { sayLine } from '@quorate/testing/say';
import { createLessor } from '../../src/lease/create-lessor.ts';
import type { Member } from '../../src/member.ts';
import { createLogger } from '../../src/node/logger.ts';
import { nodeWorld } from '../../src/node/world.ts';
import type { Operation, PutOperation } from '../../src/operations.ts';
import type { Outcome } from '../../src/results.ts';
import { startMember } from '../../src/start-member.ts';
import { smallMember } from './small-member.ts';

const [folder = '', run = '', seconds = ''] = process.argv.slice(2);
const CLIENTS = 8;
const KEYS_PER_CLIENT = 5;

function say(...words: (string | number)[]): void {
  sayLine(words.join(' '));
}

function propose(member: Member, operation: Operation): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    member.propose(operation, 0, Number.POSITIVE_INFINITY, (error, outcome) =>
      error === null ? resolve(outcome!) : reject(error),
    );
  });
}

function put(key: string, value: string, lease = 0n): PutOperation {
  // Large enough that segments and memtables fill up.
  const bytes = Buffer.from(value.padEnd(200, '.'));
  return {
    kind: 'put',
    key: Buffer.from(key),
    value: bytes,
    lease,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  };
}

async function client(member: Member, id: number): Promise<void> {
  const lease = BigInt(id + 1);
  if (member.lessor.view(lease) === null)
    await propose(member, { kind: 'lease-grant', id: lease, ttlSec: 60 });
  for (let number = 0; ; number++) {
    const value = `${run}.${id}.${number}`;
    const key = `k${id}/${number % KEYS_PER_CLIENT}`;
    if (number % 17 === 16) {
      const range = { key: Buffer.from(`k${id}/`), rangeEnd: Buffer.from(`k${id}0`), prevKv: false };
      const outcome = await propose(member, { kind: 'delete-range', ...range });
      if (outcome.kind === 'delete-range') say('deleted', id, outcome.revision);
    } else if (number % 5 === 4) {
      const twin = `k${id}/${(number + 1) % KEYS_PER_CLIENT}`;
      const success = [put(key, value), put(twin, value)];
      const outcome = await propose(member, { kind: 'txn', compare: [], success, failure: [] });
      if (outcome.kind === 'txn') say('txn', key, twin, value, outcome.revision);
    } else {
      const outcome = await propose(member, put(key, value, number % 3 === 0 ? lease : 0n));
      if (outcome.kind === 'put') say('put', key, value, outcome.revision);
    }
  }
}

/** Compactions that trail the writes, and a defragmentation now and then, until the member stops. */
async function keeper(member: Member): Promise<void> {
  for (let round = 1; ; round++) {
    await new Promise((resolve) => setTimeout(resolve, 40));
    const revision = member.store.revision - 100;
    if (revision > member.store.compactRevision) {
      await propose(member, { kind: 'compact', revision, physical: false });
      say('compacted', revision);
    }
    if (round % 5 !== 0) continue;
    await new Promise((resolve) => member.store.defragment(resolve));
  }
}

const log = createLogger({ level: 'warn', format: 'json', outputs: ['stderr'] });
const member = await startMember(smallMember(folder), nodeWorld(log), createLessor).catch((error) => {
  say('fatal', (error as Error).message);
  process.exit(1);
});
say('up', member.store.revision);
process.on('SIGTERM', () => void member.stop());
setTimeout(() => void member.stop(), Number(seconds) * 1000);
for (let id = 0; id < CLIENTS; id++) client(member, id).catch(() => {});
keeper(member).catch(() => {});
const error = await member.stopped;
if (error !== null) say('fatal', error.message);
process.exit(error === null ? 0 : 1);
