/** What a run saw, in a few lines; and what several saw together. */
import type { NemesisReport } from './run.ts';

export function describeReport(report: NemesisReport): string {
  const {
    options,
    ok,
    failed,
    unknown,
    kills,
    leaderChanges,
    revisions,
    resumes,
    faults,
    violations,
    shortfalls,
  } = report;
  const struck = Object.entries(faults).map(([name, { tried, fired }]) => `${name} ${fired}/${tried}`);
  return [
    `${options.kind} x${options.size}, seed ${options.seed}, ${options.seconds} s: ${violations.length === 0 ? 'no violation' : `${violations.length} VIOLATIONS`}`,
    `  calls: ${ok} answered, ${failed} refused, ${unknown} unknown; ${revisions} revisions; ${resumes} watches resumed`,
    `  ${kills} kills, ${leaderChanges} leader changes; faults that struck: ${struck.join(', ')}`,
    ...shortfalls.map((shortfall) => `  TOO LITTLE: ${shortfall}`),
    ...violations.slice(0, 20).map(({ rule, detail }) => `  ${rule}: ${detail.slice(0, 500)}`),
    ...(report.kept === null ? [] : [`  history: ${report.kept}`]),
  ].join('\n');
}

export function summary(reports: readonly NemesisReport[]): string {
  const sum = (of: (report: NemesisReport) => number) =>
    reports.reduce((total, report) => total + of(report), 0);
  const struck = (report: NemesisReport) =>
    Object.values(report.faults).reduce((total, { fired }) => total + fired, 0);
  return [
    `${reports.length} runs, ${sum((r) => r.options.seconds)} s:`,
    `${sum((r) => r.ok)} calls answered, ${sum(struck)} faults, ${sum((r) => r.kills)} kills,`,
    `${sum((r) => r.leaderChanges)} leader changes, ${sum((r) => r.violations.length)} violations`,
  ].join(' ');
}
