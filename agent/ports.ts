// The ports of the agent's loop. Clock, random bytes, network and disk are arguments, so that a
// simulation runs this very loop; the real ones are in `agent/adapters`.

import type { Place } from '../shared/control/answer.ts';
import type { Jws, Verified } from '../shared/control/jws.ts';
import type { Receipt } from '../shared/control/receipt.ts';
import type { Crypto, Signer } from '../shared/crypto.ts';
import type { Digest } from '../shared/digest.ts';
import type { Truth } from './control/repair.ts';

/** Where commits are decided and read: an etcd quorum, or a directory (`control: file`). */
export interface CommitSource {
  /**
   * Commits from version `from` on, oldest first and without a hole, as found: unverified, possibly
   * not even JSON (null). Rejects with SourceError when the source cannot be read.
   */
  read(from: bigint): Promise<SourceRead>;
  /**
   * Puts a signed commit in place, once and for all, if nobody was first (C2); 'exists' when
   * somebody was. 'detached', where the source can compare: the commit before it is gone, or is
   * another than it names. Rejects with SourceError when it was not written, or may be: read it
   * back.
   */
  append(version: bigint, jws: Jws): Promise<'created' | 'exists' | 'detached'>;
  /**
   * The signed trust document of a version, unverified; null only where there is none: what is no
   * JSON is something that will be refused. Rejects with SourceError.
   */
  trust(version: bigint): Promise<unknown>;
  /** Puts a signed trust document in place, once and for all. Rejects with SourceError. */
  writeTrust(version: bigint, jws: Jws): Promise<'created' | 'exists'>;
  /** The signed join of an agent, unverified, or null. Rejects with SourceError. */
  join(agent: string): Promise<unknown>;
  /** Lets go of history up to a revision. Where there is none: absent. Never rejects. */
  compact?(revision: bigint): Promise<void>;
  /**
   * Keeps receipts for whoever audits (C11); the answer is how many of the first are kept. Absent
   * where there is no place for them. Never rejects.
   */
  collect?(receipts: readonly Verified<Receipt>[]): Promise<number>;
  /** Resolves when there may be something new to read. Absent where nobody tells: poll. */
  changed?(): Promise<void>;
  /**
   * Puts right what was changed outside commits (C4) and says what it found. `truth` has folded
   * everything that `read` found.
   */
  putRight?(
    truth: Truth,
    read: SourceRead,
    misplaced: readonly Misplaced[],
  ): Promise<readonly Finding[]>;
}

export type Misplaced =
  /** What lies where the next commit or trust document belongs, and is none to anybody, ever. */
  | {
      readonly kind: 'commit' | 'trust';
      readonly version: bigint;
      /** As `read` or `trust` told it. */
      readonly input: unknown;
    }
  /** The newest commit that is held is not where it belongs. */
  | { readonly kind: 'head'; readonly version: bigint };

/** A key that was changed outside a commit. `done`: this agent put it right, not another. */
export interface Finding {
  readonly key: string;
  readonly done: boolean;
}

export interface SourceRead {
  readonly commits: readonly unknown[];
  /** There is more behind these. Absent: when there are as many as one read returns. */
  readonly more?: boolean;
  /** Commit index of a version: the etcd revision of its transaction (or the version itself). */
  commitIndex(version: bigint): bigint;
  /** Raft term, 0 without one. */
  readonly term: bigint;
  /** etcd's revision when it was read; absent in a directory. */
  readonly revision?: bigint;
  /** Up to this revision every change was seen, one by one: what a restart goes on from. */
  readonly seen?: bigint;
  /** What happened up to this revision is compacted in part: nobody can show all of it (C10). */
  readonly lost?: bigint;
  /** etcd has forgotten revisions that were seen: it was restored from an older state (C13). */
  readonly wentBack?: boolean;
  /** It did so once since this agent started, however far it has come again. */
  readonly restored?: boolean;
}

export class SourceError extends Error {
  override readonly name = 'SourceError';
  readonly code = 'source-unreadable';
}

/** What an agent must never forget (C10): written to disk before the attestation is sent. */
export interface Kept {
  readonly seq: bigint;
  readonly generation: bigint;
  readonly version: bigint;
  /** Digest of the envelope attested for `version`; null for version 0. */
  readonly envelope: Digest | null;
  /** etcd revision up to which every change was seen by then. */
  readonly revision?: bigint;
  /** The newest trust document that was adopted: none before it is judged by again (C5). */
  readonly trust?: { readonly version: bigint; readonly digest: Digest };
  /** What was active here then: a restart does not go below it (I2). */
  readonly active?: Place;
}

export interface Keep {
  /** What was kept, or null for a new agent. Rejects when it cannot be read: never a new start. */
  load(): Promise<Kept | null>;
  /** Resolves when it will survive a loss of power. */
  save(kept: Kept): Promise<void>;
}

/** Hands a delta to an edge's ingest or to a peer and returns the answer's text. */
export type Push = (url: string, delta: string) => Promise<string>;

export interface AgentPorts {
  readonly nowMs: () => number;
  readonly crypto: Crypto;
  readonly signer: Signer;
  readonly source: CommitSource;
  readonly keep: Keep;
  readonly push: Push;
  /** Commits of a peer from a version on, by the URL of its deltas. Absent: peers are not asked. */
  readonly commitsOf?: (peer: string, from: bigint) => Promise<readonly unknown[]>;
  /** A copy of the commits on the own disk, for a start without a source. */
  readonly copy?: CommitSource;
  /** One line of the log; `alarm` is set when a person should look. */
  readonly log: (line: { readonly alarm?: string; readonly [field: string]: unknown }) => void;
}
