// Words for people: guesses, tables, colours, and text that came from elsewhere.

import { PassThrough } from 'node:stream';
import { WriteStream } from 'node:tty';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { nearest } from '../../agent/cli/nearest.ts';
import { paint, printable, someOf, table } from '../../agent/cli/words.ts';

describe('did you mean', () => {
  const table: readonly (readonly [string, readonly string[], string | null])[] = [
    ['tenats', ['tenants', 'sites'], 'tenants'],
    ['eu2', ['eu1', 'us1'], 'eu1'],
    ['ue', ['eu', 'us'], 'eu'],
    ['Acme', ['acme'], 'acme'],
    ['polices', ['policy', 'policies'], 'policies'],
    ['x', ['y'], null],
    ['london', ['frankfurt'], null],
    ['', ['a'], null],
  ];
  test.each(table)('%j of %j is %j', (word, names, best) => {
    expect(nearest(word, names)).toBe(best);
  });
});

describe('colours', () => {
  afterEach(() => vi.unstubAllEnvs());

  /** As good as a terminal, and judged by Node's own rules for one. */
  function terminal(): WriteStream {
    const stream = Object.assign(new PassThrough(), { isTTY: true });
    return Object.assign(stream, {
      getColorDepth: WriteStream.prototype.getColorDepth,
    }) as unknown as WriteStream;
  }

  test('are for terminals', () => {
    vi.stubEnv('TERM', 'xterm-256color');
    vi.stubEnv('NO_COLOR', undefined);
    vi.stubEnv('CI', undefined);
    vi.stubEnv('FORCE_COLOR', undefined);
    expect(paint('red', 'x', terminal())).toBe('\u001b[31mx\u001b[39m');
    expect(paint('red', 'x', new PassThrough() as unknown as WriteStream)).toBe('x');
  });

  test('are left out where NO_COLOR asks for it', () => {
    vi.stubEnv('TERM', 'xterm-256color');
    vi.stubEnv('FORCE_COLOR', undefined);
    vi.stubEnv('NO_COLOR', '1');
    expect(paint('red', 'x', terminal())).toBe('x');
  });
});

test('what came from elsewhere cannot move the cursor or turn the text', () => {
  expect(printable('a\u001b[2Jb\nc\u202ed\u0000é ñ ✓')).toBe(
    'a\\u001b[2Jb\\u000ac\\u202ed\\u0000é ñ ✓',
  );
  expect(table(['A'], [{ cells: ['x\ny'] }])).toBe('A\nx\\u000ay');
});

test('columns are as wide as their widest cell', () => {
  const rows = [{ cells: ['a', 'long one'] }, { cells: ['bbb', ''] }];
  expect(table(['N', 'WHAT'], rows)).toBe('N    WHAT\na    long one\nbbb');
});

test('a long list says how many more there are', () => {
  expect(someOf(['a', 'b', 'c'], 2)).toBe('a, b and 1 more');
  expect(someOf(['a', 'b'], 2)).toBe('a, b');
});
