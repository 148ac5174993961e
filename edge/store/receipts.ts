// The receipts of a store (C11). A receipt's digest is that of its payload, so the chain needs no
// signature: the body is written in the transaction of what it says, and signed later, when it is
// first handed out.
//
// What a crash leaves behind, step by step: before the transaction's end neither commit nor
// receipt; after it both, the receipt unsigned, and the next answer signs it; a signature that was
// made and not stored is made again, the same one, since Ed25519 has no randomness; one that was
// stored and not handed out goes with the next answers while it is among the newest. Nothing is
// signed that is not stored.
//
// Whoever can write rows must not get a signature for it: an unsigned APPLIED is signed only while
// the very commit is held in the verified chain. What is not signed shows as a gap.

import { canonical, parseCanonical, parseJson, utf8 } from '../../shared/canonical.ts';
import type { StoreAnswer } from '../../shared/control/answer.ts';
import type { Chain, Link } from '../../shared/control/chain.ts';
import { decodeJws, type Jws, signJws } from '../../shared/control/jws.ts';
import { type Receipt, receiptKind, receiptSchema } from '../../shared/control/receipt.ts';
import type { Trust } from '../../shared/control/trust.ts';
import type { Hasher, Signer } from '../../shared/crypto.ts';
import { type Digest, digestBytes } from '../../shared/digest.ts';
import {
  RECEIPT_BURST_MS,
  RECEIPTS_ANSWERED_MAX,
  RECEIPTS_EARLIER_MAX,
} from '../../shared/limits.ts';
import type { ReceiptRow, Rows } from './rows.ts';

export interface ReceiptPorts {
  readonly nowMs: () => number;
  readonly crypto: Hasher;
  readonly rows: Rows;
  /** The key of an edge that trust names now; null: this store gives no receipts. */
  readonly signer: () => Signer | null;
}

export class Receipts {
  readonly #store: string;
  readonly #cluster: string;
  readonly #ports: ReceiptPorts;
  /** When each code was refused last, ms. There are as many as there are codes. */
  readonly #refusedAtMs = new Map<string, number>();

  constructor(store: string, { cluster }: Trust, ports: ReceiptPorts) {
    this.#store = store;
    this.#cluster = cluster;
    this.#ports = ports;
  }

  /** The row to write with a commit; null without a key. */
  applied({ generation, version, digest, manifestDigest }: Link): ReceiptRow | null {
    const place = { generation, version, envelope: digest, manifest: manifestDigest };
    return this.#next({ kind: 'applied', ...place });
  }

  /** One receipt a code and burst: it is over when the code was not seen for RECEIPT_BURST_MS. */
  refuse(codes: readonly string[]): void {
    const nowMs = this.#ports.nowMs();
    for (const code of new Set(codes)) {
      const before = this.#refusedAtMs.get(code);
      this.#refusedAtMs.set(code, nowMs);
      if (before !== undefined && Math.abs(nowMs - before) < RECEIPT_BURST_MS) continue;
      const row = this.#next({ kind: 'refused', code });
      if (row !== null) this.#ports.rows.addReceipt(row);
    }
  }

  /**
   * What an answer carries, signed, oldest first. Nobody asks for older ones, so what was not
   * signed yet goes with it (once: agents count as missing what a lost answer took with it); the
   * newest, and the newest APPLIED, go with each.
   */
  async answered(chain: Chain): Promise<Pick<StoreAnswer, 'earlier' | 'receipts'>> {
    const signer = this.#ports.signer();
    if (signer === null) return {};
    const rows = this.#ports.rows.receiptsToAnswer(RECEIPTS_ANSWERED_MAX);
    const last = rows.at(-1)?.seq ?? 0;
    const before = rows.filter(({ seq }) => seq <= last - RECEIPTS_ANSWERED_MAX);
    const applied = rows.findLast((row) => row.applied === 1);
    const newest = rows.filter((row) => row === applied || !before.includes(row));
    // The newest APPLIED among them again: who reads them one after the other has all in order.
    const earlier = before.some(({ jws }) => jws === null) ? before : [];
    return {
      ...(await this.#listed('earlier', earlier.slice(-RECEIPTS_EARLIER_MAX), chain, signer)),
      ...(await this.#listed('receipts', newest, chain, signer)),
    };
  }

  async #listed(
    member: 'earlier' | 'receipts',
    rows: readonly ReceiptRow[],
    chain: Chain,
    signer: Signer,
  ): Promise<Pick<StoreAnswer, 'earlier' | 'receipts'>> {
    const signed: Jws[] = [];
    for (const row of rows) {
      const jws = this.#signedBy(signer, row) ?? (await this.#sign(row, chain, signer));
      if (jws !== null) signed.push(jws);
    }
    return signed.length === 0 ? {} : { [member]: signed };
  }

  /** What an older key signed is signed again: readers go by the keys that trust names now. */
  #signedBy({ kid }: Signer, { jws }: ReceiptRow): Jws | null {
    const decoded = decodeJws(parseJson(jws ?? '')?.value, receiptKind, this.#ports.crypto);
    if (!('claimed' in decoded)) return null;
    return decoded.signatures.every((one) => one.kid === kid) ? decoded.jws : null;
  }

  async #sign(row: ReceiptRow, chain: Chain, signer: Signer): Promise<Jws | null> {
    const bytes = utf8(row.body);
    const receipt = receiptSchema.safeParse(parseCanonical(bytes)?.value);
    if (!receipt.success || digestBytes(bytes, this.#ports.crypto) !== row.digest) return null;
    const { cluster, store, outcome } = receipt.data;
    const isOwn = cluster === this.#cluster && store === this.#store;
    if (!isOwn || (outcome.kind === 'applied' && !isHeld(outcome, chain))) return null;
    const jws = await signJws(receiptKind.typ, receipt.data, [signer]);
    this.#ports.rows.signReceipt(row, jws);
    return jws;
  }

  #next(outcome: Receipt['outcome']): ReceiptRow | null {
    const { rows, signer, nowMs, crypto } = this.#ports;
    if (signer() === null) return null;
    const last = rows.lastReceipt();
    const seq = BigInt(last?.seq ?? 0) + 1n;
    const receipt: Receipt = {
      kind: 'receipt',
      cluster: this.#cluster,
      store: this.#store,
      seq,
      previous: (last?.digest as Digest | undefined) ?? null,
      at: Math.max(nowMs(), last?.at ?? 0),
      outcome,
    };
    const body = canonical(receipt);
    const digest = digestBytes(utf8(body), crypto);
    const applied = outcome.kind === 'applied' ? 1 : 0;
    return { seq: Number(seq), at: receipt.at, applied, digest, body, jws: null };
  }
}

function isHeld(
  { envelope, manifest }: { readonly envelope: Digest; readonly manifest: Digest },
  chain: Chain,
): boolean {
  return chain.some((link) => link.digest === envelope && link.manifestDigest === manifest);
}
