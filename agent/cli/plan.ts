// A plan: the commits that would bring the head to what the configuration says, each drafted by the
// code that receivers judge with, so that what is planned is what they accept (C7). A saved plan
// names the head it was made on and the manifest each commit leads to; its summary is for people
// and is never believed.

import * as z from 'zod/mini';
import { envelopeSchema, type Operation } from '../../shared/control/envelope.ts';
import type { MapNode, NodeSource } from '../../shared/control/merkle-map.ts';
import { type Global, globalKinds } from '../../shared/control/record.ts';
import { isRefusal, type Refusal, refuse } from '../../shared/control/refusal.ts';
import type { ControlState } from '../../shared/control/state.ts';
import type { Trust } from '../../shared/control/trust.ts';
import { draft } from '../../shared/control/validity.ts';
import type { Digest } from '../../shared/digest.ts';
import { counterSchema, digestSchema, idSchema } from '../../shared/schema.ts';
import { nodeCrypto } from '../adapters/crypto.ts';
import { type BlastRadius, blastRadius } from './blast-radius.ts';
import type { Config } from './config-schema.ts';
import { type Change, type Difference, differenceOf, type TenantDifference } from './difference.ts';
import { intoCommits } from './into-commits.ts';
import type { State } from './state.ts';
import { wantedBy } from './wanted.ts';
import { someOf } from './words.ts';

const plannedCommitSchema = z.strictObject({
  class: envelopeSchema.shape.class,
  operations: envelopeSchema.shape.operations,
  /** The manifest that it leads to. */
  manifest: digestSchema,
});

export const planSchema = z.strictObject({
  kind: z.literal('plan'),
  cluster: idSchema,
  /** The head it was made on; envelope null before the first commit. */
  base: z.strictObject({
    generation: counterSchema,
    version: counterSchema,
    envelope: z.nullable(digestSchema),
    /** The trust document under which its commits are authored. */
    trust: counterSchema,
  }),
  commits: z.array(plannedCommitSchema),
  summary: z.unknown(),
});

export type PlannedCommit = Readonly<z.infer<typeof plannedCommitSchema>>;

type SavedPlan = z.infer<typeof planSchema>;

export interface Plan extends Readonly<Pick<SavedPlan, 'kind' | 'cluster' | 'base'>> {
  readonly commits: readonly PlannedCommit[];
}

/** How many tenants change, by what becomes of them, by scope and by home. */
export interface TenantCounts {
  readonly total: number;
  readonly kinds: Readonly<Record<Change['kind'], number>>;
  readonly scopes: Readonly<Record<string, number>>;
  readonly homes: Readonly<Record<string, number>>;
}

export interface Summary {
  readonly changes: readonly Change[];
  readonly tenants: TenantCounts;
  readonly blastRadius: BlastRadius;
}

export type Planned =
  | { readonly kind: 'planned'; readonly plan: Plan; readonly summary: Summary }
  | {
      readonly kind: 'refused';
      readonly refusal: Refusal;
      /** null: refused before there was a difference to show. */
      readonly summary: Summary | null;
    };

/**
 * The plan from the head of `state` to `config`. Refusals: tenant-home, safety, and those of
 * `fold`. Throws CliError `too-large`.
 */
export function makePlan(state: State, config: Config, prune: boolean): Planned {
  const { holder, pieces, trust } = state;
  const head = holder.state;
  const wanted = wantedBy(config);
  const difference = differenceOf(head, pieces.nodes, wanted, prune);
  if ('code' in difference) return { kind: 'refused', refusal: difference, summary: null };
  const after = prune ? wanted.global : withKept(head.global, wanted.global);
  const summary = {
    changes: [...difference.global, ...difference.tenants.flatMap(({ changes }) => changes)],
    tenants: countTenants(difference.tenants),
    blastRadius: blastRadius(head, pieces.nodes, after, difference),
  };
  const groups = groupsOf(difference, trust.document.version > head.manifest.trust);
  const drafted = draftAll(head, groups, trust, pieces.nodes);
  if (isRefusal(drafted)) return { kind: 'refused', refusal: drafted, summary };
  const { commits } = drafted;
  const { cluster, generation, version } = head.manifest;
  const refusal = safetyFault(commits, version, summary.blastRadius);
  if (refusal !== null) return { kind: 'refused', refusal, summary };
  const base = { generation, version, envelope: head.envelope, trust: trust.document.version };
  return { kind: 'planned', plan: { kind: 'plan', cluster, base, commits }, summary };
}

function countTenants(tenants: readonly TenantDifference[]): TenantCounts {
  const kinds = { create: 0, update: 0, delete: 0, keep: 0 };
  const scopes: Record<string, number> = {};
  const homes: Record<string, number> = {};
  for (const { before, after, changes } of tenants) {
    const scope = after?.tenant.scope ?? before?.tenant?.scope ?? '-';
    const home = after?.home ?? before?.placement.home ?? '-';
    // The tenant's own record comes first; a new placement only goes with it.
    kinds[changes[0]?.kind ?? 'keep']++;
    scopes[scope] = (scopes[scope] ?? 0) + 1;
    homes[home] = (homes[home] ?? 0) + 1;
  }
  return { total: tenants.length, kinds, scopes, homes };
}

/** Where nothing changes but trust, one commit without operations completes the rotation. */
function groupsOf(difference: Difference, rotated: boolean): readonly (readonly Operation[])[] {
  const groups = intoCommits(difference);
  return groups.length === 0 && rotated ? [[]] : groups;
}

function withKept(before: Global, after: Global): Global {
  const kinds = globalKinds.map((kind) => [kind, { ...before[kind], ...after[kind] }] as const);
  return { ...after, ...Object.fromEntries(kinds) };
}

export interface Drafted {
  readonly kind: 'drafted';
  readonly commits: readonly PlannedCommit[];
}

/** Drafts one commit on the other. Refusals: those of `fold`; the detail says which commit. */
export function draftAll(
  head: ControlState,
  groups: readonly (readonly Operation[])[],
  trust: Trust,
  nodes: NodeSource,
): Drafted | Refusal {
  const added = new Map<Digest, MapNode>();
  const all: NodeSource = (digest) => added.get(digest) ?? nodes(digest);
  const commits: PlannedCommit[] = [];
  let state = head;
  for (const [i, operations] of groups.entries()) {
    const accepted = draft(state, operations, trust, all, nodeCrypto);
    if (isRefusal(accepted)) {
      const which = groups.length === 1 ? '' : `commit ${i + 1} of ${groups.length}: `;
      return refuse(accepted.code, `${which}${accepted.detail}`);
    }
    for (const [digest, node] of accepted.writes.nodes) added.set(digest, node);
    state = accepted.state;
    const { class: derived } = accepted.folded;
    commits.push({ class: derived, operations: [...operations], manifest: state.manifestDigest });
  }
  return { kind: 'drafted', commits };
}

/** Beyond the first commit, class safety needs approvals, and none can be given yet (C6). */
export function safetyFault(
  commits: readonly PlannedCommit[],
  base: bigint,
  { scopes, movers, returning }: Omit<BlastRadius, 'tenants'>,
): Refusal | null {
  const found = commits.findIndex(({ class: derived }, i) => {
    return derived === 'safety' && base + BigInt(i) > 0n;
  });
  if (found < 0) return null;
  const why = [
    ...scopes.shown.filter((shift) => shift.widens).map(({ id }) => `scope ${id} widens`),
    ...movers.shown.filter((shift) => shift.widens).map(({ id }) => `tenant ${id} may go further`),
    ...returning.shown.map((id) => `tenant ${id} was retired and comes back`),
  ];
  const reasons = why.length === 0 ? '' : ` (${someOf(why)})`;
  return refuse('safety', `the change is of class safety and needs approvals${reasons}`);
}
