// Applying a plan. Everything is made again from the head that is there now: the base must be that
// head, the drafts must lead to the manifests that the plan names, and each signed commit goes
// through the very steps of a receiver before it is written. Then the source decides who was first.
//
// What a crash leaves behind: the commits written so far, each whole and each a legal state. The
// plan then has another base (exit 4), and a new plan holds what is missing.

import { type Envelope, envelopeKind, envelopeSchema } from '../../shared/control/envelope.ts';
import {
  admitCommit,
  type Holder,
  screenCommit,
  verifyCommit,
} from '../../shared/control/holder.ts';
import { signJws } from '../../shared/control/jws.ts';
import type { Global } from '../../shared/control/record.ts';
import { isRefusal, refuse } from '../../shared/control/refusal.ts';
import type { Trust } from '../../shared/control/trust.ts';
import type { Signer } from '../../shared/crypto.ts';
import type { Digest } from '../../shared/digest.ts';
import { HARD_AGE_S } from '../../shared/limits.ts';
import { nodeCrypto } from '../adapters/crypto.ts';
import type { Appended, Control } from './control.ts';
import { CliError, cliError, exitOf, taken } from './exit.ts';
import { betweenLines, landedAfter, landedSince } from './landed-between.ts';
import { draftAll, type Plan, type PlannedCommit, safetyFault } from './plan.ts';
import { type ProjectPaths, readPin } from './project.ts';
import { readState, type State, trustHere, trustOf } from './state.ts';

const TOO_LATE = 'somebody else was first: make a new plan';

export interface Signing {
  readonly signer: Signer;
  readonly reason: string;
  /** A new one for each commit, 8 to 64 characters of base64url. */
  readonly opId: () => string;
}

export interface Landed {
  readonly version: bigint;
  readonly class: Envelope['class'];
  readonly operations: number;
  /** Digest of the envelope. */
  readonly envelope: Digest;
  readonly manifest: Digest;
  /**
   * Seconds after which no edge serves by what was before, cut off or not (E3): what this commit
   * takes away is gone everywhere. An edge that hears its agents needs some.
   */
  readonly inForceS: number;
}

/**
 * Signs and appends the commits of `plan`. Rejects with CliError; `landed` in its details are the
 * commits that were written before: key-unknown, role, cluster, manifest, class (7), stale, exists
 * (4), safety and the refusals of `fold`, usage (the reason).
 */
export async function applyPlan(
  project: ProjectPaths,
  plan: Plan,
  signing: Signing,
  control?: Control,
): Promise<readonly Landed[]> {
  const trust =
    control === undefined
      ? await trustHere(project)
      : await trustOf(control, await readPin(project));
  const author = authorOf(trust, signing);
  const state = await readState(project, trust, null, control);
  const commits = checkPlan(state, plan);
  const landed: Landed[] = [];
  let { holder } = state;
  for (const commit of commits) {
    const inForceS = longestAgeS(holder.state.global);
    const next = await admit(state, holder, { ...signing, author }, commit);
    // A crash before this line: nothing of this commit is there. After it: all of it.
    await write(state, holder, next, landed);
    state.pieces.store(next);
    holder = next.holder;
    const { version, digest: envelope, manifestDigest: manifest } = next.link;
    const operations = commit.operations.length;
    landed.push({ version, class: commit.class, operations, envelope, manifest, inForceS });
  }
  return landed;
}

/** An edge that was cut off before the commit goes on by the policies that it has. */
function longestAgeS({ policies }: Global): number {
  const ages = Object.values(policies).map(({ hardAgeS: { read, write } }) =>
    Math.max(read, write),
  );
  return Math.max(HARD_AGE_S.read.default, ...ages);
}

/** The name of the operator whose key signs. Throws CliError: key-unknown, role, usage. */
export function authorOf(
  trust: Trust,
  { signer, reason }: Pick<Signing, 'signer' | 'reason'>,
): string {
  const role = trust.roles.get(signer.kid);
  if (role === undefined) {
    throw cliError(
      refuse('key-unknown', `trust ${trust.document.version} names no key ${signer.kid}`),
    );
  }
  if (role.kind !== 'operator') {
    throw cliError(
      refuse('role', `the key is that of ${role.kind} ${role.name}; operators commit`),
    );
  }
  if (!envelopeSchema.shape.reason.safeParse(reason).success) {
    throw new CliError('usage', 'a reason has 1 to 500 characters');
  }
  return role.name;
}

/** The commits of the plan as they come out when they are drafted anew. */
function checkPlan({ holder, pieces, trust }: State, plan: Plan): readonly PlannedCommit[] {
  const { manifest, envelope } = holder.state;
  if (plan.cluster !== manifest.cluster) throw cliError(refuse('cluster', plan.cluster));
  const { base } = plan;
  const same = base.generation === manifest.generation && base.version === manifest.version;
  if (!same || base.envelope !== envelope) {
    const detail = `the plan is for version ${base.version}, the head is ${manifest.version}`;
    const between = landedSince(holder, base.version);
    throw cliError(refuse('stale', same ? 'the head is another commit' : detail), {
      details: { base: base.version, head: manifest.version, landed: [], between },
      lines: [...betweenLines(between), TOO_LATE],
    });
  }
  const { version: newest } = trust.document;
  if (base.trust !== newest) {
    const detail = `the plan is for trust ${base.trust}, ${newest} is published`;
    throw cliError(refuse('stale', detail), { lines: ['make a new plan'] });
  }
  const groups = plan.commits.map(({ operations }) => operations);
  const { commits } = taken(draftAll(holder.state, groups, trust, pieces.nodes));
  for (const [i, drafted] of commits.entries()) {
    const planned = plan.commits[i];
    // Attack: a plan that was changed between being read by a person and being applied.
    if (planned?.manifest !== drafted.manifest) {
      throw cliError(refuse('manifest', `commit ${i + 1} leads to ${drafted.manifest}`));
    }
    if (planned.class !== drafted.class) {
      throw cliError(refuse('manifest', `commit ${i + 1} is of class ${drafted.class}`));
    }
  }
  const none = { total: 0, shown: [] };
  const unlisted = { scopes: none, movers: none, returning: none };
  const fault = safetyFault(commits, manifest.version, unlisted);
  if (fault !== null) throw cliError(fault);
  return commits;
}

type Author = Signing & { readonly author: string };

/** Signs the next commit and judges it as every receiver will. */
async function admit(
  { pieces, trust }: State,
  holder: Holder,
  { signer, reason, author, opId }: Author,
  { class: derived, operations, manifest }: PlannedCommit,
) {
  const { manifest: head, envelope: previous } = holder.state;
  const envelope: Envelope = {
    kind: 'commit',
    cluster: head.cluster,
    generation: head.generation,
    version: head.version + 1n,
    previous,
    lamport: head.lamport + 1n,
    trust: trust.document.version,
    class: derived,
    author,
    reason,
    opId: opId(),
    operations,
    manifest,
    approvals: [],
  };
  const jws = await signJws(envelopeKind.typ, envelope, [signer]);
  const screened = screenCommit(holder, jws, 0, nodeCrypto);
  if (isRefusal(screened)) throw cliError(screened);
  if (screened.kind === 'known') throw cliError(refuse('stale', 'the commit is there already'));
  const verified = taken(await verifyCommit(screened.decoded, trust, nodeCrypto));
  return taken(admitCommit(holder, verified, pieces.nodes, nodeCrypto));
}

async function write(
  { control, pieces }: State,
  holder: Holder,
  { link }: Awaited<ReturnType<typeof admit>>,
  landed: readonly Landed[],
): Promise<void> {
  const { version, jws } = link;
  const done = landed.map((each) => `landed: version ${each.version} ${each.envelope}`);
  const details = { version, landed };
  const outcome = await control.append(version, jws);
  switch (outcome.kind) {
    case 'created':
      return;
    case 'exists': {
      const between = await landedAfter(holder, pieces, outcome.commits);
      const lines = [...done, ...betweenLines(between), TOO_LATE];
      const more = { details: { ...details, between }, lines };
      throw new CliError('exists', `version ${version} is there already`, more);
    }
    case 'refused': {
      const { code, detail } = outcome;
      const known = Object.hasOwn(exitOf, code) ? (code as keyof typeof exitOf) : 'failure';
      const message = `${control.where} refuses version ${version}: ${code}: ${detail}`;
      throw new CliError(known, message, { details, lines: done });
    }
    case 'unavailable':
      throw unavailable(version, outcome, { details, lines: done });
  }
}

function unavailable(
  version: bigint,
  { code, reasons, ambiguous }: Extract<Appended, { kind: 'unavailable' }>,
  { details, lines }: { readonly details: object; readonly lines: readonly string[] },
): CliError {
  const message = ambiguous
    ? `version ${version} may be written or not: ${reasons.join('; ')}`
    : `version ${version} was not written: ${reasons.join('; ')}`;
  const next = ambiguous
    ? `see history: when version ${version} is there, it landed; else make a new plan`
    : 'apply the plan again when this is cured';
  return new CliError(code, message, {
    details: { ...details, ambiguous },
    lines: [...lines, next],
  });
}
