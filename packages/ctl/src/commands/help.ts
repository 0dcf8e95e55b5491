/** help and options. */
import { findEntry, isGroup, type Run } from '../command.ts';
import { commandHelp, globalHelp, groupHelp, programHelp } from '../help.ts';
import { entries } from '../registry.ts';

export const help: Run = async (context, { args }) => {
  const [word, second] = args;
  const entry = word === undefined ? undefined : findEntry(entries, word);
  if (word !== undefined && !entry) context.io.stderr(`Unknown help topic [\`${args.join(' ')}\`]\n`);
  if (!entry) context.io.stdout(programHelp());
  else if (!isGroup(entry)) context.io.stdout(commandHelp(entry.name, entry));
  else {
    const command = second === undefined ? undefined : findEntry(entry.commands, second);
    context.io.stdout(command ? commandHelp(`${entry.name} ${command.name}`, command) : groupHelp(entry));
  }
};

export const options: Run = async (context) => {
  context.io.stdout(globalHelp());
};
