// Which version is active: the newest that a threshold of sites stands behind, counted as a Raft
// leader counts its commit index (C10). Sorted from high to low, the threshold-th site's version is
// one that this many sites have reached. No single site can move it, forwards or back (I16).

import type { Digest } from '../digest.ts';
import { type Attestation, type AttestationBook, validBySite } from './attestation.ts';
import { type Chain, compareVersions, type Link, linkAt, type NamedCommit } from './chain.ts';
import type { Trust } from './trust.ts';

export interface Evidence {
  readonly chain: Chain;
  readonly book: AttestationBook;
  readonly trust: Trust;
  readonly nowMs: number;
}

/** The active link by the evidence at `nowMs` alone, or null when no threshold names a held one. */
export function activeLink(evidence: Evidence): Link | null {
  return reachedTogether(validBySite(evidence.book, evidence.trust, evidence.nowMs), evidence);
}

/**
 * What of `chain` a threshold of OTHER sites than `site` stands behind, or null: what an agent that
 * has no memory of its own may join, and what it takes from a peer (C10). Attack: a stolen agent of
 * the own site, or one's own older word, that makes up the threshold (I16).
 */
export function attestedByOthers<T extends NamedCommit>(
  site: string,
  evidence: Omit<Evidence, 'chain'> & { readonly chain: readonly T[] },
): T | null {
  const bySite = new Map(validBySite(evidence.book, evidence.trust, evidence.nowMs));
  bySite.delete(site);
  return reachedTogether(bySite, evidence);
}

/** The newest commit that a threshold of the sites in `bySite` have reached. */
function reachedTogether<T extends NamedCommit>(
  bySite: ReadonlyMap<string, readonly Attestation[]>,
  { chain, trust }: { readonly chain: readonly T[]; readonly trust: Trust },
): T | null {
  const reached: T[] = [];
  for (const attestations of bySite.values()) {
    const link = highest(attestations, chain);
    if (link !== null) reached.push(link);
  }
  reached.sort((a, b) => compareVersions(b, a));
  return reached[trust.threshold - 1] ?? null;
}

/**
 * When `link` was last supported: the threshold-th newest issuedAt of sites that name it or a later
 * link of the chain, in ms; null below the threshold. A site that names a version that is not held
 * supports nothing here, so an isolate that misses commits grows old instead of going on (E3).
 * `frozen` words renew nothing behind a later commit that a site says it read just now (`live`): it
 * was decided, and may have taken something away. Where nobody can read, they all count, however
 * far each site had come when the quorum was lost (E6).
 */
export function supportedAtMs(link: Link, { chain, book, trust, nowMs }: Evidence): number | null {
  const bySite = validBySite(book, trust, nowMs);
  const live = [...bySite.values()].flat().filter(({ mode }) => mode === 'live');
  const decided = highest(live, chain);
  const issued: number[] = [];
  for (const attestations of bySite.values()) {
    const times = attestations
      .filter((attestation) => {
        const named = namedLink(attestation, chain);
        if (named === null || compareVersions(named, link) < 0) return false;
        const isBehind = decided !== null && compareVersions(named, decided) < 0;
        return attestation.mode === 'live' || !isBehind;
      })
      .map(({ issuedAt }) => issuedAt);
    if (times.length > 0) issued.push(Math.max(...times));
  }
  issued.sort((a, b) => b - a);
  return issued[trust.threshold - 1] ?? null;
}

/**
 * Does a threshold of sites stand beyond `link`, whether or not what they name is held? Words count
 * here beyond their life: versions never go down, so what was newer then still is. One lying site
 * cannot say so for others (I16).
 */
export function isBehind(link: Link, { book, trust }: Pick<Evidence, 'book' | 'trust'>): boolean {
  const beyond = new Set<string>();
  for (const { signed } of book.latest.values()) {
    const { site } = signed.value;
    if (book.equivocators.has(site) || !trust.sites.includes(site)) continue;
    if (compareVersions(signed.value, link) > 0) beyond.add(site);
  }
  return beyond.size >= trust.threshold;
}

/**
 * The commit index that a threshold of sites reports for `link`, or null. A site whose agents
 * differ reports none.
 */
export function attestedCommitIndex(link: Link, evidence: Evidence): bigint | null {
  const { book, trust, nowMs } = evidence;
  const votes = new Map<bigint, number>();
  for (const attestations of validBySite(book, trust, nowMs).values()) {
    const own = attestations.filter(({ envelope }) => envelope === link.digest);
    const [index, ...others] = new Set(own.map(({ commitIndex }) => commitIndex));
    if (index !== undefined && others.length === 0) votes.set(index, (votes.get(index) ?? 0) + 1);
  }
  for (const [index, count] of votes) if (count >= trust.threshold) return index;
  return null;
}

/**
 * Does a threshold of sites name another commit where `chain` holds one that never was active? Then
 * what is held there is a fork: signed by an operator, handed over by somebody, and not decided.
 * Null when nothing contradicts what is held.
 */
export function contradiction(
  active: Link | null,
  { chain, book, trust, nowMs }: Evidence,
): Link | null {
  const others = new Map<Link, Map<string, number>>();
  for (const attestations of validBySite(book, trust, nowMs).values()) {
    const named = new Map<Link, string>();
    for (const { generation, version, envelope } of attestations) {
      const link = linkAt(chain, generation, version);
      if (link !== null && link.digest !== envelope) named.set(link, envelope);
    }
    for (const [link, digest] of named) {
      const votes = others.get(link) ?? new Map<string, number>();
      others.set(link, votes.set(digest, (votes.get(digest) ?? 0) + 1));
    }
  }
  for (const [link, votes] of others) {
    const beyond = active === null || compareVersions(link, active) > 0;
    if (beyond && Math.max(...votes.values()) >= trust.threshold) return link;
  }
  return null;
}

/** Sites that stand behind a place of the chain: they name it, or a later link. Sorted. */
export function sitesBehind(
  place: Pick<Link, 'generation' | 'version'>,
  { chain, book, trust, nowMs }: Evidence,
): readonly string[] {
  const sites: string[] = [];
  for (const [site, attestations] of validBySite(book, trust, nowMs)) {
    const reached = highest(attestations, chain);
    if (reached !== null && compareVersions(reached, place) >= 0) sites.push(site);
  }
  return sites.sort();
}

/** Does a threshold of sites attest something newer than `place`? */
export function wentBeyond(
  place: { readonly generation: bigint; readonly version: bigint },
  { book, trust, nowMs }: Omit<Evidence, 'chain'>,
): boolean {
  const sites = [...validBySite(book, trust, nowMs).values()];
  const beyond = sites.filter((words) => words.some((word) => compareVersions(word, place) > 0));
  return beyond.length >= trust.threshold;
}

/** Do a threshold of sites name this very commit? */
export function namedByThreshold(
  commit: { readonly generation: bigint; readonly version: bigint; readonly digest: Digest },
  { book, trust, nowMs }: Omit<Evidence, 'chain'>,
): boolean {
  const sites = [...validBySite(book, trust, nowMs).values()];
  const naming = sites.filter((attestations) =>
    attestations.some(
      ({ generation, version, envelope }) =>
        generation === commit.generation &&
        version === commit.version &&
        envelope === commit.digest,
    ),
  );
  return naming.length >= trust.threshold;
}

/**
 * The newest version that any OTHER site than `site` names, if a threshold of them stands beyond
 * `place`, each where it had come to; else null. One liar can make it too high, not more.
 */
export function namedByOthers(
  site: string,
  place: { readonly generation: bigint; readonly version: bigint },
  { book, trust, nowMs }: Omit<Evidence, 'chain'>,
): bigint | null {
  const beyond = [...validBySite(book, trust, nowMs)]
    .filter(([other]) => other !== site)
    .map(([, words]) => {
      return words.filter(({ generation, version }) => {
        return generation === place.generation && version > place.version;
      });
    })
    .filter((words) => words.length > 0);
  if (beyond.length < trust.threshold) return null;
  return beyond.flat().sort(compareVersions).at(-1)?.version ?? null;
}

function highest<T extends NamedCommit>(
  attestations: readonly Attestation[],
  chain: readonly T[],
): T | null {
  let best: T | null = null;
  for (const attestation of attestations) {
    const link = namedLink(attestation, chain);
    if (link !== null && (best === null || compareVersions(best, link) < 0)) best = link;
  }
  return best;
}

function namedLink<T extends NamedCommit>(
  { generation, version, envelope }: Attestation,
  chain: readonly T[],
): T | null {
  const link = linkAt(chain, generation, version);
  return link?.digest === envelope ? link : null;
}
