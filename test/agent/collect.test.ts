// Receipts into etcd (C11): each once, whoever is first, the oldest beyond the bound gone.

import { expect, test } from 'vitest';
import { collectReceipts } from '../../agent/control/collect.ts';
import { EtcdKeys } from '../../agent/control/etcd-keys.ts';
import {
  RECEIPTS_KEPT,
  RECEIPTS_PER_COLLECTION_MAX,
  RECEIPTS_PER_NUMBER_MAX,
  RECEIPTS_PRUNED_MAX,
} from '../../agent/limits.ts';
import type { Verified } from '../../shared/control/jws.ts';
import { decodeJws, signJws, verifyJws } from '../../shared/control/jws.ts';
import { type Receipt, receiptKind } from '../../shared/control/receipt.ts';
import { keyringOf } from '../../shared/control/trust.ts';
import { MemoryEtcd } from '../fakes/memory-etcd.ts';
import { crypto, keyNamed, testTrust } from '../shared/kit.ts';

const keys = new EtcdKeys('demo');
const edge = keyNamed('edge');

async function receipt(store: string, seq: bigint, at = 1): Promise<Verified<Receipt>> {
  const outcome = { kind: 'refused', code: 'gap' };
  const said = { kind: 'receipt', cluster: 'demo', store, seq, previous: null, at, outcome };
  const decoded = decodeJws(await signJws(receiptKind.typ, said, [edge]), receiptKind, crypto);
  if (!('claimed' in decoded)) throw new Error(decoded.code);
  const verified = await verifyJws(decoded, keyringOf(await testTrust(), 'edge'), crypto);
  if ('code' in verified) throw new Error(verified.code);
  return verified;
}

/** Where it lies, below `receipts/`. */
function nameOf({ value: { store, seq }, digest }: Verified<Receipt>): string {
  return `${store}/${seq.toString().padStart(19, '0')}/${digest}`;
}

async function keysIn(cluster: MemoryEtcd): Promise<readonly string[]> {
  const from = '/portolan/demo/receipts/';
  const { kvs } = await cluster.client().range({ from, to: `${from}~`, limit: 10_000 });
  return kvs.map(({ key }) => key.slice(from.length));
}

test('each lies under its store, number and digest; a second agent writes nothing', async () => {
  const cluster = new MemoryEtcd();
  const some = [await receipt('weur', 1n), await receipt('weur', 2n), await receipt('enam', 1n)];
  expect(await collectReceipts(some, cluster.client(), keys)).toBe(3);
  expect(await keysIn(cluster)).toEqual(some.map(nameOf).toSorted());
  const { revision } = cluster;
  expect(await collectReceipts(some, cluster.client(1), keys)).toBe(3);
  expect(cluster.revision).toBe(revision);
});

// A store that lost its storage begins its chain anew; so does one whose key was stolen.
test('another receipt with a number that is there lies beside it', async () => {
  const cluster = new MemoryEtcd();
  const [before, after] = [await receipt('weur', 1n), await receipt('weur', 1n, 2)];
  for (const one of [before, after]) {
    expect(await collectReceipts([one], cluster.client(), keys)).toBe(1);
  }
  expect(await keysIn(cluster)).toEqual([before, after].map(nameOf).toSorted());
});

// Attack: a stolen store that says ever new things under one number, or jumps ahead with each.
test('a store that counts as it likes fills no etcd', async () => {
  const cluster = new MemoryEtcd();
  for (let at = 1; at <= RECEIPTS_PER_NUMBER_MAX + 3; at++) {
    expect(await collectReceipts([await receipt('weur', 1n, at)], cluster.client(), keys)).toBe(1);
  }
  expect(await keysIn(cluster)).toHaveLength(RECEIPTS_PER_NUMBER_MAX);
  for (let jump = 1n; jump <= 5n; jump++) {
    const next = await receipt('weur', jump * BigInt(RECEIPTS_KEPT + 7));
    await collectReceipts([next], cluster.client(), keys);
  }
  expect(await keysIn(cluster)).toHaveLength(1);
});

test(`${RECEIPTS_PER_COLLECTION_MAX} at once, and the rest with the next`, async () => {
  const cluster = new MemoryEtcd();
  const many = await Promise.all(
    Array.from({ length: RECEIPTS_PER_COLLECTION_MAX + 1 }, (_, i) =>
      receipt('weur', BigInt(i) + 1n),
    ),
  );
  expect(await collectReceipts(many, cluster.client(), keys)).toBe(RECEIPTS_PER_COLLECTION_MAX);
  expect(await keysIn(cluster)).toHaveLength(RECEIPTS_PER_COLLECTION_MAX);
});

test.each([
  [0n, true],
  [1n, false],
])(`of a store ${RECEIPTS_KEPT} numbers are kept, whoever wrote them`, async (beyond, kept) => {
  const cluster = new MemoryEtcd();
  const both = [await receipt('weur', 1n), await receipt('weur', 1n, 2)];
  await collectReceipts(both, cluster.client(), keys);
  const [other, next] = [await receipt('enam', 1n), await receipt('weur', 2n)];
  await collectReceipts([other, next], cluster.client(), keys);
  const last = await receipt('weur', BigInt(RECEIPTS_KEPT) + beyond);
  expect(await collectReceipts([last], cluster.client(), keys)).toBe(1);
  const left = [...(kept ? both : []), other, next, last].map(nameOf);
  expect(await keysIn(cluster)).toEqual(left.toSorted());
});

test.each([RECEIPTS_PRUNED_MAX, RECEIPTS_PRUNED_MAX + 1])(
  `of %i old numbers ${RECEIPTS_PRUNED_MAX} go at once`,
  async (count) => {
    const cluster = new MemoryEtcd();
    for (let seq = 1n; seq <= count; seq++) {
      await collectReceipts([await receipt('weur', seq)], cluster.client(), keys);
    }
    const last = await receipt('weur', BigInt(RECEIPTS_KEPT + count));
    await collectReceipts([last], cluster.client(), keys);
    expect(await keysIn(cluster)).toHaveLength(count - RECEIPTS_PRUNED_MAX + 1);
  },
);

test('without a quorum nothing is collected, and nothing breaks', async () => {
  const cluster = new MemoryEtcd();
  for (const member of [0, 1]) cluster.ail(member, 'down');
  expect(await collectReceipts([await receipt('weur', 1n)], cluster.client(), keys)).toBe(0);
});
