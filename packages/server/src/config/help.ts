/** What `--help` and `--version` print. */
import { etcdApi } from '@quorate/proto';
import { FLAGS, FORGOTTEN_FLAGS } from './flags.ts';

export function helpText(): string {
  const lines = [
    'Usage:',
    '  quorate [FLAGS]',
    '    Runs one member of a key-value store that speaks the etcd v3 API.',
    '',
    'Every flag --some-flag can also be given as variable ETCD_SOME_FLAG, or all of them in a file (--config-file).',
    'Flags marked with (*) are known but not supported yet: values other than the default are refused or have no effect.',
  ];
  let group = '';
  for (const flag of FLAGS) {
    if (flag.group !== group) {
      group = flag.group;
      lines.push('', `${group.slice(0, 1).toUpperCase()}${group.slice(1)}:`);
    }
    const mark = flag.support === 'later' || flag.support === 'refused' ? ' (*)' : '';
    const shown = flag.kind === 'bool' || flag.kind.startsWith('u') || flag.kind === 'int';
    const defaultText = shown && flag.defaultText !== '' ? flag.defaultText : `'${flag.defaultText}'`;
    lines.push(`  --${flag.name} ${defaultText}${mark}`, `    ${flag.help}`);
  }
  lines.push(
    '',
    'Other:',
    '  --list-failpoints',
    '    Print the names of the places where tests can make the server fail, and exit.',
    '',
    `Accepted and ignored: ${FORGOTTEN_FLAGS.map((name) => `--${name}`).join(' ')}`,
    '',
  );
  return lines.join('\n');
}

/**
 * The first line is what scripts read: a name, the word Version, a number.
 * @param quorateVersion the release of this program
 */
export function versionText(quorateVersion: string, nodeVersion: string, platform: string): string {
  return [
    `quorate Version: ${quorateVersion}`,
    `etcd API Version: ${etcdApi.version}`,
    `Node Version: ${nodeVersion}`,
    `OS/Arch: ${platform}`,
    '',
  ].join('\n');
}
