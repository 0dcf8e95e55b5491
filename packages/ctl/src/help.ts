/** The text of `help`, made from the descriptions of the commands. */
import { type Command, type CommandGroup, isGroup } from './command.ts';
import type { FlagSpecs } from './flags.ts';
import { globalFlags } from './globals.ts';
import { PROGRAM, sections } from './registry.ts';

export function programHelp(): string {
  const width = Math.max(
    ...sections.flatMap(({ entries }) => entries.flatMap(namesOf)).map(([name]) => name.length),
  );
  const lists = sections.map(({ title, entries }) => {
    const lines = entries.flatMap(namesOf).map(([name, summary]) => `  ${name.padEnd(width)}  ${summary}\n`);
    return `${title}:\n${lines.join('')}`;
  });
  return [
    `${PROGRAM} - command line for etcd-compatible servers\n`,
    `Usage:\n  ${PROGRAM} [flags] <command> [arguments]\n`,
    ...lists,
    `Command names may be shortened while they stay unique.\n` +
      `Run '${PROGRAM} help <command>' for a command, '${PROGRAM} options' for the flags of every command.\n`,
  ].join('\n');
}

export function groupHelp(group: CommandGroup): string {
  const width = Math.max(...group.commands.map(({ name }) => name.length));
  const lines = group.commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
  return `${group.name} - ${group.summary}\n\nUsage:\n  ${PROGRAM} ${group.name} <subcommand>\n\nCommands:\n${lines.join('')}`;
}

export function commandHelp(path: string, command: Command): string {
  const parts = [
    `${path} - ${command.summary}\n`,
    `Usage:\n  ${PROGRAM} ${path} ${command.usage}`.trimEnd().concat('\n'),
  ];
  if (command.description) parts.push(`${command.description}\n`);
  if (Object.keys(command.flags).length > 0) parts.push(`Options:\n${flagLines(command.flags)}`);
  parts.push(`Run '${PROGRAM} options' for the flags of every command.\n`);
  return parts.join('\n');
}

export function globalHelp(): string {
  return `The following options can be passed to any command:\n\n${flagLines(globalFlags)}`;
}

function namesOf(entry: Command | CommandGroup): [name: string, summary: string][] {
  if (!isGroup(entry)) return [[entry.name, entry.summary]];
  return entry.commands.map((command) => [`${entry.name} ${command.name}`, command.summary]);
}

function flagLines(specs: FlagSpecs): string {
  const rows = Object.entries(specs).map(([name, spec]) => {
    const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
    const value =
      spec.type === 'bool'
        ? `[=${spec.default}]`
        : `=${spec.type === 'string' ? JSON.stringify(spec.default) : spec.default}`;
    return [`  ${short}--${name}${value}`, spec.help] as const;
  });
  const width = Math.max(...rows.map(([flag]) => flag.length));
  return rows.map(([flag, help]) => `${flag.padEnd(width)}  ${help}\n`).join('');
}
