/** completion: scripts that let a shell finish command and flag names. They hold the names, so they are quick and need no server. */

import type { Run } from '../command.ts';
import { type Command, isGroup } from '../command.ts';
import { badArgs } from '../exit.ts';
import { globalFlags } from '../globals.ts';
import { entries, PROGRAM } from '../registry.ts';

const SHELLS = ['bash', 'zsh', 'fish', 'powershell'];

export const completion: Run = async (context, { args }) => {
  const [shell] = args;
  if (shell === undefined || args.length !== 1 || !SHELLS.includes(shell))
    throw badArgs(`completion takes the name of a shell: ${SHELLS.join(', ')}`);
  context.io.stdout(script(shell));
};

/** What may follow the words in front of `|`. */
function table(): [path: string, words: string[]][] {
  const flagsOf = (command: Command): string[] => Object.keys(command.flags).map((name) => `--${name}`);
  const rows: [string, string[]][] = [['', entries.map(({ name }) => name)]];
  for (const entry of entries) {
    if (!isGroup(entry)) rows.push([entry.name, flagsOf(entry)]);
    else {
      rows.push([entry.name, entry.commands.map(({ name }) => name)]);
      for (const command of entry.commands) rows.push([`${entry.name} ${command.name}`, flagsOf(command)]);
    }
  }
  return rows;
}

function script(shell: string): string {
  const globals = Object.keys(globalFlags).map((name) => `--${name}`);
  if (shell === 'fish') return fish();
  if (shell === 'powershell') return powershell(globals);
  const cases = table()
    .map(([path, words]) => `    "${path}") words="${words.join(' ')}" ;;`)
    .join('\n');
  const zsh = shell === 'zsh' ? '#compdef quoratectl\nautoload -U +X bashcompinit && bashcompinit\n' : '';
  return `${zsh}_${PROGRAM}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" words="" word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "$word" in
    -*) ;;
    *) [ -z "$path" ] && path="$word" || { [[ "$path" == *" "* ]] || path="$path $word"; } ;;
    esac
  done
  case "$path" in
${cases}
    *) words="" ;;
  esac
  [[ "$current" == -* ]] && words="$words ${globals.join(' ')}"
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _${PROGRAM} ${PROGRAM}
`;
}

function fish(): string {
  const lines = [`complete -c ${PROGRAM} -f`];
  const quoted = (text: string): string => `'${text.replaceAll("'", "\\'")}'`;
  for (const entry of entries) {
    lines.push(
      `complete -c ${PROGRAM} -n __fish_use_subcommand -a ${entry.name} -d ${quoted(entry.summary)}`,
    );
    const commands = isGroup(entry) ? entry.commands : [entry];
    for (const command of commands) {
      const seen = `__fish_seen_subcommand_from ${command.name}`;
      if (isGroup(entry))
        lines.push(
          `complete -c ${PROGRAM} -n '__fish_seen_subcommand_from ${entry.name}' -a ${command.name} -d ${quoted(command.summary)}`,
        );
      for (const [name, { help }] of Object.entries(command.flags))
        lines.push(`complete -c ${PROGRAM} -n '${seen}' -l ${name} -d ${quoted(help)}`);
    }
  }
  for (const [name, { help }] of Object.entries(globalFlags))
    lines.push(`complete -c ${PROGRAM} -l ${name} -d ${quoted(help)}`);
  return `${lines.join('\n')}\n`;
}

function powershell(globals: readonly string[]): string {
  const rows = table().map(([path, words]) => {
    const list = [...words, ...globals].map((word) => `'${word}'`).join(', ');
    return `    '${path}' = @(${list})`;
  });
  return `Register-ArgumentCompleter -Native -CommandName ${PROGRAM} -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $table = @{
${rows.join('\n')}
  }
  $path = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { "$_" } |
    Where-Object { $_ -notlike '-*' -and $_ -ne $wordToComplete } | Select-Object -First 2) -join ' '
  if (-not $table.ContainsKey($path)) { $path = ($path -split ' ')[0] }
  $table[$path] | Where-Object { $_ -like "$wordToComplete*" }
}
`;
}
