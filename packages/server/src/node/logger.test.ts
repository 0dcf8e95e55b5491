import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { createLogger, type LogFormat } from './logger.ts';

const folder = mkdtempSync(join(tmpdir(), 'quorate-log-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function logged(format: LogFormat, write: (log: ReturnType<typeof createLogger>) => void): string {
  const path = join(folder, `${files++}.log`);
  write(createLogger({ level: 'info', format, outputs: [path, path] }));
  return readFileSync(path, 'utf8');
}

describe('logger', () => {
  test('one JSON object a line, with fields that JSON has no types for', () => {
    const text = logged('json', (log) => {
      log.log('debug', 'too low');
      log.log('warn', 'disk\nfailed', {
        index: 3,
        lease: 2n ** 60n,
        error: new Error('outer', { cause: new Error('inner') }),
      });
    });
    const lines = text.split('\n');
    expect(lines).toHaveLength(2);
    const { ts, ...rest } = JSON.parse(lines[0]!);
    expect(ts).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(rest).toEqual({
      level: 'warn',
      msg: 'disk\nfailed',
      index: 3,
      lease: '1152921504606846976',
      error: 'outer: inner',
    });
  });

  test('tab-separated columns for a console', () => {
    const text = logged('console', (log) => {
      log.log('info', 'plain');
      log.log('error', 'with fields', { a: 1 });
    });
    expect(text.replace(/^\S+/gm, 'T')).toBe('T\tINFO\tplain\nT\tERROR\twith fields\t{"a":1}\n');
  });

  test('a log file is for its owner alone', () => {
    const path = join(folder, 'mode.log');
    createLogger({ level: 'info', format: 'json', outputs: [path] });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
});
