// What the sites say now: the newest valid attestation of each agent, as signed, and the same in
// short by site. A reader who doubts the short form has the signed one beside it.

import type { Attestation } from '../../shared/control/attestation.ts';
import type { Holder } from '../../shared/control/holder.ts';
import type { Jws } from '../../shared/control/jws.ts';

export interface SiteWord
  extends Readonly<
    Pick<Attestation, 'agent' | 'mode' | 'generation' | 'version' | 'envelope' | 'commitIndex'>
  > {
  /** Since it was issued, by this agent's clock. */
  readonly ageMs: number;
}

export interface SiteWords {
  readonly attestations: readonly Jws[];
  readonly sites: Readonly<Record<string, readonly SiteWord[]>>;
  /** Sites that named two commits for one version: they count for none. */
  readonly equivocators: readonly string[];
}

export function siteWords({ book, trust }: Holder, nowMs: number): SiteWords {
  const held = [...book.latest.values()].filter(({ validUntilMs }) => validUntilMs > nowMs);
  const sites = trust.sites.map((site) => {
    const words = held.flatMap(({ signed: { value } }): readonly SiteWord[] => {
      if (value.site !== site) return [];
      const { agent, mode, generation, version, envelope, commitIndex, issuedAt } = value;
      const ageMs = Math.max(0, nowMs - issuedAt);
      return [{ agent, mode, generation, version, envelope, commitIndex, ageMs }];
    });
    return [site, words] as const;
  });
  return {
    attestations: held.map(({ signed }) => signed.jws),
    sites: Object.fromEntries(sites),
    equivocators: [...book.equivocators].sort(),
  };
}
