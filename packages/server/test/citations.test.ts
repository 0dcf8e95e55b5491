/**
 * Every known fact about etcd's behaviour is either cited by a test or waits, by name, for the work that will.
 * Both directions: a row that lost its last test fails here, and so does a listed row that has one by now.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCodes, errorFacts } from '@quorate/proto';
import { expect, test } from 'vitest';
import { UNCITED_ERRORS, UNCITED_FACTS } from './uncited-rows.ts';

const FACTS = 213;
const root = new URL('../../../', import.meta.url).pathname;
const NOT_SOURCES = new Set(['node_modules', 'dist', 'gen', '.turbo']);

function* testFiles(folder: string): Generator<string> {
  for (const item of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, item.name);
    if (item.isDirectory()) {
      if (!NOT_SOURCES.has(item.name)) yield* testFiles(path);
    } else if (/\.(test|contract)\.ts$/.test(item.name) || /\/tests?\/.*\.ts$/.test(path)) yield path;
  }
}

const texts = ['packages', 'apps', 'tests']
  .flatMap((folder) => [...testFiles(join(root, folder))])
  .filter((path) => !path.endsWith('/uncited-rows.ts'))
  .map((path) => readFileSync(path, 'utf8'));

const cited = new Set(
  texts.flatMap((text) => [...text.matchAll(/\bsem-(\d{3})\b/g)].map((match) => Number(match[1]))),
);

test('facts', () => {
  const waiting = new Set<number>();
  for (const [from, to] of UNCITED_FACTS) {
    for (let row = from; row <= to; row++) waiting.add(row);
  }
  const rows = Array.from({ length: FACTS }, (_, index) => index + 1);
  expect(rows.filter((row) => !cited.has(row) && !waiting.has(row))).toEqual([]);
  expect(rows.filter((row) => cited.has(row) && waiting.has(row))).toEqual([]);
  expect([...cited].filter((row) => row < 1 || row > FACTS)).toEqual([]);
});

test('errors', () => {
  const isCited = (symbol: string) => {
    const escaped = symbol.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const citation = new RegExp(`err-${escaped}(?![A-Za-z])`);
    return texts.some((text) => citation.test(text));
  };
  const symbols = errorCodes.map((code) => errorFacts[code].symbol);
  expect(symbols.filter((symbol) => !isCited(symbol) && !Object.hasOwn(UNCITED_ERRORS, symbol))).toEqual([]);
  expect(
    Object.keys(UNCITED_ERRORS).filter((symbol) => isCited(symbol) || !symbols.includes(symbol)),
  ).toEqual([]);
});
