// Receipts into etcd (C11): each under its own key, written once by whichever agent is first, for
// whoever audits. Nothing is decided by them, so a failure costs a later attempt and no more.
//
// The digest is in the key. A store that lost its storage counts from 1 again: by its number alone
// a receipt of the new chain would be taken for one that is there, and never be written.

import { canonical } from '../../shared/canonical.ts';
import type { Verified } from '../../shared/control/jws.ts';
import type { Receipt } from '../../shared/control/receipt.ts';
import { type Etcd, EtcdError, endOf } from '../etcd-port.ts';
import {
  RECEIPTS_KEPT,
  RECEIPTS_PER_COLLECTION_MAX,
  RECEIPTS_PER_NUMBER_MAX,
  RECEIPTS_PRUNED_MAX,
} from '../limits.ts';
import type { EtcdKeys } from './etcd-keys.ts';

/**
 * Writes those that are not there yet, the oldest first; those RECEIPTS_KEPT numbers before one go.
 * The answer is how many of `receipts` are there now. Never rejects.
 */
export async function collectReceipts(
  receipts: readonly Verified<Receipt>[],
  etcd: Etcd,
  keys: EtcdKeys,
): Promise<number> {
  const some = receipts.slice(0, RECEIPTS_PER_COLLECTION_MAX);
  let done = 0;
  try {
    for (const { value, jws, digest } of some) {
      const key = keys.receipt(value.store, value.seq, digest);
      const from = keys.receiptsAt(value.store, value.seq);
      const { kvs } = await etcd.range({ from, to: endOf(from), limit: RECEIPTS_PER_NUMBER_MAX });
      const isThere = kvs.some((kv) => kv.key === key);
      // Attack: a stolen store that says ever new things under one number, until etcd is full.
      if (!isThere && kvs.length < RECEIPTS_PER_NUMBER_MAX) {
        const remove = await outlived(value, etcd, keys);
        const put = [{ key, value: canonical(jws) }];
        // Somebody else may have been first: then it is there all the same.
        await etcd.txn({ compare: [{ key, modRevision: 0n }], put, remove });
      }
      done += 1;
    }
  } catch (error) {
    if (!(error instanceof EtcdError)) throw error;
  }
  return done;
}

/** Keys of the numbers that go when this one comes, of whichever chain: some at a time. */
async function outlived(
  { store, seq }: Receipt,
  etcd: Etcd,
  keys: EtcdKeys,
): Promise<readonly string[]> {
  const old = seq - BigInt(RECEIPTS_KEPT);
  if (old <= 0n) return [];
  const [from, to] = [keys.receiptsAt(store, 0n), endOf(keys.receiptsAt(store, old))];
  const { kvs } = await etcd.range({ from, to, limit: RECEIPTS_PRUNED_MAX });
  return kvs.map(({ key }) => key);
}
