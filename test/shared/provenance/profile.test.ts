import fc from 'fast-check';
import { parseDictionary, Token } from 'structured-headers';
import { expect, test } from 'vitest';
import {
  PROVENANCE_BYTES_MAX,
  type Provenance,
  parseProvenance,
  portolanHeaderPrefix,
  provenanceHeader,
  writeProvenance,
} from '../../../shared/provenance/profile.ts';

const FIRST_HOP: Provenance = {
  host: 'acme.example',
  aud: 'eu1',
  tenant: 'acme',
  scope: 'eu',
  op: 'write',
  generation: 1n,
  version: 42n,
  commitIndex: 9_007_199_254_740_993n,
  lamport: 42n,
  epoch: 65n,
  decision: 'd-7f3a',
  hop: 1,
  body: 'unsigned',
};

const FIRST_TEXT =
  'host="acme.example", aud="eu1", tenant="acme", scope="eu", op=write, gen="1", ver="42", ' +
  'ci="9007199254740993", lam="42", epoch="65", dec="d-7f3a", hop=1, body=unsigned';

const refused = {
  kind: 'refused',
  code: 'provenance-malformed',
  detail: expect.any(String),
};

const long = (text: string) => text.replace('"acme"', `"${'a'.repeat(PROVENANCE_BYTES_MAX)}"`);

/** The first hop with a decision id that brings the text to exactly `length`. */
function ofLength(length: number): Provenance {
  const rest = FIRST_TEXT.length - FIRST_HOP.decision.length;
  return { ...FIRST_HOP, decision: 'd'.repeat(length - rest) };
}

test('the header names are the ones on the wire', () => {
  expect(provenanceHeader).toBe('portolan-provenance');
  expect(provenanceHeader.startsWith(portolanHeaderPrefix)).toBe(true);
});

test.each([
  ['a first hop', FIRST_HOP, FIRST_TEXT],
  [
    'a later hop names the one before',
    { ...FIRST_HOP, hop: 2, prev: 'Zm9v' },
    FIRST_TEXT.replace('hop=1', 'hop=2, prev="Zm9v"'),
  ],
  [
    'quotes and backslashes are escaped',
    { ...FIRST_HOP, tenant: 'a"b\\c' },
    FIRST_TEXT.replace('"acme"', '"a\\"b\\\\c"'),
  ],
  [
    'the greatest counter and hop',
    { ...FIRST_HOP, epoch: 9_999_999_999_999_999_999n, hop: 999_999_999_999_999 },
    FIRST_TEXT.replace('"65"', '"9999999999999999999"').replace('hop=1', 'hop=999999999999999'),
  ],
] as const)('%s', (_fact, value, text) => {
  expect(writeProvenance(value)).toBe(text);
  expect(parseProvenance(text)).toEqual(value);
});

test.each([
  ['nothing', ''],
  ['a missing member', FIRST_TEXT.replace('scope="eu", ', '')],
  ['a missing last member', FIRST_TEXT.replace(', body=unsigned', '')],
  ['another order', FIRST_TEXT.replace('aud="eu1", tenant="acme"', 'tenant="acme", aud="eu1"')],
  ['a member twice', FIRST_TEXT.replace('aud="eu1"', 'aud="eu1", aud="us1"')],
  ['the header twice', `${FIRST_TEXT}, ${FIRST_TEXT}`],
  ['an unknown member', `${FIRST_TEXT}, role="operator"`],
  ['an unknown member in between', FIRST_TEXT.replace('op=', 'x=1, op=')],
  ['a parameter', FIRST_TEXT.replace('op=write', 'op=write;v=1')],
  ['a parameter at the end', `${FIRST_TEXT};v=1`],
  ['a space too many', FIRST_TEXT.replace(', ', ',  ')],
  ['no space', FIRST_TEXT.replace(', ', ',')],
  ['a tab', FIRST_TEXT.replace(', ', ',\t')],
  ['a space before', ` ${FIRST_TEXT}`],
  ['a space after', `${FIRST_TEXT} `],
  ['a line break after', `${FIRST_TEXT}\n`],
  ['a comma after', `${FIRST_TEXT},`],
  ['a key in capitals', FIRST_TEXT.replace('aud', 'Aud')],
  ['an empty string', FIRST_TEXT.replace('"acme"', '""')],
  ['an empty prev', FIRST_TEXT.replace('hop=1', 'hop=1, prev=""')],
  ['a string that never ends', FIRST_TEXT.replace('"eu"', '"eu')],
  ['an escape that is not needed', FIRST_TEXT.replace('"acme"', '"a\\cme"')],
  ['a line break', FIRST_TEXT.replace('"acme"', '"ac\r\nme"')],
  ['a NUL', FIRST_TEXT.replace('"acme"', '"ac\0me"')],
  ['a DEL', FIRST_TEXT.replace('"acme"', '"ac\x7fme"')],
  ['a letter outside ASCII', FIRST_TEXT.replace('"acme"', '"ácme"')],
  ['a token as a string', FIRST_TEXT.replace('op=write', 'op="write"')],
  ['a string as a token', FIRST_TEXT.replace('tenant="acme"', 'tenant=acme')],
  ['an unknown operation class', FIRST_TEXT.replace('op=write', 'op=delete')],
  ['a longer operation class', FIRST_TEXT.replace('op=write', 'op=writes')],
  ['an unknown body form', FIRST_TEXT.replace('=unsigned', '=signed')],
  ['a counter as an integer', FIRST_TEXT.replace('"65"', '65')],
  ['an empty counter', FIRST_TEXT.replace('"65"', '""')],
  ['a leading zero', FIRST_TEXT.replace('"65"', '"065"')],
  ['a negative counter', FIRST_TEXT.replace('"65"', '"-65"')],
  ['a signed counter', FIRST_TEXT.replace('"65"', '"+65"')],
  ['a fraction', FIRST_TEXT.replace('"65"', '"65.0"')],
  ['a hexadecimal counter', FIRST_TEXT.replace('"65"', '"0x41"')],
  ['a counter of 20 digits', FIRST_TEXT.replace('"65"', '"10000000000000000000"')],
  ['a hop of 16 digits', FIRST_TEXT.replace('hop=1', 'hop=1000000000000000')],
  ['a negative hop', FIRST_TEXT.replace('hop=1', 'hop=-1')],
  ['a fractional hop', FIRST_TEXT.replace('hop=1', 'hop=1.0')],
  ['a hop with a leading zero', FIRST_TEXT.replace('hop=1', 'hop=01')],
  ['a length beyond all bounds', long(FIRST_TEXT)],
])('%s is refused', (_fact, text) => {
  expect(parseProvenance(text)).toEqual(refused);
});

test('the length is bounded, just under and just over', () => {
  const under = ofLength(PROVENANCE_BYTES_MAX);
  const text = writeProvenance(under);
  expect(text.length).toBe(PROVENANCE_BYTES_MAX);
  expect(parseProvenance(text)).toEqual(under);
  expect(parseProvenance(text.replace('dec="', 'dec="d'))).toEqual(refused);
  expect(() => writeProvenance(ofLength(PROVENANCE_BYTES_MAX + 1))).toThrow();
});

test.each([
  ['a control character', { ...FIRST_HOP, host: 'acme\r\nx-admin: 1' }],
  ['an empty tenant', { ...FIRST_HOP, tenant: '' }],
  ['an empty prev', { ...FIRST_HOP, prev: '' }],
  ['a negative epoch', { ...FIRST_HOP, epoch: -1n }],
  ['a fractional hop', { ...FIRST_HOP, hop: 1.5 }],
])('%s cannot be written', (_fact, value) => {
  expect(() => writeProvenance(value)).toThrow();
});

const text = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 253 });
const counter = fc.bigInt({ min: 0n, max: 9_999_999_999_999_999_999n });

const provenance: fc.Arbitrary<Provenance> = fc
  .record(
    {
      host: text,
      aud: text,
      tenant: text,
      scope: text,
      op: fc.constantFrom('read', 'write', 'session'),
      generation: counter,
      version: counter,
      commitIndex: counter,
      lamport: counter,
      epoch: counter,
      decision: text,
      hop: fc.nat(),
      prev: text,
      body: fc.constantFrom('none', 'unsigned', 'digest'),
    },
    {
      requiredKeys: [
        ...(['host', 'aud', 'tenant', 'scope', 'op', 'generation', 'version'] as const),
        ...(['commitIndex', 'lamport', 'epoch', 'decision', 'hop', 'body'] as const),
      ],
    },
  )
  .map((value) => value as Provenance);

test('what was written is read back, and a general parser reads the same', () => {
  fc.assert(
    fc.property(provenance, (value) => {
      const written = writeProvenance(value);
      expect(parseProvenance(written)).toEqual(value);
      expect([...parseDictionary(written)]).toEqual(general(value));
    }),
  );
});

/** The dictionary as the library `structured-headers` shows it: key, bare value, no parameters. */
function general(p: Provenance): readonly unknown[] {
  const bare: readonly (readonly [string, unknown])[] = [
    ['host', p.host],
    ['aud', p.aud],
    ['tenant', p.tenant],
    ['scope', p.scope],
    ['op', new Token(p.op)],
    ['gen', `${p.generation}`],
    ['ver', `${p.version}`],
    ['ci', `${p.commitIndex}`],
    ['lam', `${p.lamport}`],
    ['epoch', `${p.epoch}`],
    ['dec', p.decision],
    ['hop', p.hop],
    ...(p.prev === undefined ? [] : [['prev', p.prev] as const]),
    ['body', new Token(p.body)],
  ];
  return bare.map(([key, value]) => [key, [value, new Map()]]);
}

test('whatever is read is what would have been written', () => {
  const edit = fc.tuple(fc.nat(), fc.nat(4), fc.string({ maxLength: 4 }));
  fc.assert(
    fc.property(provenance, edit, (value, [at, gone, put]) => {
      const written = writeProvenance(value);
      const from = at % written.length;
      const edited = written.slice(0, from) + put + written.slice(from + gone);
      const read = parseProvenance(edited);
      if ('kind' in read) expect(read).toEqual(refused);
      else expect(writeProvenance(read)).toBe(edited);
    }),
    { numRuns: 1000 },
  );
});
