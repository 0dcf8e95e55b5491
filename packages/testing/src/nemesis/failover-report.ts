/** The measurements of `failover.ts` as the Markdown table of docs/operations/failures.md. */
import type { Measurement } from './failover.ts';

export function failoverTable(measurements: readonly Measurement[]): string {
  const scenarios = [...new Set(measurements.map(({ scenario }) => scenario))];
  const kinds = [...new Set(measurements.map(({ kind }) => kind))];
  const header = [
    'fault',
    'times',
    ...kinds.map((kind) => `${kind}: back after, median (worst)`),
    ...(kinds.length > 1 ? [`${kinds[1]} / ${kinds[0]}`] : []),
    ...kinds.map((kind) => `${kind}: a put sent at that moment takes`),
    ...kinds.map((kind) => `${kind}: errors seen by clients`),
  ];
  const rows = scenarios.map((scenario) => {
    const of = (kind: string) => measurements.filter((one) => one.scenario === scenario && one.kind === kind);
    const medians = kinds.map((kind) => quantile(of(kind), 0.5));
    const [first, second] = medians;
    return [
      scenario,
      String(of(kinds[0]!).length),
      ...kinds.map((kind, index) => `${show(medians[index]!)} (${show(quantile(of(kind), 1))})`),
      ...(kinds.length > 1 ? [Number.isFinite(second! / first!) ? (second! / first!).toFixed(2) : '-'] : []),
      ...kinds.map((kind) => show(median(of(kind).flatMap(({ patientMs }) => patientMs)))),
      ...kinds.map((kind) => told(of(kind))),
    ];
  });
  return [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** Never counts as infinitely long. */
function quantile(measurements: readonly Measurement[], q: number): number {
  const sorted = measurements.map(({ backMs }) => backMs ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function show(ms: number): string {
  if (ms === Number.POSITIVE_INFINITY) return 'never';
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

function told(measurements: readonly Measurement[]): string {
  const errors = new Map<string, number>();
  for (const { errors: seen } of measurements)
    for (const [error, count] of Object.entries(seen))
      errors.set(plain(error), (errors.get(plain(error)) ?? 0) + count);
  const most = [...errors].sort((a, b) => b[1] - a[1]).slice(0, 3);
  const damages = new Set(measurements.flatMap(({ damage }) => (damage === null ? [] : [plain(damage)])));
  const said = most.map(([error, count]) => `${error} (${count})`);
  return [...(said.length === 0 ? ['none: calls wait'] : said), ...damages].join('; ');
}

/** Addresses and ports are different every time. */
function plain(error: string): string {
  return error.startsWith('Deadline exceeded') ? 'deadline of 10 s exceeded' : error.replaceAll('|', '/');
}
