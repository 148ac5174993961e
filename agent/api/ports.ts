// What the agents' listener needs of the agent, as functions: it knows no loop, no source and no
// disk, so that it is tested with plain values. `agent-ports.ts` makes the real ones.

import type { StoreAnswer } from '../../shared/control/answer.ts';
import type { Refusal } from '../../shared/control/refusal.ts';
import type { Trust } from '../../shared/control/trust.ts';
import type { Crypto } from '../../shared/crypto.ts';
import type { Digest } from '../../shared/digest.ts';
import type { HistoryEntry } from '../control/history.ts';
import type { Proposal } from '../control/propose.ts';
import type { PublishedTrust } from '../control/publish-trust.ts';
import type { SiteWords } from '../control/site-words.ts';
import type { Explained, Inquiry } from '../steering/explain.ts';
import type { TenantPorts } from './tenants.ts';

export interface HeadPlace {
  readonly generation: bigint;
  readonly version: bigint;
  /** null before the first commit. */
  readonly envelope: Digest | null;
}

export interface CommitsPage {
  /** The newest commit that this agent holds, verified. */
  readonly head: HeadPlace;
  /** Signed commits, oldest first, as found: whoever reads them verifies them. */
  readonly commits: readonly unknown[];
  /** Where to go on; null when nothing more is known. */
  readonly next: bigint | null;
}

export interface ApiPorts {
  /** Provisioning. */
  readonly tenants: TenantPorts;
  /** A refusal is for strangers. */
  readonly deliver: (delta: string) => Promise<StoreAnswer | Refusal>;
  readonly propose: (input: unknown) => Promise<Proposal>;
  readonly status: () => object;
  /** Rejects with SourceError. */
  readonly commits: (from: bigint) => Promise<CommitsPage>;
  /** The signed trust document of a version, or null. Rejects with SourceError. */
  readonly trust: (version: bigint) => Promise<unknown>;
  /** Publishes the next trust document. Refusals: those of `adoptTrust`. */
  readonly publishTrust: (input: unknown) => Promise<PublishedTrust>;
  /** The signed join of an agent, or null. Rejects with SourceError. */
  readonly join: (agent: string) => Promise<unknown>;
  /** Newest first. */
  readonly history: (limit: number) => readonly HistoryEntry[];
  readonly attestations: () => SiteWords;
  readonly explain: (inquiry: Inquiry) => Explained;
  readonly nowMs: () => number;
  /** Whose signed requests are read. */
  readonly trusted: () => Trust;
  readonly crypto: Crypto;
  readonly log: (line: object) => void;
}
