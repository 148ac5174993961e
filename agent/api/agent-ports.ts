// The listener's ports on a living agent. Reads are answered from what the agent holds verified, or
// from its source as found.

import { type Envelope, envelopeKind } from '../../shared/control/envelope.ts';
import { verifyCommit } from '../../shared/control/holder.ts';
import { decodeJws, type Verified } from '../../shared/control/jws.ts';
import type { Refusal } from '../../shared/control/refusal.ts';
import { trustAt } from '../../shared/control/trust.ts';
import type { Crypto } from '../../shared/crypto.ts';
import { historyOf } from '../control/history.ts';
import type { Proposal } from '../control/propose.ts';
import { siteWords } from '../control/site-words.ts';
import { COMMITS_ANSWER_BYTES_MAX, COMMITS_PER_ANSWER_MAX } from '../limits.ts';
import type { Agent } from '../loop.ts';
import { type CommitSource, SourceError } from '../ports.ts';
import { explainTo } from '../steering/explain.ts';
import type { ApiPorts, CommitsPage } from './ports.ts';
import type { TenantPorts } from './tenants.ts';

export interface ApiAgent {
  readonly agent: Agent;
  readonly source: CommitSource;
  /** Commits on the own disk. */
  readonly copy?: CommitSource | undefined;
  readonly tenants: TenantPorts;
  readonly status: () => object;
  readonly nowMs: () => number;
  readonly crypto: Crypto;
  readonly log: (line: object) => void;
}

type Stores = Pick<ApiAgent, 'source' | 'copy'>;

export function apiPortsOf(given: ApiAgent): ApiPorts {
  const { agent, source, tenants, status, nowMs, crypto, log } = given;
  return {
    tenants,
    deliver: (delta) => agent.deliver(delta),
    propose: (input) => proposeSigned(input, agent, crypto),
    status,
    commits: (from) => commitsFrom(from, agent, given),
    trust: (version) => trustOf(version, agent, source),
    publishTrust: (input) => agent.publishTrust(input),
    join: (name) => source.join(name),
    history: (limit) => historyOf(agent.holder, limit, nowMs(), crypto),
    attestations: () => siteWords(agent.holder, nowMs()),
    explain: (inquiry) => explainTo(inquiry, agent.standing, nowMs(), crypto),
    nowMs,
    trusted: () => agent.holder.trust,
    crypto,
    log,
  };
}

/**
 * Commits from the chain in memory where it reaches so far back, else from the source or the copy.
 * Beyond the head a source that is down has none as far as this agent knows; whoever reads asks
 * others too.
 */
async function commitsFrom(from: bigint, agent: Agent, stores: Stores): Promise<CommitsPage> {
  const { holder } = agent;
  const { manifest, envelope } = holder.state;
  const { generation, version } = manifest;
  const first = holder.chain[0]?.version;
  const held = first !== undefined && from >= first && from <= version;
  const found: readonly unknown[] = held
    ? holder.chain.slice(Number(from - first)).map(({ jws }) => jws)
    : await storedFrom(from, agent, stores).catch((error: unknown) => {
        if (error instanceof SourceError && from > version) return [];
        throw error;
      });
  const commits = bounded(found);
  const next = from + BigInt(commits.length);
  const more = commits.length > 0 && (commits.length < found.length || next <= version);
  return { head: { generation, version, envelope }, commits, next: more ? next : null };
}

/**
 * Of a source that cannot be read the copy is asked first: who catches up without a source must not
 * wait for it at every page (E6). Rejects with SourceError when neither has any and one is down.
 */
async function storedFrom(
  from: bigint,
  { isReadable }: Agent,
  { source, copy }: Stores,
): Promise<readonly unknown[]> {
  const copies = copy === undefined ? [] : [copy];
  let fault: SourceError | null = null;
  for (const store of isReadable ? [source, ...copies] : [...copies, source]) {
    try {
      const { commits } = await store.read(from);
      if (commits.length > 0) return commits;
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      fault ??= error;
    }
  }
  if (fault !== null) throw fault;
  return [];
}

/** What is held is at hand, and verified; older ones are the source's, newer ones nobody's yet. */
async function trustOf(version: bigint, { holder }: Agent, source: CommitSource): Promise<unknown> {
  const { trust } = holder;
  if (version > trust.document.version) return null;
  return trustAt(trust, version)?.jws ?? source.trust(version);
}

/** At least one, so that whoever reads gets on. */
function bounded(commits: readonly unknown[]): readonly unknown[] {
  const taken: unknown[] = [];
  let bytes = 0;
  for (const commit of commits.slice(0, COMMITS_PER_ANSWER_MAX)) {
    bytes += JSON.stringify(commit).length;
    if (taken.length > 0 && bytes > COMMITS_ANSWER_BYTES_MAX) break;
    taken.push(commit);
  }
  return taken;
}

/** Whoever may not commit is told that alone: not where the head is, nor what is in its place. */
async function proposeSigned(input: unknown, agent: Agent, crypto: Crypto): Promise<Proposal> {
  const signed = await openSigned(input, agent, crypto);
  return 'code' in signed ? signed : agent.propose(input);
}

/** A commit that somebody who may commit has signed. Refusals: `decodeJws`, `verifyCommit`. */
async function openSigned(
  input: unknown,
  { holder }: Agent,
  crypto: Crypto,
): Promise<Verified<Envelope> | Refusal> {
  const decoded = decodeJws(input, envelopeKind, crypto);
  return 'claimed' in decoded ? verifyCommit(decoded, holder.trust, crypto) : decoded;
}
