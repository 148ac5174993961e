// Where things lie in etcd (C1), what is decided under `control/` and what runs beside it; and what
// their texts are.

import { canonical, parseJson } from '../../shared/canonical.ts';
import type { Digest } from '../../shared/digest.ts';
import { COMMIT_BYTES_MAX } from '../../shared/limits.ts';
import { endOf } from '../etcd-port.ts';

/** Decimal digits, so that the order of keys is that of versions: up to the 63 bits etcd counts. */
const VERSION_DIGITS = 19;

export class EtcdKeys {
  readonly control: string;
  readonly head: string;
  readonly commits: string;
  readonly records: string;
  readonly rejected: string;
  readonly trusts: string;
  readonly #joins: string;
  readonly #receipts: string;

  constructor(cluster: string) {
    const root = `/portolan/${cluster}/`;
    this.control = `${root}control/`;
    this.head = `${this.control}head`;
    this.commits = `${this.control}commits/`;
    this.records = `${this.control}records/`;
    this.rejected = `${this.control}rejected/`;
    this.trusts = `${this.control}trust/`;
    this.#joins = `${this.control}joins/`;
    this.#receipts = `${root}receipts/`;
  }

  get commitsEnd(): string {
    return endOf(this.commits);
  }

  commit(version: bigint): string {
    return `${this.commits}${version.toString().padStart(VERSION_DIGITS, '0')}`;
  }

  /** The version that a key of `commits/` names, or null for one that is none. */
  versionOf(key: string): bigint | null {
    const name = key.slice(this.commits.length);
    return /^\d{19}$/.test(name) ? BigInt(name) : null;
  }

  /** `records/<key>`, the key as operations name it. */
  record(key: string): string {
    return `${this.records}${key}`;
  }

  rejectedAt(revision: bigint): string {
    return `${this.rejected}${revision.toString().padStart(VERSION_DIGITS, '0')}`;
  }

  trust(version: bigint): string {
    return `${this.trusts}${version}`;
  }

  /** The version that a key of `trust/` names, or null for one that is none. */
  trustVersionOf(key: string): bigint | null {
    const name = key.slice(this.trusts.length);
    return /^[1-9]\d{0,18}$/.test(name) ? BigInt(name) : null;
  }

  join(agent: string): string {
    return `${this.#joins}${agent}`;
  }

  /** `receipts/<store>/<seq>/<digest>`. */
  receipt(store: string, seq: bigint, digest: Digest): string {
    return `${this.receiptsAt(store, seq)}/${digest}`;
  }

  /** What the keys of all receipts under one number begin with. */
  receiptsAt(store: string, seq: bigint): string {
    return `${this.#receipts}${store}/${seq.toString().padStart(VERSION_DIGITS, '0')}`;
  }

  /** Documents that speak for themselves, and what was moved out of the way. */
  isJudgedElsewhere(key: string): boolean {
    return [this.#joins, this.rejected].some((prefix) => key.startsWith(prefix));
  }
}

/** Equal JSON has one text; null for a text that is none. */
export function normal(text: string): string | null {
  const json = parseJson(text);
  return json === null ? null : canonical(json.value);
}

/** As found: unverified. What is too long for a commit is refused unread by whoever decodes it. */
export function readCommitText(text: string): unknown {
  if (text.length > COMMIT_BYTES_MAX * 2) return { payload: text };
  return parseJson(text)?.value ?? null;
}

/** The same of a trust document. What is there and is none must not look like nothing. */
export function readTrustText(text: string): unknown {
  return parseJson(text)?.value ?? {};
}
