// Putting etcd right: what was touched since the last turn and what a slow sweep comes across is
// held against the fold, and where it differs it is written over, if it is still what was judged.
// Every agent does it; the first transaction wins and the others compare in vain.
//
// What a crash leaves behind: a finding that was not put right yet is found again by the sweep.

import { canonical, utf8 } from '../../shared/canonical.ts';
import { MissingNodeError } from '../../shared/control/merkle-map.ts';
import type { Hasher } from '../../shared/crypto.ts';
import { digestBytes } from '../../shared/digest.ts';
import { type Etcd, EtcdError, type Transaction } from '../etcd-port.ts';
import { REPAIRS_PER_TURN_MAX, REPAIRS_TURN_MS } from '../limits.ts';
import type { Finding, Misplaced, SourceRead } from '../ports.ts';
import { type EtcdKeys, readCommitText, readTrustText } from './etcd-keys.ts';
import { type Found, isForked, type Repair, repairOf, type Truth } from './repair.ts';
import { Sweep } from './sweep.ts';
import type { Mention, Touched } from './touched.ts';

export class PutRight {
  readonly #etcd: Etcd;
  readonly #keys: EtcdKeys;
  readonly #touched: Touched;
  readonly #sweep: Sweep;
  readonly #elapsedMs: () => number;

  constructor(etcd: Etcd, keys: EtcdKeys, touched: Touched, elapsedMs: () => number) {
    this.#etcd = etcd;
    this.#keys = keys;
    this.#touched = touched;
    this.#elapsedMs = elapsedMs;
    this.#sweep = new Sweep(etcd, keys, touched, elapsedMs);
  }

  /** Never rejects: what could not be put right now is found again. */
  async run(
    truth: Truth,
    { revision = 0n }: SourceRead,
    misplaced: readonly Misplaced[],
  ): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    for (const one of misplaced) {
      await attempt(async () => {
        const mend = one.kind === 'head' ? this.#restore(one, truth) : this.#reject(one, truth);
        findings.push(...(await mend));
      });
    }
    await attempt(() => this.#sweep.run(truth));
    findings.push(...(await this.#judgeSome(truth, revision)));
    return findings;
  }

  async #judgeSome(truth: Truth, revision: bigint): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    const waiting = [...this.#touched.take(revision, REPAIRS_PER_TURN_MAX)];
    const startMs = this.#elapsedMs();
    while (this.#elapsedMs() - startMs <= REPAIRS_TURN_MS) {
      const mention = waiting.shift();
      if (mention === undefined) break;
      const outcome = await attempt(async () => {
        findings.push(...(await this.#judge(mention, truth, revision)));
      });
      if (outcome !== 'silent') continue;
      // Each of the others would wait for etcd as long.
      waiting.push(mention);
      break;
    }
    for (const left of waiting) this.#touched.add(left);
    return findings;
  }

  /** Nothing lands until it is back, so it waits for no other key. No commit takes one away. */
  async #restore({ version }: Misplaced, truth: Truth): Promise<readonly Finding[]> {
    const key = this.#keys.commit(version);
    this.#touched.forget(key);
    return this.#mend(await this.#found({ key, modRevision: 0n }), truth);
  }

  /** The next version's place is freed; what lay there is kept as evidence (C2). */
  async #reject(
    { kind, version, input }: Extract<Misplaced, { readonly input: unknown }>,
    truth: Truth,
  ): Promise<readonly Finding[]> {
    const key = kind === 'commit' ? this.#keys.commit(version) : this.#keys.trust(version);
    const there = await this.#found({ key, modRevision: 0n });
    const read = kind === 'commit' ? readCommitText : readTrustText;
    // Somebody was faster, or it is no longer what was judged.
    if (there.value === null || canonical(read(there.value)) !== canonical(input)) return [];
    const done = await this.#apply({ ...there, expected: null, keep: true }, truth.crypto);
    return [{ key, done }];
  }

  async #judge(mention: Mention, truth: Truth, revision: bigint): Promise<readonly Finding[]> {
    const found = await this.#found(mention);
    if (found.modRevision <= revision) return this.#mend(found, truth);
    // Written since: judged when the fold is as new.
    this.#touched.add(found);
    return [];
  }

  async #mend(found: Found, truth: Truth): Promise<readonly Finding[]> {
    const repair = repairOf(found, this.#keys, truth);
    if (repair === 'later') this.#touched.add(found);
    if (repair === null || repair === 'later') return [];
    if (await isForked(repair, this.#keys, truth)) return [];
    return [{ key: repair.key, done: await this.#apply(repair, truth.crypto) }];
  }

  async #apply(repair: Repair, hasher: Hasher): Promise<boolean> {
    const { key, value, modRevision, expected, keep } = repair;
    const put = expected === null ? [] : [{ key, value: expected }];
    const remove = expected === null ? [key] : [];
    // A key that is not there compares as 0, whenever it was deleted.
    const compare = [{ key, modRevision: value === null ? 0n : modRevision }];
    if (!keep || value === null) return this.#txn({ compare, put, remove });
    const kept = (text: string) => ({ key: this.#keys.rejectedAt(modRevision), value: text });
    try {
      return await this.#txn({ compare, put: [...put, kept(value)], remove });
    } catch (error) {
      if (!(error instanceof EtcdError) || error.code !== 'too-large') throw error;
      // Attack: a value that leaves no room for its copy, so that its place is never freed.
      return this.#txn({ compare, put: [...put, kept(noteOf(value, hasher))], remove });
    }
  }

  async #txn(transaction: Transaction): Promise<boolean> {
    const { succeeded } = await this.#etcd.txn(transaction);
    return succeeded;
  }

  async #found({ key, modRevision, value }: Mention): Promise<Found> {
    if (value !== undefined) return { key, modRevision, value };
    const { kvs, revision } = await this.#etcd.range({ from: key, to: `${key}\0`, limit: 1 });
    return kvs[0] ?? { key, value: null, modRevision: revision };
  }
}

/** What is kept of a value that etcd has no room for. */
function noteOf(value: string, hasher: Hasher): string {
  const bytes = utf8(value);
  return canonical({ bytes: bytes.length, digest: digestBytes(bytes, hasher) });
}

/**
 * `failed`: not this one, by a piece that was let go or a transaction that etcd does not take; the
 * sweep comes by again. `silent`: etcd did not answer.
 */
async function attempt(work: () => Promise<unknown>): Promise<'done' | 'failed' | 'silent'> {
  try {
    await work();
    return 'done';
  } catch (error) {
    if (error instanceof MissingNodeError) return 'failed';
    if (!(error instanceof EtcdError)) throw error;
    return error.code === 'unavailable' || error.code === 'ambiguous' ? 'silent' : 'failed';
  }
}
