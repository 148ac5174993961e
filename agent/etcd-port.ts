// The port of etcd: transactions, ranges and a raw watch, and nothing that holds for longer than a
// call. What loses events or holds locks in a client is not here to be used. The real one is
// `agent/adapters/etcd.ts`; the one in memory passes the same contract suite.
//
// Values are UTF-8 texts. Keys are bytes, one a character, because others may write any: whatever
// lies there can be named, and their order is that of strings. Ours are ASCII. Revisions are those
// of etcd: one for each transaction that wrote.

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** Revision at which the key appeared. An overwrite does not change it. */
  readonly createRevision: bigint;
  readonly modRevision: bigint;
}

export interface RangeRequest {
  readonly from: string;
  /** Exclusive. */
  readonly to: string;
  /** At most so many, in the order of keys. EtcdError `too-large` when one answer has no room. */
  readonly limit: number;
  /** As of this revision instead of now. EtcdError `compacted` when it is gone. */
  readonly revision?: bigint;
}

export interface RangeRead {
  /** Of the whole store when it was read, also when nothing was found. */
  readonly revision: bigint;
  /** Raft term. */
  readonly term: bigint;
  readonly kvs: readonly KeyValue[];
  /** There are more keys than the limit allowed. */
  readonly more: boolean;
}

export interface Transaction {
  /** All must hold, or nothing is written. Revision 0: the key is not there. */
  readonly compare: readonly { readonly key: string; readonly modRevision: bigint }[];
  readonly put: readonly { readonly key: string; readonly value: string }[];
  readonly remove: readonly string[];
}

export interface TransactionResult {
  readonly succeeded: boolean;
  readonly revision: bigint;
}

export type WatchEvent =
  | ({ readonly kind: 'put' } & KeyValue)
  | { readonly kind: 'delete'; readonly key: string; readonly modRevision: bigint };

/** What a watch says next. After `compacted` or `ended` it says nothing more. */
export type WatchFrame =
  /** `more`: the last revision of these goes on in the next frame (a fragment). */
  | { readonly kind: 'events'; readonly events: readonly WatchEvent[]; readonly more: boolean }
  /** Nothing happened; the stream is alive. */
  | { readonly kind: 'alive' }
  /** The start is gone: only `revision` and later can be watched. */
  | { readonly kind: 'compacted'; readonly revision: bigint }
  | { readonly kind: 'ended'; readonly reason: string };

export interface Watch {
  /** One call at a time. Never rejects. */
  next(): Promise<WatchFrame>;
  /** Ends the stream; a `next` under way resolves as `ended`. */
  close(): void;
}

export interface Etcd {
  /** Linearizable. Rejects with EtcdError. */
  range(request: RangeRequest): Promise<RangeRead>;
  /**
   * Rejects with EtcdError; `ambiguous` when it may have been applied, now or later: read back what
   * it would have written.
   */
  txn(transaction: Transaction): Promise<TransactionResult>;
  /** Every key that begins with `prefix`, from `revision` on, that one included. */
  watch(prefix: string, revision: bigint): Watch;
  /** Forgets revisions below `revision`; keys stay. Rejects with EtcdError. */
  compact(revision: bigint): Promise<void>;
}

export type EtcdErrorCode =
  /** Nothing was answered in time; a read changed nothing, so it may be asked again. */
  | 'unavailable'
  /** A write that may be applied or not. */
  | 'ambiguous'
  /** The revision asked for is compacted. */
  | 'compacted'
  /**
   * The request is larger than etcd takes, and nothing was written; or the answer is larger than is
   * received here: ask for less.
   */
  | 'too-large'
  /** These credentials may not do this; nothing was written. */
  | 'denied'
  /** etcd refused for another reason; nothing was written. */
  | 'refused';

export class EtcdError extends Error {
  override readonly name = 'EtcdError';
  readonly code: EtcdErrorCode;

  constructor(code: EtcdErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** The first key that no longer begins with `prefix`; prefixes end in ASCII. */
export function endOf(prefix: string): string {
  const last = prefix.length - 1;
  return prefix.slice(0, last) + String.fromCharCode(prefix.charCodeAt(last) + 1);
}
