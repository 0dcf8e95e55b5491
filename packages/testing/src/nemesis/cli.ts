/**
 * pnpm nemesis [--minutes N] [--members 3] [--seed S] [--server quorate|etcd] [--faults a,b] [--keep]
 *
 * pnpm nemesis failover [--server etcd,quorate] [--scale 1] [--scenarios leader,disk] [--save FILE]
 *
 * pnpm nemesis cases [--cases 16,43] [--server quorate|etcd]
 *
 * The second form measures what faults cost clients (`failover.ts`) and prints a Markdown table; the third runs
 * rows of the fault catalogue (`cases.ts`).
 *
 * Runs of about a minute, one after the other, until the time is up; each is a cluster of its own. The seed of run n is
 * `S/n`: `--seed S/n --minutes 1` repeats its plan. Exit code 1 when a rule was broken or a run saw too little.
 */
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { ServerKind } from '../process/server-process.ts';
import { CASES, cleanUp, runCase } from './cases.ts';
import { type Measurement, measureFailover } from './failover.ts';
import { failoverTable } from './failover-report.ts';
import { describeReport, summary } from './report.ts';
import { type NemesisReport, runNemesis } from './run.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '5' },
    members: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    server: { type: 'string' },
    faults: { type: 'string' },
    run: { type: 'string', default: '60' },
    keep: { type: 'boolean', default: false },
    progress: { type: 'boolean' },
    scale: { type: 'string', default: '1' },
    scenarios: { type: 'string' },
    save: { type: 'string' },
    cases: { type: 'string' },
  },
});

// Whoever stops the program stops its servers.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

if (positionals[0] === 'failover') {
  const measurements: Measurement[] = [];
  // However it ends, it shows what it has measured.
  process.once('exit', () => console.log(`\n${failoverTable(measurements)}`));
  const missing = await measureFailover({
    kinds: (values.server ?? 'etcd,quorate').split(',') as ServerKind[],
    scale: Number(values.scale),
    log: (line) => console.log(line),
    ...(values.scenarios === undefined ? {} : { scenarios: values.scenarios.split(',') }),
    onMeasured(measurement) {
      measurements.push(measurement);
      if (values.save !== undefined) appendFileSync(values.save, `${JSON.stringify(measurement)}\n`);
    },
  });
  for (const line of missing) console.log(`not measured: ${line}`);
  process.exit(missing.length > 0 ? 1 : 0);
}

if (positionals[0] === 'cases') {
  const wanted = values.cases?.split(',').map(Number);
  let broken = 0;
  for (const row of CASES) {
    if (wanted !== undefined && !wanted.includes(row.number)) continue;
    const line = await runCase(row, (values.server ?? 'quorate') as ServerKind, values.seed);
    if (!line.startsWith('ok') && !line.startsWith('skipped')) broken++;
    console.log(`case ${row.number} ${row.holds}: ${line}`);
  }
  cleanUp();
  process.exit(broken > 0 ? 1 : 0);
}

const seconds = Number(values.run);
const runs = Math.max(1, Math.round((Number(values.minutes) * 60) / seconds));
const reports: NemesisReport[] = [];
for (let number = 0; number < runs; number++) {
  const seed = /\/\d+$/.test(values.seed) ? values.seed : `${values.seed}/${number}`;
  const report = await runNemesis({
    kind: (values.server ?? 'quorate') as ServerKind,
    size: Number(values.members),
    seconds,
    seed,
    log: (line) => console.log(line),
    keep: values.keep,
    ...(values.progress === undefined ? {} : { askProgress: values.progress }),
    ...(values.faults === undefined ? {} : { faults: values.faults.split(',') }),
  });
  reports.push(report);
  console.log(describeReport(report));
}
console.log(summary(reports));
process.exit(reports.some((report) => report.violations.length + report.shortfalls.length > 0) ? 1 : 0);
