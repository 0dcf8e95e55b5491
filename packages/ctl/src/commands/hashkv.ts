/** hashkv: the hash of a file's history, to compare with `endpoint hashkv` of a server. */
import type { Run } from '../command.ts';
import { badArgs } from '../exit.ts';
import * as fields from '../output/fields.ts';
import { checkFormat } from '../output/report.ts';
import { offline } from './offline.ts';

export const hashKv: Run = async (context, line) => {
  const [path] = line.args;
  if (path === undefined || line.args.length !== 1) throw badArgs('hashkv requires exactly one argument');
  checkFormat(context.globals.string('write-out'), ['simple', 'json', 'fields', 'table']);
  const found = await offline((door) => door.hashFile(path, Number(line.flags.int('rev'))));
  const { hash, hashRevision, compactRevision } = found;
  const cells = [`${hash}`, `${hashRevision}`, `${compactRevision}`];
  context.print({
    simple: () => [`${cells.join(', ')}\n`],
    json: () => ({ hash, hashRevision, compactRevision }),
    fields: () =>
      fields.field('Hash', hash) +
      fields.field('Hash revision', hashRevision) +
      fields.field('Compact revision', compactRevision),
    table: () => ({ header: ['hash', 'hash revision', 'compact revision'], rows: [cells] }),
  });
};
