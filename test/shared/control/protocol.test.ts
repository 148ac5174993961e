// Neighbouring versions (E1): whose messages are read, and what of them.

import { expect, test } from 'vitest';
import { attestationKind } from '../../../shared/control/attestation.ts';
import { type Delta, openDelta, sealDelta } from '../../../shared/control/delta.ts';
import { writeHead } from '../../../shared/control/head.ts';
import { PROTOCOL, protocolFault } from '../../../shared/control/protocol.ts';
import { codeOf, payloadOf, signText } from '../forge.ts';
import { adopt, attested, empty, headOf, storeAt, trust } from '../heads.ts';
import { agentKey, attest, crypto } from '../kit.ts';
import { NOW } from '../words.ts';

const held = await attested(await storeAt(2));
const FROM = { cluster: 'demo', site: 'eu1', agent: 'eu1-1' };
const DELTA = {
  v: PROTOCOL,
  trust: [trust.jws],
  commits: held.commits,
  attestations: [await attest(held, 'eu1', NOW)],
};
const LATER = { later: { of: ['anything', 1, null] } };

const seal = (delta: object) => sealDelta(delta as unknown as Delta, FROM, agentKey('eu1'), crypto);
const open = async (delta: object) => openDelta(await seal(delta), trust, crypto);

/** What becomes of a delta and of a head, of which the members are well-formed. */
const DISTANCES: readonly (readonly [string, number, boolean])[] = [
  ['two before', PROTOCOL - 2, false],
  // There was no version 0.
  ['one before', PROTOCOL - 1, PROTOCOL > 1],
  ['the same', PROTOCOL, true],
  ['one after', PROTOCOL + 1, true],
  ['two after', PROTOCOL + 2, false],
  ['far after', Number.MAX_SAFE_INTEGER, false],
  ['below zero', -1, false],
];

test.each(DISTANCES)('a message of a version %s (%i) is read: %s', async (_, v, isRead) => {
  const code = isRead ? undefined : 'version-unsupported';
  expect(protocolFault({ v })?.code).toBe(code);
  expect(codeOf(await open({ ...DELTA, v }))).toBe(code ?? 'delta');
  const head = headOf(held, (body) => ({ ...body, v }));
  expect(codeOf(await adopt(empty, head))).toBe(code ?? 'adopted');
});

test.each([{}, { v: null }, { v: '1' }, { v: 1.5 }, { v: Number.NaN }, null, [], 'v', undefined])(
  '%o names no version',
  (message) => {
    expect(protocolFault(message)?.code).toBe('malformed');
  },
);

test.each([PROTOCOL + 2, PROTOCOL - 2])(
  'of a message of version %i the members are not judged',
  async (v) => {
    expect(codeOf(await open({ v, trust: {}, commits: {}, attestations: {} }))).toBe(
      'version-unsupported',
    );
    expect(codeOf(await adopt(empty, JSON.stringify({ v, commits: {} })))).toBe(
      'version-unsupported',
    );
  },
);

test('a delta of the next version is what it is of this one', async () => {
  const [now, next] = [await open(DELTA), await open({ ...DELTA, ...LATER, v: PROTOCOL + 1 })];
  expect(next).toEqual(now);
  expect(codeOf(now)).toBe('delta');
});

test('its members that are known must have their form', async () => {
  const v = PROTOCOL + 1;
  expect(codeOf(await open({ ...DELTA, ...LATER, v, commits: {} }))).toBe('malformed');
  const head = headOf(held, ({ commits: _, ...body }) => ({ ...body, ...LATER, v }));
  expect(codeOf(await adopt(empty, head))).toBe('malformed');
});

test('a head of the next version is what it is of this one', async () => {
  const next = headOf(held, (body) => ({
    ...body,
    ...LATER,
    v: PROTOCOL + 1,
    commits: body.commits.map((one) => ({ ...one, ...LATER })),
  }));
  const [now, later] = [await adopt(empty, writeHead(held.holder)), await adopt(empty, next)];
  expect(later).toEqual(now);
  expect(now).toMatchObject({ kind: 'adopted', refused: [] });
});

// A signed document has its form for good: one that says more is not understood, so it does not
// count. Of a commit everything that follows would hang on it (C4); a word is one of many.
test('a word of a later form is counted as refused, the others are taken', async () => {
  const text = payloadOf(await attest(held, 'us1', NOW + 1));
  // Canonical all the same: only the form is another.
  const later = text.replace('"load":', '"later":1,"load":');
  const word = await signText(attestationKind.typ, later, [agentKey('us1')]);
  const head = headOf(held, (body) => ({ ...body, attestations: [...body.attestations, word] }));
  const outcome = await adopt(empty, head);
  expect(outcome).toMatchObject({ kind: 'adopted', refused: [{ code: 'malformed' }] });
  expect(outcome.kind === 'adopted' && outcome.mirror.active?.version).toBe(2n);
});

test('senders say their own version', async () => {
  expect(JSON.parse(writeHead(held.holder))).toMatchObject({ v: PROTOCOL });
});
