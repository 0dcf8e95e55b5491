/** The ASCII box: headers in capitals and centred, cells to the right. */
export interface Table {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function drawTable({ header, rows }: Table): string {
  const titles = header.map((title) => title.replaceAll('_', ' ').toUpperCase());
  const widths = titles.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+\n`;
  const line = (cells: readonly string[], pad: (cell: string, width: number) => string): string =>
    `|${cells.map((cell, i) => ` ${pad(cell, widths[i] ?? 0)} `).join('|')}|\n`;
  const centred = (cell: string, width: number): string =>
    cell.padStart(cell.length + Math.floor((width - cell.length) / 2)).padEnd(width);
  const body = rows.map((row) => line(row, (cell, width) => cell.padStart(width))).join('');
  return rule + line(titles, centred) + rule + body + rule;
}
