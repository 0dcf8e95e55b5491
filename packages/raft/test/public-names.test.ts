/** Every public name, and every public member of the classes that do the work, is documented with its place in the thesis. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const read = (path: string) => readFileSync(new URL(`../src/${path}`, import.meta.url), 'utf8');
const PLACE = /§\d|chapter \d|figure \d/;

/** Exported names by the file that declares them. */
const names = [...read('index.ts').matchAll(/^export (?:type )?\{([^}]*)\} from '\.\/([^']+)'/gms)].flatMap(
  ([, list, path]) =>
    list!
      .split(',')
      .map((name) => name.trim().replace(/^type /, ''))
      .filter(Boolean)
      .map((name) => ({ name, path: path! })),
);

it('the public surface is what index.ts lists', () => {
  expect(names.length).toBeGreaterThan(60);
  expect(read('index.ts')).not.toMatch(/export \*/);
});

it.each(names)('$name is documented with its section', ({ name, path }) => {
  const [, doc] =
    new RegExp(
      `(/\\*\\*(?:(?!\\*/)[\\s\\S])*\\*/)\\n(?:export (?:const|type) \\w+ = [\\s\\S]*?;\\n)?export (?:class|function|const|type|interface) ${name}\\b`,
    ).exec(read(path)) ?? [];
  expect(doc).toMatch(PLACE);
});

it.each(['raw-node.ts', 'driver/driver.ts'])('so is every public member of the class in %s', (path) => {
  const text = read(path);
  const members = [...text.matchAll(/^ {2}(?:get )?([a-z]\w*)\([^\n]*\{$/gm)].filter(
    ([, name]) => name !== 'constructor',
  );
  expect(members.length).toBeGreaterThan(10);
  for (const { index, 1: name } of members) {
    const [doc] = /\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n$/.exec(text.slice(0, index)) ?? [];
    expect(doc, name).toMatch(PLACE);
  }
});
