// Receipts into etcd (C11): each once, whoever is first, the oldest beyond the bound gone.

import { expect, test } from 'vitest';
import { collectReceipts } from '../../agent/control/collect.ts';
import { EtcdKeys } from '../../agent/control/etcd-keys.ts';
import type { Verified } from '../../shared/control/jws.ts';
import { decodeJws, signJws, verifyJws } from '../../shared/control/jws.ts';
import { type Receipt, receiptKind } from '../../shared/control/receipt.ts';
import { keyringOf } from '../../shared/control/trust.ts';
import { RECEIPTS_KEPT, RECEIPTS_PER_COLLECTION_MAX } from '../../shared/limits.ts';
import { MemoryEtcd } from '../fakes/memory-etcd.ts';
import { crypto, keyNamed, testTrust } from '../shared/kit.ts';

const keys = new EtcdKeys('demo');
const edge = keyNamed('edge');

async function receipt(store: string, seq: bigint): Promise<Verified<Receipt>> {
  const outcome = { kind: 'refused', code: 'gap' };
  const said = { kind: 'receipt', cluster: 'demo', store, seq, previous: null, at: 1, outcome };
  const decoded = decodeJws(await signJws(receiptKind.typ, said, [edge]), receiptKind, crypto);
  if (!('claimed' in decoded)) throw new Error(decoded.code);
  const verified = await verifyJws(decoded, keyringOf(await testTrust(), 'edge'), crypto);
  if ('code' in verified) throw new Error(verified.code);
  return verified;
}

async function keysIn(cluster: MemoryEtcd): Promise<readonly string[]> {
  const from = '/portolan/demo/receipts/';
  const { kvs } = await cluster.client().range({ from, to: `${from}~`, limit: 10_000 });
  return kvs.map(({ key }) => key.slice(from.length));
}

test('each lies under its store and number, and a second agent writes nothing', async () => {
  const cluster = new MemoryEtcd();
  const some = [await receipt('weur', 1n), await receipt('weur', 2n), await receipt('enam', 1n)];
  expect(await collectReceipts(some, cluster.client(), keys)).toBe(3);
  const found = [
    'enam/0000000000000000001',
    'weur/0000000000000000001',
    'weur/0000000000000000002',
  ];
  expect(await keysIn(cluster)).toEqual(found);
  const { revision } = cluster;
  expect(await collectReceipts(some, cluster.client(1), keys)).toBe(3);
  expect(cluster.revision).toBe(revision);
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
])(`of a store ${RECEIPTS_KEPT} are kept`, async (beyond, kept) => {
  const cluster = new MemoryEtcd();
  await collectReceipts([await receipt('weur', 1n)], cluster.client(), keys);
  const last = await receipt('weur', BigInt(RECEIPTS_KEPT) + beyond);
  await collectReceipts([last], cluster.client(), keys);
  expect((await keysIn(cluster)).includes('weur/0000000000000000001')).toBe(kept);
});

test('without a quorum nothing is collected, and nothing breaks', async () => {
  const cluster = new MemoryEtcd();
  for (const member of [0, 1]) cluster.ail(member, 'down');
  expect(await collectReceipts([await receipt('weur', 1n)], cluster.client(), keys)).toBe(0);
});
