/**
 * The same random requests to us and to the real etcd: 20,000 in every run, from a printed seed.
 *
 * `DIFFERENTIAL_SEED=...` replays one; `QUORATE_TEST_SCALE` multiplies the number.
 */
import { findProgram, type ServerProcess, startEtcd, startQuorate } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explain } from './differences.ts';
import { Endpoint, type Step } from './exchange.ts';
import { Generator } from './generator.ts';
import { normalise, type Plain } from './normalise.ts';

const installed = findProgram('etcd') !== null;
if (!installed)
  console.warn('SKIPPED: etcd is not installed, so nothing was compared with it (Debian: etcd-server)');

const HISTORIES = 10;
const REQUESTS = Math.ceil((20_000 / HISTORIES) * Number(process.env.QUORATE_TEST_SCALE ?? 1));
const seed = process.env.DIFFERENTIAL_SEED ?? String(Math.floor(Math.random() * 2 ** 31));

describe.skipIf(!installed)(`random requests, same answers as etcd (DIFFERENTIAL_SEED=${seed})`, () => {
  let processes: ServerProcess[] = [];
  let ours: Endpoint;
  let theirs: Endpoint;
  beforeAll(async () => {
    processes = await Promise.all([startQuorate(), startEtcd({ flags: ['--unsafe-no-fsync'] })]);
    [ours, theirs] = processes.map((server) => new Endpoint(server.name, server.endpoint)) as [
      Endpoint,
      Endpoint,
    ];
  }, 60_000);
  afterAll(async () => {
    ours?.close();
    theirs?.close();
    await Promise.all(processes.map((server) => server.stop()));
  });

  it.each(Array.from({ length: HISTORIES }, (_, number) => number))(
    'history %i',
    { timeout: 300_000 },
    async (number) => {
      const generator = new Generator(`${seed}/${number}`);
      const kinds = { accepted: 0, refused: 0, writes: 0, explained: 0 };
      let revision = 1n;
      let compacted = -1n;
      for (let i = 0; i < REQUESTS; i++) {
        const step = generator.next(revision, compacted);
        const answers = await Promise.all([ours.call(step), theirs.call(step)]);
        const our = normalise(step, answers[0]);
        const their = normalise(step, answers[1]);
        if (JSON.stringify(our) !== JSON.stringify(their)) {
          if (explain(step, our, their) === null) report(number, i, step, our, their);
          kinds.explained++;
        }
        const reference = answers[1];
        kinds[reference.ok ? 'accepted' : 'refused']++;
        if (!reference.ok) continue;
        const after = (reference.response.header as { revision: bigint }).revision;
        if (after > revision) {
          kinds.writes++;
          revision = after;
        }
        if (step.call === 'KV/Compact') compacted = BigInt(step.request.revision as bigint);
      }
      // A run in which nearly everything is refused, or nothing is, compares too little.
      expect(kinds.accepted).toBeGreaterThan(REQUESTS * 0.4);
      expect(kinds.refused).toBeGreaterThan(REQUESTS * 0.05);
      expect(kinds.writes).toBeGreaterThan(REQUESTS * 0.2);
    },
  );
});

function report(history: number, index: number, step: Step, our: Plain, their: Plain): void {
  const request = JSON.stringify(
    step.request,
    (_, value) =>
      typeof value === 'bigint'
        ? `${value}n`
        : value?.type === 'Buffer'
          ? Buffer.from(value.data).toString('latin1')
          : value,
    1,
  );
  expect(our, `seed ${seed}, history ${history}, request ${index}: ${step.call} ${request}`).toEqual(their);
}
