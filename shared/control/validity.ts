// VALID (C4): a pure function of the state before, the envelope and the rules named in that state.
// `judge` is what every receiver runs; `draft` is what an author runs to learn the manifest it must
// sign. They share every step, so an author cannot draft what a receiver would refuse.

import { canonical } from '../canonical.ts';
import type { Hasher } from '../crypto.ts';
import { type Digest, digestOf } from '../digest.ts';
import { authorFault, type VerifiedCommit } from './author.ts';
import type { Envelope, Operation } from './envelope.ts';
import { type Folded, fold } from './fold.ts';
import { type Manifest, manifestDigest, RULES } from './manifest.ts';
import type { MapNode, NodeSource } from './merkle-map.ts';
import { updateMap } from './merkle-update.ts';
import { groundOn, stepsFault } from './provision.ts';
import { isRefusal, type Refusal, refuse } from './refusal.ts';
import { type ControlState, entryToWire, type Writes } from './state.ts';
import { type Trust, type TrustDoc, trustAt } from './trust.ts';

export interface Accepted {
  readonly kind: 'accepted';
  readonly state: ControlState;
  readonly writes: Writes;
  readonly folded: Folded;
}

/**
 * The state that `operations` lead to under the document `trust`, not yet signed by anyone:
 * `state.envelope` is null. Refusals: trust-old, operations, and those of `fold`.
 */
export function draft(
  state: ControlState,
  operations: readonly Operation[],
  trust: TrustDoc,
  nodes: NodeSource,
  hasher: Hasher,
): Accepted | Refusal {
  const { version } = trust.document;
  // Attack: a revoked operator who goes on under the document that still names the key.
  if (version < state.manifest.trust) {
    return refuse('trust-old', `trust ${version}; ${state.manifest.trust} is in use`);
  }
  if (operations.length === 0 && version === state.manifest.trust) {
    return refuse('operations', 'a commit without any raises the trust version');
  }
  const folded = fold(state, operations, trust.sites, nodes, hasher);
  if (isRefusal(folded)) return folded;
  return advance(state, folded, version, nodes, hasher);
}

/**
 * Judges the next commit. The signatures of `envelope` hold; everything else is checked here, in
 * C9's order. Refusals: cluster, rules, generation, stale, gap, previous, trust-missing, lamport,
 * safety, class, manifest, step, and those of `authorFault`, `stepsFault` and `draft`. Throws
 * MissingNodeError.
 */
export function judge(
  state: ControlState,
  envelope: VerifiedCommit,
  trust: Trust,
  nodes: NodeSource,
  hasher: Hasher,
): Accepted | Refusal {
  const { value } = envelope;
  const misplaced = positionFault(state, value);
  if (misplaced !== null) return misplaced;
  const under = trustAt(trust, value.trust);
  if (under === null) return refuse('trust-missing', `trust ${value.trust} is not held`);
  const unsigned = authorFault(envelope, under);
  if (unsigned !== null) return unsigned;
  // An agent commits what its steps may do here, an operator what the fold allows (C3).
  const { mandate } = envelope;
  const ground = groundOn(state, nodes, hasher);
  const astray = mandate === undefined ? null : stepsFault(mandate.steps, ground, hasher);
  if (astray !== null) return astray;
  const accepted = draft(state, value.operations, under, nodes, hasher);
  if (isRefusal(accepted)) return accepted;
  const forged = mandate === undefined ? signFault(accepted.folded) : null;
  const misjudged = forged ?? classFault(value, accepted.folded);
  if (misjudged !== null) return misjudged;
  const next = accepted.state;
  if (next.manifest.lamport !== value.lamport) {
    return refuse('lamport', `expected ${next.manifest.lamport}`);
  }
  // Attack: operations that lead elsewhere than the author signed for (or a fold that differs).
  if (next.manifestDigest !== value.manifest) {
    return refuse('manifest', `operations lead to ${next.manifestDigest}`);
  }
  return { ...accepted, state: { ...next, envelope: envelope.digest } };
}

/** Where the envelope stands against `state`: null when it is exactly the next one. */
export function positionFault(state: ControlState, envelope: Envelope): Refusal | null {
  const { manifest } = state;
  if (manifest.rules !== RULES) return refuse('rules', `state asks for rules ${manifest.rules}`);
  if (envelope.cluster !== manifest.cluster) return refuse('cluster', envelope.cluster);
  if (envelope.generation !== manifest.generation) {
    return refuse('generation', `${envelope.generation}, not ${manifest.generation}`);
  }
  if (envelope.version <= manifest.version) {
    return refuse('stale', `${envelope.version}; ${manifest.version} is held`);
  }
  if (envelope.version > manifest.version + 1n) {
    return refuse('gap', `${envelope.version}; next is ${manifest.version + 1n}`);
  }
  // Attack: a commit moved to another history.
  if (envelope.previous !== state.envelope)
    return refuse('previous', 'does not follow what is held');
  return null;
}

/** A tenant's `step` is set by steps alone; while the template stays, so does the step. */
function signFault({ tenants }: Folded): Refusal | null {
  for (const { id, before, after } of tenants) {
    const [was, is] = [before?.tenant?.step, after.tenant?.step];
    const dropped = is === undefined && after.tenant?.template === undefined;
    // Attack on ABA: a record put back to what it was, for an old step to land on again.
    if (was !== is && !dropped) return refuse('step', `${id}: only a step sets the record's step`);
  }
  return null;
}

function classFault(envelope: Envelope, folded: Folded): Refusal | null {
  const first = envelope.version === 1n;
  if (folded.class === 'safety' && envelope.class === 'normal' && !first) {
    return refuse('class', 'the effect is of class safety');
  }
  // Safety needs the threshold of approvers; nobody can give it yet, so doubt denies (C6, I15).
  if (envelope.class === 'safety' && !first) return refuse('safety', 'needs approvals');
  return null;
}

function advance(
  state: ControlState,
  folded: Folded,
  trust: bigint,
  nodes: NodeSource,
  hasher: Hasher,
): Accepted {
  const { manifest } = state;
  const entries = folded.tenants.map(({ id, after }) => [id, entryToWire(after)] as const);
  const tenants = updateMap('tenants', manifest.tenants, new Map(entries), nodes, hasher);
  const hosts = updateMap('hosts', manifest.hosts, folded.hosts, nodes, hasher);
  const global = digestOf(folded.global, hasher);
  const usage = digestOf(folded.usage, hasher);
  const next: Manifest = {
    ...manifest,
    version: manifest.version + 1n,
    lamport: manifest.lamport + 1n,
    trust,
    previous: manifest.version === 0n ? null : state.manifestDigest,
    global,
    usage,
    hosts: hosts.root,
    tenants: tenants.root,
  };
  const pieces = new Map<Digest, string>();
  const puts = new Map<Digest, MapNode>([...tenants.puts, ...hosts.puts]);
  for (const [digest, node] of puts) pieces.set(digest, canonical(node));
  const retired = [...tenants.retired, ...hosts.retired];
  for (const [was, is, value] of [
    [manifest.global, global, folded.global],
    [manifest.usage, usage, folded.usage],
  ] as const) {
    if (was === is) continue;
    pieces.set(is, canonical(value));
    retired.push(was);
  }
  return {
    kind: 'accepted',
    state: {
      manifest: next,
      manifestDigest: manifestDigest(next, hasher),
      envelope: null,
      global: folded.global,
      usage: folded.usage,
    },
    writes: { pieces, nodes: puts, retired },
    folded,
  };
}
