/** The table: both servers of a case below each other, and how ours compares. */
import { cpus } from 'node:os';
import { type Figures, medianFigures, type Run, type ServerName } from './figures.ts';

/** Above it, the generator is the limit of a row's throughput: judge the row by the server's processor time. */
const BUSY_LIMIT = 0.85;

export interface Circumstances {
  readonly date: string;
  readonly command: string;
  readonly repeats: number;
  readonly seconds: number;
  readonly pinned: boolean;
  readonly etcdVersion: string;
}

interface Row {
  readonly name: string;
  readonly unit: string;
  readonly server: ServerName;
  readonly figures: Figures;
  readonly failure: string | undefined;
}

export function medianRows(runs: readonly Run[]): Row[] {
  const names = [...new Set(runs.map(({ name }) => name))];
  const servers = ['quorate', 'etcd'] as const;
  return names.flatMap((name) =>
    servers.flatMap((server) => {
      const same = runs.filter((run) => run.name === name && run.server === server);
      const [first] = same;
      if (first === undefined) return [];
      const figures = medianFigures(same.map((run) => run.figures));
      return [{ name, unit: first.unit, server, figures, failure: same.find((run) => run.failure)?.failure }];
    }),
  );
}

export function markdown(runs: readonly Run[], circumstances: Circumstances): string {
  const rows = medianRows(runs);
  const loads = rows.filter(({ figures }) => figures.perSec !== undefined);
  const others = rows.filter(({ figures }) => figures.perSec === undefined);
  const model = cpus()[0]?.model ?? 'unknown processor';
  const parts = [
    `${circumstances.date}, ${cpus().length} cores (${model}), Node ${process.version}, ${circumstances.etcdVersion}, ` +
      `${circumstances.pinned ? 'server on core 0, generator on core 1' : 'not pinned'}. ` +
      `Median of ${circumstances.repeats}, ${circumstances.seconds} s each. \`${circumstances.command}\``,
  ];
  if (loads.length > 0) parts.push(loadTable(loads));
  if (others.length > 0) parts.push(otherTable(others));
  for (const { name, server, figures, failure } of rows) {
    const failed = figures.failed ?? 0;
    if (failed > 0 || failure !== undefined) {
      parts.push(`- ${name}, ${server}: ${failed} calls of the load failed. ${failure ?? ''}`.trimEnd());
    }
  }
  return `${parts.join('\n\n')}\n`;
}

function loadTable(rows: readonly Row[]): string {
  const head = [
    'case',
    'server',
    'a second',
    'p50 ms',
    'p99 ms',
    'p99.9 ms',
    'max ms',
    'server CPU us',
    'written B',
    'memory MiB idle / peak',
    'longest stall ms',
    'generator',
    'rate, CPU against etcd',
  ];
  const lines = rows.map(({ name, unit, server, figures }) => {
    const etcd = rows.find((row) => row.name === name && row.server === 'etcd')?.figures;
    const busy = figures.generatorBusy ?? 0;
    return [
      title(server === 'quorate' || etcd === undefined ? name : '', figures),
      server,
      `${count(figures.perSec)}${unit === 'calls' ? '' : ` ${unit}`}`,
      ms(figures.p50Ms),
      ms(figures.p99Ms),
      ms(figures.p999Ms),
      ms(figures.maxMs),
      one(figures.serverCpuUs),
      count(figures.writtenBytesPerCall),
      `${count(figures.idleMemoryMib)} / ${count(figures.peakMemoryMib)}`,
      one(figures.longestStallMs),
      `${Math.round(busy * 100)} %${busy > BUSY_LIMIT ? ' **busy**' : ''}`,
      server === 'quorate' && etcd !== undefined
        ? `${ratio(figures.perSec, etcd.perSec)}, ${ratio(figures.serverCpuUs, etcd.serverCpuUs)}`
        : '',
    ];
  });
  return table(head, lines);
}

function title(name: string, figures: Figures): string {
  const beside = figures.meanwhilePerSec;
  if (beside === undefined) return name;
  const share = Math.round((figures.meanwhileShare ?? 0) * 100);
  return `${name} (${beside.toFixed(2)} a second, ${share} % of the time)`.trim();
}

function otherTable(rows: readonly Row[]): string {
  const head = ['case', 'server', 'CPU at rest', 'restart ms', 'memory MiB', 'disk MiB'];
  return table(
    head,
    rows.map(({ name, server, figures }) => [
      name,
      server,
      figures.restCpu === undefined ? '' : `${(figures.restCpu * 100).toFixed(2)} %`,
      count(figures.restartMs),
      count(figures.idleMemoryMib),
      count(figures.diskMib),
    ]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, column) => (column < 2 ? '---' : '---:'));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

const count = (value: number | undefined) =>
  value === undefined ? '' : Math.round(value).toLocaleString('en-US');
const one = (value: number | undefined) => (value === undefined ? '' : value.toFixed(1));
const ms = (value: number | undefined) =>
  value === undefined ? '' : value < 10 ? value.toFixed(2) : value.toFixed(0);
const ratio = (ours: number | undefined, theirs: number | undefined) =>
  ours === undefined || theirs === undefined || theirs === 0 ? '-' : `${(ours / theirs).toFixed(2)}x`;
