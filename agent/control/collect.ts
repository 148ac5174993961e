// Receipts into etcd (C11): each under its own key, written once by whichever agent is first, for
// whoever audits. Nothing is decided by them, so a failure costs a later attempt and no more.

import { canonical } from '../../shared/canonical.ts';
import type { Verified } from '../../shared/control/jws.ts';
import type { Receipt } from '../../shared/control/receipt.ts';
import { RECEIPTS_KEPT, RECEIPTS_PER_COLLECTION_MAX } from '../../shared/limits.ts';
import { type Etcd, EtcdError } from '../etcd-port.ts';
import type { EtcdKeys } from './etcd-keys.ts';

/**
 * Writes those that are not there yet, the oldest first; those beyond RECEIPTS_KEPT of a store go.
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
    for (const { value, jws } of some) {
      const key = keys.receipt(value.store, value.seq);
      const { kvs } = await etcd.range({ from: key, to: `${key}\0`, limit: 1 });
      if (kvs.length === 0) {
        const old = value.seq - BigInt(RECEIPTS_KEPT);
        const remove = old > 0n ? [keys.receipt(value.store, old)] : [];
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
