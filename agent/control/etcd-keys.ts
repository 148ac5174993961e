// Where things lie in etcd (C1): what is decided under `control/`, what runs beside it.

import { canonical, parseJson } from '../../shared/canonical.ts';
import { endOf } from '../etcd-port.ts';

/** Decimal digits, so that the order of keys is that of versions: up to the 63 bits etcd counts. */
const VERSION_DIGITS = 19;

export class EtcdKeys {
  readonly control: string;
  readonly head: string;
  readonly commits: string;
  readonly records: string;
  readonly rejected: string;
  readonly #trust: string;
  readonly #joins: string;
  readonly #receipts: string;

  constructor(cluster: string) {
    const root = `/portolan/${cluster}/`;
    this.control = `${root}control/`;
    this.head = `${this.control}head`;
    this.commits = `${this.control}commits/`;
    this.records = `${this.control}records/`;
    this.rejected = `${this.control}rejected/`;
    this.#trust = `${this.control}trust/`;
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
    return `${this.#trust}${version}`;
  }

  join(agent: string): string {
    return `${this.#joins}${agent}`;
  }

  /** `receipts/<store>/<seq>`. */
  receipt(store: string, seq: bigint): string {
    return `${this.#receipts}${store}/${seq.toString().padStart(VERSION_DIGITS, '0')}`;
  }

  /** Documents that speak for themselves, and what was moved out of the way. */
  isJudgedElsewhere(key: string): boolean {
    return [this.#trust, this.#joins, this.rejected].some((prefix) => key.startsWith(prefix));
  }
}

/** Equal JSON has one text; null for a text that is none. */
export function normal(text: string): string | null {
  const json = parseJson(text);
  return json === null ? null : canonical(json.value);
}
