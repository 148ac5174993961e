// Attestations without signatures, and chains without commits: for laws about what they add up to.

import { type Attestation, attestationKind } from '../../shared/control/attestation.ts';
import type { Link } from '../../shared/control/chain.ts';
import type { Verified } from '../../shared/control/jws.ts';
import type { Manifest } from '../../shared/control/manifest.ts';
import type { Digest } from '../../shared/digest.ts';
import { agentOf, digestNamed, vouched } from './forge.ts';

export const NOW = 1_790_000_000_000;

/** Version `version` of the one history that is right, or of the fork `name`. */
export function envelopeOf(version: number, name = 'right'): Digest {
  return digestNamed(`${name} ${version}`);
}

/** Links of versions `from` to `to`. */
export function chainOf(from: number, to: number, name = 'right'): readonly Link[] {
  return Array.from({ length: to - from + 1 }, (_, i) => {
    const version = from + i;
    const digest = envelopeOf(version, name);
    return {
      generation: 1n,
      version: BigInt(version),
      digest,
      previous: version === 1 ? null : envelopeOf(version - 1, name),
      manifest: { version: BigInt(version) } as Manifest,
      manifestDigest: digestNamed(`manifest ${name} ${version}`),
      jws: { payload: '', signatures: [] },
    };
  });
}

export interface Word {
  readonly site: number;
  readonly agent?: number;
  readonly version: number;
  readonly fork?: string;
  readonly issuedAt: number;
  readonly changes?: Partial<Attestation>;
}

/** What agent `agent` of site `s<site>` says, as if it had signed. */
export function say({ site, agent = 1, version, fork, issuedAt, changes }: Word) {
  const attestation: Attestation = {
    kind: 'attestation',
    cluster: 'demo',
    site: `s${site}`,
    agent: `s${site}-${agent}`,
    seq: BigInt(issuedAt),
    issuedAt,
    expiresAt: issuedAt + 15_000,
    mode: 'live',
    generation: 1n,
    version: BigInt(version),
    envelope: envelopeOf(version, fork),
    commitIndex: BigInt(version),
    term: 0n,
    observations: { regions: {} },
    load: {},
    ...changes,
  };
  return vouched(attestationKind, attestation, kidOf(site, agent));
}

const kids = new Map<string, string>();

function kidOf(site: number, agent: number): string {
  const name = `${site}-${agent}`;
  const held = kids.get(name) ?? agentOf(site, agent).kid;
  kids.set(name, held);
  return held;
}

export type Said = Verified<Attestation>;
