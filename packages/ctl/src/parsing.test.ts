import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findEntry, isGroup } from './command.ts';
import { parseCompare, parseOperation } from './commands/txn-grammar.ts';
import { parseRequest } from './commands/watch.ts';
import { watchFlags } from './commands/watch-flags.ts';
import { CommandError } from './exit.ts';
import { FlagError, type FlagSpecs, FlagValues, parseFlags } from './flags.ts';
import { globalFlags, withEnvironment } from './globals.ts';
import { quote } from './go-values.ts';
import { writeJson } from './output/json.ts';
import { drawTable } from './output/table.ts';
import { decodeRaw, encodeRaw } from './raw-text.ts';
import { entries } from './registry.ts';
import { splitWords } from './words.ts';

const specs: FlagSpecs = {
  prefix: { type: 'bool', default: 'false', help: '' },
  rev: { type: 'int', default: '0', help: '' },
  endpoints: { type: 'list', default: 'here', help: '' },
  'write-out': { type: 'string', short: 'w', default: 'simple', help: '' },
  interactive: { type: 'bool', short: 'i', default: 'false', help: '' },
  listen: { type: 'bool', short: 'l', default: 'false', help: '' },
};
const flags = (...words: string[]) => {
  const { given, args, separator } = parseFlags(words, specs);
  return { values: new FlagValues(specs, given), args, separator };
};

describe('flags', () => {
  test('stand anywhere, with = or without', () => {
    const { values, args } = flags(
      '--rev',
      '-5',
      'a',
      '--prefix',
      'b',
      '-w=json',
      '--endpoints=x,y',
      '--endpoints',
      'z',
    );
    expect(args).toEqual(['a', 'b']);
    expect(values.int('rev')).toBe(-5n);
    expect(values.bool('prefix')).toBe(true);
    expect(values.string('write-out')).toBe('json');
    expect(values.list('endpoints')).toEqual(['x', 'y', 'z']);
  });

  test('end at --', () => {
    expect(flags('a', '--', '--rev', '-w')).toMatchObject({ args: ['a', '--rev', '-w'], separator: 1 });
    expect(flags('a').separator).toBeNull();
  });

  test('short ones take values behind =, those without values too', () => {
    const { values, args } = flags('-i=false', 'a', '-li=true', 'b', '-lw=json', '-i');
    expect(args).toEqual(['a', 'b']);
    expect([values.bool('interactive'), values.bool('listen')]).toEqual([true, true]);
    expect(values.string('write-out')).toBe('json');
    expect(flags('-i=false').values.bool('interactive')).toBe(false);
    expect(() => flags('-i=frob')).toThrow('invalid argument "frob" for "-i, --interactive" flag');
    expect(flags('--write-out', '-i=false').values.string('write-out')).toBe('-i=false');
  });

  test('are not found among what every object has', () => {
    for (const name of ['--constructor', '--toString', '--__proto__'])
      expect(() => flags(`${name}=x`)).toThrow(new FlagError(`unknown flag: ${name}`));
  });

  test('say what is wrong', () => {
    expect(() => flags('--frob')).toThrow(new FlagError('unknown flag: --frob'));
    expect(() => flags('-x')).toThrow(new FlagError("unknown shorthand flag: 'x' in -x"));
    expect(() => flags('--rev')).toThrow(new FlagError('flag needs an argument: --rev'));
    expect(() => flags('--rev=x')).toThrow(/^invalid argument "x" for "--rev" flag: strconv/);
  });
});

describe('environment', () => {
  const values = (given: [string, string][], env: Record<string, string>, warnings: string[] = []) =>
    withEnvironment(new Map(given), env, (text) => warnings.push(text));

  test('stands in for flags that are not given', () => {
    const read = values([], { ETCDCTL_WRITE_OUT: 'json', ETCDCTL_DIAL_TIMEOUT: '3s', ETCDCTL_USER: '' });
    expect(read.string('write-out')).toBe('json');
    expect(read.durationMs('dial-timeout')).toBe(3000);
    expect(read.has('user')).toBe(false);
  });

  test('conflicts with a flag that is given, and warns of what it does not know', () => {
    expect(() => values([['endpoints', 'a']], { ETCDCTL_ENDPOINTS: 'b' })).toThrow(
      /^conflicting environment variable "ETCDCTL_ENDPOINTS" is shadowed/,
    );
    const warnings: string[] = [];
    values([], { ETCDCTL_FROB: '1', ETCDCTL_WATCH_KEY: 'k', ETCDCTL_API: '3', OTHER: 'x' }, warnings);
    expect(warnings).toEqual([
      'unrecognized environment variable ETCDCTL_FROB=1',
      'unrecognized environment variable ETCDCTL_API=3',
    ]);
  });

  test('every flag is read from its variable', () => {
    for (const [name, spec] of Object.entries(globalFlags)) {
      if (name === 'help') continue;
      const variable = `ETCDCTL_${name.toUpperCase().replaceAll('-', '_')}`;
      const text = { bool: 'true', int: '7', duration: '9s', list: 'a,b', string: 'x' }[spec.type];
      expect(values([], { [variable]: text }).text(name)).toBe(text);
    }
    expect(() => values([], { ETCDCTL_DIAL_TIMEOUT: 'x' })).toThrow(
      /invalid argument "x" for "--dial-timeout"/,
    );
  });
});

describe('command names', () => {
  test('may be shortened while they stay unique', () => {
    expect(findEntry(entries, 'comp')?.name).toBe('compaction');
    expect(findEntry(entries, 'd')).toBeUndefined();
    expect(findEntry(entries, 'del')?.name).toBe('del');
    const lease = findEntry(entries, 'le');
    expect(lease && isGroup(lease) && findEntry(lease.commands, 'k')?.name).toBe('keep-alive');
  });
});

describe('words of a line', () => {
  test('are split at blanks, kept in quotes', () => {
    expect(splitWords(`put 'a b' "c\\n\\"d" e=f --rev 3`)).toEqual([
      'put',
      'a b',
      'c\n"d',
      'e=f',
      '--rev',
      '3',
    ]);
    expect(splitWords('')).toEqual([]);
    expect(splitWords('put "\\q"')).toBeNull();
    // A no-break space is none of the blanks, and belongs to its word.
    expect(splitWords('put\tk \u00a0v\u2028w')).toEqual(['put', 'k', '\u00a0v\u2028w']);
  });

  test('any bytes can be written in double quotes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
        const [word = ''] = splitWords(quote(bytes)) ?? [];
        expect(new Uint8Array(encodeRaw(word))).toEqual(bytes);
      }),
    );
  });
});

describe('text that keeps its bytes', () => {
  test('round trip of any bytes, and of any text', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expect(new Uint8Array(encodeRaw(decodeRaw(bytes)))).toEqual(bytes);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(decodeRaw(Buffer.from(text))).toBe(text);
      }),
    );
  });
});

describe('transaction grammar', () => {
  test('compares', () => {
    expect(parseCompare('mod("k") > "5"')).toMatchObject({ modRevision: 5n, result: 1, target: 2 });
    expect(parseCompare('val("k\\"q") != "v w"')).toMatchObject({
      key: new Uint8Array(Buffer.from('k"q')),
      value: new Uint8Array(Buffer.from('v w')),
      result: 3,
      target: 3,
    });
    expect(parseCompare('lease("k") = "1f"')).toMatchObject({ lease: 31n, target: 4 });
    expect(parseCompare('ver("k") < "-1"')).toMatchObject({ version: -1n, target: 0 });
    expect(parseCompare('val(\u00a0`a\\"b`)\u2003= `0`')).toMatchObject({
      key: Buffer.from('a\\"b'),
      value: Buffer.from('0'),
    });
  });

  test('a comparison says how far it made sense', () => {
    const cases: [string, string][] = [
      ['mod("k")> "1"', '; got mod("k")  ""'],
      ['mod("k") >"1"', '; got mod("k") >"1" ""'],
      ['mod("k") >', '; got mod("k") > ""'],
      ['mod("\\q") > "1"', '; got mod("")  ""'],
      ['colour("k") ~ "1"', ' (unknown target colour)'],
      ['mod("k") constructor "1"', ' (unknown operator constructor)'],
    ];
    for (const [line, tail] of cases)
      expect(() => parseCompare(line), line).toThrow(`malformed comparison: ${line}${tail}`);
  });

  test('an unset target has no operand of another kind', () => {
    expect(Object.keys(parseCompare('c("k") = "1"')).sort()).toEqual([
      'createRevision',
      'key',
      'result',
      'target',
    ]);
  });

  test('any key and value can be compared', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ maxLength: 12 }), (key, value) => {
        expect(parseCompare(`value(${quote(key)}) = ${quote(value)}`)).toMatchObject({ key, value });
      }),
    );
  });

  test('no line throws anything but an invalid-input error', async () => {
    const line = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...'put get del"\'\\-=<>!() modkv0x\n') }),
    );
    await fc.assert(
      fc.asyncProperty(line, async (text) => {
        for (const parse of [parseCompare, parseOperation]) {
          try {
            await parse(text);
          } catch (error) {
            expect(error).toBeInstanceOf(CommandError);
            expect([3, 4, 128]).toContain((error as CommandError).exitCode);
          }
        }
      }),
    );
  });

  test('operations take the flags of their commands', async () => {
    expect(await parseOperation('put k "a b" --prev-kv --lease 1f')).toMatchObject({
      requestPut: { prevKv: true, lease: 31n, value: Buffer.from('a b') },
    });
    expect(await parseOperation('get k --prefix --limit 3 --rev 7')).toMatchObject({
      requestRange: { rangeEnd: new Uint8Array(Buffer.from('l')), limit: 3n, revision: 7n },
    });
    expect(await parseOperation('del a z')).toMatchObject({
      requestDeleteRange: { rangeEnd: Buffer.from('z') },
    });
  });
});

describe('watch arguments', () => {
  const request = (words: string[], env: Record<string, string> = {}) => {
    const { given, args, separator } = parseFlags(words, watchFlags);
    return parseRequest({ args, separator, flags: new FlagValues(watchFlags, given) }, env);
  };
  const range = (words: string[], env: Record<string, string> = {}) => {
    const { key, end } = request(words, env).range;
    return [Buffer.from(key).toString(), Buffer.from(end).toString()];
  };

  test('key, range end, prefix, command', () => {
    expect(range(['a'])).toEqual(['a', '']);
    expect(range(['a', 'b'])).toEqual(['a', 'b']);
    expect(range(['a', '--prefix'])).toEqual(['a', 'b']);
    expect(range(['', '--prefix'])).toEqual(['\0', '\0']);
    expect(request(['a', '--rev', '3', '--', 'echo', '--rev']).command).toEqual(['echo', '--rev']);
  });

  test('the key from the environment', () => {
    const env = { ETCDCTL_WATCH_KEY: 'a', ETCDCTL_WATCH_RANGE_END: 'c' };
    expect(range([], env)).toEqual(['a', 'c']);
    expect(request(['--', 'echo'], env).command).toEqual(['echo']);
    expect(() => request(['x'], env)).toThrow('bad number of arguments (found conflicting environment key)');
    expect(() => request([])).toThrow('bad number of arguments');
    expect(() => request(['x', '--'])).toThrow(
      'bad number of arguments (found separator --, but no commands)',
    );
  });
});

describe('output', () => {
  test('table', () => {
    expect(
      drawTable({
        header: ['ID', 'is_leader'],
        rows: [
          ['2e12', 'true'],
          ['7', 'false'],
        ],
      }),
    ).toBe(
      [
        '+------+-----------+',
        '|  ID  | IS LEADER |',
        '+------+-----------+',
        '| 2e12 |      true |',
        '|    7 |     false |',
        '+------+-----------+',
        '',
      ].join('\n'),
    );
  });

  test('JSON keeps 64-bit numbers and escapes as Go does', () => {
    let text = '';
    const value = { id: 2n ** 64n - 1n, text: '<a&b>\u2028', list: [null, true, 1], none: [], no: {} };
    writeJson(value, (more) => {
      text += more;
    });
    expect(text).toBe(
      '{"id":18446744073709551615,"text":"\\u003ca\\u0026b\\u003e\\u2028","list":[null,true,1],"none":[],"no":{}}',
    );
  });
});
