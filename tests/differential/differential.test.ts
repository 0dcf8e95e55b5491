/**
 * The same requests to us and to the real etcd (3.4.23 of Debian), answer by answer: hand-picked histories.
 *
 * Known differences to 3.7, the target, are data in `differences.ts`; each must explain at least one answer here.
 */
import { findProgram, type ServerProcess, startEtcd, startQuorate } from '@quorate/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Case, isOursOnly } from './cases/case.ts';
import { kvCases } from './cases/kv.ts';
import { compactionCases, leaseCases, maintenanceCases } from './cases/rest.ts';
import { txnCases } from './cases/txn.ts';
import { explain, KNOWN_DIFFERENCES } from './differences.ts';
import { Endpoint } from './exchange.ts';
import { normalise } from './normalise.ts';

const installed = findProgram('etcd') !== null;
if (!installed)
  console.warn('SKIPPED: etcd is not installed, so nothing was compared with it (Debian: etcd-server)');

const cases: readonly Case[] = [
  ...kvCases,
  ...txnCases,
  ...leaseCases,
  ...compactionCases,
  ...maintenanceCases,
];

describe.skipIf(!installed)('same requests, same answers as etcd', () => {
  let processes: ServerProcess[] = [];
  let ours: Endpoint;
  let theirs: Endpoint;
  const explained = new Set<string>();

  beforeAll(async () => {
    processes = await Promise.all([startQuorate(), startEtcd()]);
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

  it.each(cases)('$name', async ({ steps }) => {
    let revision = await currentRevision(theirs);
    expect(await currentRevision(ours)).toBe(revision);
    for (const [index, given] of steps.entries()) {
      const step = typeof given === 'function' ? given(revision) : given;
      if (isOursOnly(step)) {
        expect(normalise(step, await ours.call(step)), `step ${index}: ${describeStep(step)}`).toMatchObject(
          step.expected as object,
        );
        continue;
      }
      const answers = await Promise.all([ours.call(step), theirs.call(step)]);
      const [our, their] = [normalise(step, answers[0]), normalise(step, answers[1])];
      const difference = JSON.stringify(our) === JSON.stringify(their) ? null : explain(step, our, their);
      if (difference === null) expect(our, `step ${index}: ${describeStep(step)}`).toEqual(their);
      else explained.add(difference.name);
      revision = await currentRevision(theirs);
    }
  });

  it('every known difference explains something', () => {
    expect([...explained].sort()).toEqual(KNOWN_DIFFERENCES.map((known) => known.name).sort());
  });
});

async function currentRevision(endpoint: Endpoint): Promise<bigint> {
  const answer = await endpoint.call({
    call: 'KV/Range',
    request: { key: Buffer.from('\0'), countOnly: true },
  });
  if (!answer.ok) throw new Error(`${endpoint.name}: ${answer.message}`);
  return (answer.response.header as { revision: bigint }).revision;
}

function describeStep(step: { call: string; request: unknown }): string {
  const text = JSON.stringify(step.request, (_, value) =>
    typeof value === 'bigint'
      ? `${value}n`
      : value?.type === 'Buffer'
        ? Buffer.from(value.data).toString('latin1')
        : value,
  );
  return `${step.call} ${text.slice(0, 300)}`;
}
