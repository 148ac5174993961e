// Where the command line finds control state and puts commits: a directory, or agents. Nothing that
// comes through here is believed; `state.ts` verifies and folds it.

import type { Jws } from '../../shared/control/jws.ts';

/** Commits as somebody shows them: from one version on, oldest first, unverified. */
export interface Offer {
  /** The folder or the agent. */
  readonly from: string;
  readonly commits: readonly unknown[];
}

export type Appended =
  | { readonly kind: 'created' }
  /** Somebody else was first; `commits` is what is there, unverified. */
  | { readonly kind: 'exists'; readonly commits: readonly unknown[] }
  | { readonly kind: 'refused'; readonly code: string; readonly detail: string }
  | {
      readonly kind: 'unavailable';
      readonly code: 'failure' | 'source-unreadable' | 'unreachable';
      readonly reasons: readonly string[];
      /** It may be written or not: it was sent, and reading back did not tell. */
      readonly ambiguous: boolean;
    };

export interface Control {
  readonly kind: 'directory' | 'agents';
  /** For people. */
  readonly where: string;
  /**
   * What everybody shows who can be asked. Rejects with SourceError or CliError when nobody can.
   */
  read(from: bigint): Promise<readonly Offer[]>;
  append(version: bigint, jws: Jws): Promise<Appended>;
  /** The signed trust document of a version, unverified, or null. Rejects as `read` does. */
  trust(version: bigint): Promise<unknown>;
  /** Puts a signed trust document in place. Rejects as `read` does, or with CliError. */
  publishTrust(version: bigint, jws: Jws): Promise<'created' | 'exists'>;
  /** A commit that lies beyond `head` though its predecessor is missing, else null. */
  beyondHole(head: bigint): Promise<bigint | null>;
  /** What sites attest now, signed; a directory does not know. */
  attestations(): Promise<readonly unknown[] | null>;
  /** Who did not answer, for people. */
  notes(): readonly string[];
}
