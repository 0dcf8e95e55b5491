/**
 * pnpm nemesis [--minutes N] [--members 3] [--seed S] [--server quorate|etcd] [--faults a,b] [--keep]
 *
 * Runs of about a minute, one after the other, until the time is up; each is a cluster of its own. The seed of run n is
 * `S/n`: `--seed S/n --minutes 1` repeats its plan. Exit code 1 when a rule was broken or a run saw too little.
 */
import { parseArgs } from 'node:util';
import type { ServerKind } from '../process/server-process.ts';
import { describeReport, summary } from './report.ts';
import { type NemesisReport, runNemesis } from './run.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    members: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    server: { type: 'string', default: 'quorate' },
    faults: { type: 'string' },
    run: { type: 'string', default: '60' },
    keep: { type: 'boolean', default: false },
  },
});

const seconds = Number(values.run);
const runs = Math.max(1, Math.round((Number(values.minutes) * 60) / seconds));
const reports: NemesisReport[] = [];
for (let number = 0; number < runs; number++) {
  const seed = /\/\d+$/.test(values.seed) ? values.seed : `${values.seed}/${number}`;
  const report = await runNemesis({
    kind: values.server as ServerKind,
    size: Number(values.members),
    seconds,
    seed,
    log: (line) => console.log(line),
    keep: values.keep,
    ...(values.faults === undefined ? {} : { faults: values.faults.split(',') }),
  });
  reports.push(report);
  console.log(describeReport(report));
}
console.log(summary(reports));
process.exit(reports.some((report) => report.violations.length + report.shortfalls.length > 0) ? 1 : 0);
