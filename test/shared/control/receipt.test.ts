// Receipts (C11): who may sign one, how one follows another, and what contradicts itself.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Jws, signJws, type Verified } from '../../../shared/control/jws.ts';
import {
  followReceipt,
  type Receipt,
  readReceipt,
  receiptKind,
  verifyReceipt,
} from '../../../shared/control/receipt.ts';
import type { Digest } from '../../../shared/digest.ts';
import { digestOf } from '../../../shared/digest.ts';
import { crypto, keyNamed, testTrust } from '../kit.ts';

const trust = await testTrust();
const NAMED = digestOf('some', crypto);

function receipt(changes: Partial<Receipt> = {}): Receipt {
  return {
    kind: 'receipt',
    cluster: 'demo',
    store: 'weur',
    seq: 1n,
    previous: null,
    at: 1_000,
    outcome: { kind: 'applied', generation: 1n, version: 1n, envelope: NAMED, manifest: NAMED },
    ...changes,
  };
}

function signed(document: unknown, ...names: readonly string[]): Promise<Jws> {
  return signJws(receiptKind.typ, document, names.map(keyNamed));
}

async function outcomeOf(input: unknown, store = 'weur'): Promise<string> {
  const decoded = readReceipt(input, store, trust, crypto);
  if (!('claimed' in decoded)) return decoded.code;
  const verified = await verifyReceipt(decoded, trust, crypto);
  return 'code' in verified ? verified.code : 'verified';
}

describe('a receipt', () => {
  test('signed by an edge key is verified, APPLIED or REFUSED', async () => {
    expect(await outcomeOf(await signed(receipt(), 'edge'))).toBe('verified');
    const refused = receipt({ outcome: { kind: 'refused', code: 'gap' } });
    expect(await outcomeOf(await signed(refused, 'edge'))).toBe('verified');
  });

  test.each(['agent eu1-1', 'alice', 'root r1', 'stranger'])(
    'signed by %s is refused: key-unknown',
    async (name) => {
      expect(await outcomeOf(await signed(receipt(), name))).toBe('key-unknown');
      expect(await outcomeOf(await signed(receipt(), 'edge', name))).toBe('key-unknown');
    },
  );

  test.each<readonly [string, string, object]>([
    ['of another cluster', 'cluster', { cluster: 'other' }],
    ['of another store', 'author', { store: 'enam' }],
    ['of another kind', 'malformed', { kind: 'join' }],
    ['with a member that nobody knows', 'malformed', { more: 1 }],
    ['without a manifest', 'malformed', { outcome: { kind: 'applied', generation: '1' } }],
    ['of an unknown outcome', 'malformed', { outcome: { kind: 'maybe' } }],
    ['beyond its bound', 'too-large', { store: 'x'.repeat(5_000) }],
  ])('%s is refused: %s', async (_, code, changes) => {
    expect(await outcomeOf(await signed({ ...receipt(), ...changes }, 'edge'))).toBe(code);
  });

  test('that was changed is refused: signature', async () => {
    const [a, b] = [await signed(receipt(), 'edge'), await signed(receipt({ at: 1 }), 'edge')];
    expect(await outcomeOf({ ...a, payload: b.payload })).toBe('signature');
  });
});

type Named = Pick<Verified<Receipt>, 'value' | 'digest'>;

function named(changes: Partial<Receipt>, digest = digestOf(changes.at ?? 0, crypto)): Named {
  return { value: receipt(changes), digest };
}

function shortOf(outcome: ReturnType<typeof followReceipt>): string {
  if (outcome.kind === 'refused') return outcome.code;
  return outcome.kind === 'next' ? `next ${outcome.missing}` : outcome.kind;
}

describe('after receipt 5, said at 1000', () => {
  const held = { seq: 5n, digest: NAMED, at: 1_000 };
  const other = digestOf('other', crypto);

  test.each<readonly [string, Partial<Receipt>, Digest, string]>([
    ['6 that names it', { seq: 6n, previous: NAMED }, other, 'next 0'],
    ['6 that names another', { seq: 6n, previous: other }, other, 'previous'],
    ['6 that names none', { seq: 6n, previous: null }, other, 'previous'],
    ['7', { seq: 7n, previous: other }, other, 'next 1'],
    ['105', { seq: 105n, previous: other }, other, 'next 99'],
    ['5 again', { seq: 5n }, NAMED, 'same'],
    ['another 5', { seq: 5n }, other, 'equivocation'],
    ['4 from before', { seq: 4n, at: 999 }, other, 'older'],
    ['4 of the same moment', { seq: 4n, at: 1_000 }, other, 'older'],
    ['1 from later: a chain that began again', { seq: 1n, at: 1_001 }, other, 'rollback'],
  ])('%s', (_, changes, digest, outcome) => {
    expect(shortOf(followReceipt(held, named(changes, digest)))).toBe(outcome);
  });

  test('any is the first for who holds none', () => {
    expect(shortOf(followReceipt(null, named({ seq: 9n, previous: NAMED })))).toBe('next 0');
  });
});

test('of an honest chain whatever part is heard in order, nothing contradicts (law)', () => {
  const chain: Named[] = [];
  for (let seq = 1n; seq <= 20n; seq++) {
    const previous = chain.at(-1)?.digest ?? null;
    const value = receipt({ seq, previous, at: Number(seq / 3n) });
    chain.push({ value, digest: digestOf(value, crypto) });
  }
  fc.assert(
    fc.property(fc.array(fc.nat(19), { maxLength: 40 }), (picks) => {
      let held: { seq: bigint; digest: Digest; at: number } | null = null;
      let missing = 0n;
      let first: bigint | null = null;
      let heard = 0n;
      for (const pick of picks) {
        const next = chain[pick] as Named;
        const outcome = followReceipt(held, next);
        expect(outcome.kind).not.toBe('refused');
        if (outcome.kind !== 'next') continue;
        first ??= next.value.seq;
        missing += outcome.missing;
        heard += 1n;
        held = { seq: next.value.seq, digest: next.digest, at: next.value.at };
      }
      if (held !== null && first !== null) expect(missing + heard).toBe(held.seq - first + 1n);
    }),
  );
});
