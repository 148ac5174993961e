// An operator's join (C10): who may sign it, and for whom it is.

import { describe, expect, test } from 'vitest';
import { type Join, joinKind, openJoin } from '../../../shared/control/join.ts';
import { type Jws, signJws } from '../../../shared/control/jws.ts';
import type { Signer } from '../../../shared/crypto.ts';
import { ATTESTATION_BYTES_MAX } from '../../../shared/limits.ts';
import { alice, bob, codeOf, digestNamed, signText, withBrokenSignature } from '../forge.ts';
import { agentKey, crypto, keyNamed, testTrust } from '../kit.ts';

const trust = await testTrust();
const me = { site: 'eu1', agent: 'eu1-1' };

const JOIN: Join = {
  kind: 'join',
  cluster: 'demo',
  site: 'eu1',
  agent: 'eu1-1',
  generation: 1n,
  version: 7n,
  envelope: digestNamed('seven'),
};

function sign(changes: object = {}, signers: readonly Signer[] = [alice]): Promise<Jws> {
  return signJws(joinKind.typ, { ...JOIN, ...changes }, signers);
}

function open(input: unknown, who = me) {
  return openJoin(input, who, trust, crypto);
}

test('an operator lets an agent start from a place in the chain', async () => {
  expect(await open(await sign())).toEqual(JOIN);
});

test('or from before the first commit', async () => {
  const join = { version: 0n, envelope: null };
  expect(await open(await sign(join))).toEqual({ ...JOIN, ...join });
});

describe('it is refused', () => {
  test.each<readonly [string, string, () => unknown]>([
    ['malformed', 'nothing', () => null],
    ['malformed', 'text', () => 'join'],
    ['malformed', 'no signature', async () => ({ ...(await sign()), signatures: [] })],
    ['malformed', 'another kind of document', () => signJws('portolan-commit+json', JOIN, [alice])],
    ['malformed', 'a claim to be another kind', () => sign({ kind: 'attestation' })],
    ['malformed', 'more than is known', () => sign({ until: 'tomorrow' })],
    ['malformed', 'a version that is none', () => sign({ version: -1n })],
    ['malformed', 'a version as a number', () => sign({ version: 7 })],
    ['malformed', 'a digest that is none', () => sign({ envelope: 'seven' })],
    ['malformed', 'no digest', () => sign({ envelope: undefined })],
    ['malformed', 'a path for an agent', () => sign({ agent: '../eu1-1' })],
    ['encoding', 'JSON with spaces', () => signText(joinKind.typ, '{ "kind": "join" }', [alice])],
    ['algorithm', 'another algorithm', () => signText(joinKind.typ, '{}', [alice], 'none')],
    ['too-large', 'a long one', () => sign({ note: 'x'.repeat(ATTESTATION_BYTES_MAX) })],
    ['signature', 'a signature that does not hold', async () => withBrokenSignature(await sign())],
    ['key-unknown', 'a stranger’s word', () => sign({}, [keyNamed('mallory')])],
    ['key-unknown', 'the agent’s own word', () => sign({}, [agentKey('eu1')])],
    ['key-unknown', 'a root key’s word', () => sign({}, [keyNamed('root r1')])],
    ['key-unknown', 'a provisioner’s word', () => sign({}, [keyNamed('shop')])],
    ['key-unknown', 'an operator and a stranger', () => sign({}, [alice, keyNamed('mallory')])],
    ['cluster', 'another cluster', () => sign({ cluster: 'prod' })],
    ['site', 'another site', () => sign({ site: 'us1' })],
    ['site', 'another agent of the site', () => sign({ agent: 'eu1-2' })],
  ])('(%s) %s', async (code, _, input) => {
    expect(codeOf(await open(await input()))).toBe(code);
  });

  test('where a signed place is moved to another agent', async () => {
    expect(codeOf(await open(await sign(), { site: 'eu1', agent: 'eu1-2' }))).toBe('site');
    expect(codeOf(await open(await sign(), { site: 'us1', agent: 'eu1-1' }))).toBe('site');
  });
});

test('two operators may sign it', async () => {
  expect(await open(await sign({}, [alice, bob]))).toEqual(JOIN);
});

// A slip of the operator's, told at the start instead of by an agent that is silent for ever.
test('a join at a version names its commit', async () => {
  expect(codeOf(await open(await sign({ version: 7n, envelope: null })))).toBe('malformed');
});
