// A voyage: a random order of turns, deliveries, losses, crashes, clocks put back and commits, for
// the three agents of a fleet. After every step the promises of C10 and I2 are held against plain
// lists of everything that was ever sent or shown.

import fc from 'fast-check';
import { expect } from 'vitest';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import type { Standing } from '../../agent/control/hold.ts';
import { lookUpTenant } from '../../shared/admission/tenant.ts';
import type { Attestation } from '../../shared/control/attestation.ts';
import type { Operation } from '../../shared/control/envelope.ts';
import type { Jws } from '../../shared/control/jws.ts';
import { commit, FIRST, newHolder, put, SITES, type SiteName, testTrust } from '../shared/kit.ts';
import { Fleet, settled } from './fleet.ts';
import type { Mishap } from './memory-keep.ts';

export type Step =
  | { readonly kind: 'turn'; readonly site: SiteName }
  /** One message of those on the wire, by its place, modulo their number. */
  | { readonly kind: 'deliver' | 'lose' | 'repeat'; readonly index: number }
  | { readonly kind: 'crash'; readonly site: SiteName; readonly mishap: Mishap | null }
  /** The next start of this agent finds its clock this much off. */
  | { readonly kind: 'clock'; readonly site: SiteName; readonly offMs: number }
  | { readonly kind: 'commit' }
  | { readonly kind: 'cut-off'; readonly site: SiteName; readonly cut: boolean }
  | { readonly kind: 'pass'; readonly ms: number };

const COMMITS = 8n;
/** Enough for every word to expire and be said again. */
const ROUNDS_TO_MEND = 12;

const site = fc.constantFrom(...SITES);
const mishap = fc.constantFrom<Mishap | null>(
  null,
  'rejects',
  'rejects-after',
  'dies-before',
  'dies-after',
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('turn' as const), site }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('deliver' as const, 'deliver' as const, 'repeat' as const, 'lose'),
      index: fc.nat(20),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('crash' as const), site, mishap }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('clock' as const),
      site,
      offMs: fc.constantFrom(0, -2_000, 2_000, -3_600_000),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'commit' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('cut-off' as const), site, cut: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(6_000) }),
  },
);

export const voyages: fc.Arbitrary<readonly Step[]> = fc.array(step, {
  minLength: 10,
  maxLength: 60,
});

const commits = await signedOnce();

async function signedOnce(): Promise<readonly Jws[]> {
  const author = newHolder(await testTrust());
  await commit(author, FIRST);
  for (let version = 2n; version <= COMMITS; version++) await commit(author, change(version));
  return author.commits;
}

/** Contents come back, so that pieces are retired and taken out again. */
function change(version: bigint): readonly Operation[] {
  const hosts = ['*.acme.example', 'acme.example'];
  const priority = priorityAt(version);
  const region = { regions: ['eu1'], ingress: priority === 1 ? 'any' : { countries: ['DE'] } };
  return [
    put('tenants/acme/tenant', { hosts, scope: 'eu', policy: 'std', priority }),
    put(`global/scopes/spare`, region),
  ];
}

function priorityAt(version: bigint): number {
  return version === 1n ? 1 : Number(version % 3n);
}

/** What a gateway on this standing reads: every piece on the way must still be there. */
function priorityIn({ link, nodes, global }: Standing): number | null {
  const found = lookUpTenant('acme.example', link.manifest, nodes, nodeCrypto);
  const spare = global.scopes['spare']?.ingress;
  if (found.kind !== 'known') return null;
  const { priority } = found.tenant;
  const own = priority === 1 ? 'any' : { countries: ['DE'] };
  if (link.version > 1n) expect(spare).toEqual(own);
  return priority;
}

/** C10, H3: one digest a version for ever, and numbers that only rise. */
export function expectHonest(words: readonly Attestation[]): void {
  const digests = new Map(words.map(({ version, envelope }) => [version, envelope]));
  for (const { version, envelope } of words) expect(envelope).toBe(digests.get(version));
  const seqs = words.map(({ seq }) => seq);
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => (a < b ? -1 : 1)));
}

/** Throws where a promise is broken. */
export async function sail(steps: readonly Step[]): Promise<void> {
  const fleet = await Fleet.start();
  const log = new Log(fleet);
  for (const one of steps) {
    await take(fleet, log, one);
    log.check();
  }
  fleet.cutOff.clear();
  for (const each of SITES) fleet.offMs[each] = 0;
  for (let i = 0; i < ROUNDS_TO_MEND; i++) {
    await fleet.round();
    log.check();
  }
  for (const each of SITES) expectHonest(fleet.wordsOf(each));
  // Nothing was lost for good: mended, all stand at the head.
  const head = log.committed === 0 ? null : BigInt(log.committed);
  for (const each of SITES) expect(fleet.agent(each).standing?.link.version ?? null).toBe(head);
}

class Log {
  committed = 0;
  readonly #fleet: Fleet;
  readonly #digests = new Map<bigint, string>();
  /** What each site ever showed as active, through all its lives (I2). */
  readonly #highest = new Map<SiteName, bigint>();
  /** Sites that show something in their present life. */
  readonly #showing = new Set<SiteName>();

  constructor(fleet: Fleet) {
    this.#fleet = fleet;
  }

  began(site: SiteName): void {
    this.#showing.delete(site);
  }

  check(): void {
    for (const site of SITES) {
      const { standing } = this.#fleet.agent(site);
      if (standing === null) {
        expect([site, this.#showing.has(site)]).toEqual([site, false]);
        continue;
      }
      const { version, digest } = standing.link;
      this.#showing.add(site);
      expect(version).toBeGreaterThanOrEqual(this.#highest.get(site) ?? 0n);
      this.#highest.set(site, version);
      expect(digest).toBe(this.#digests.get(version) ?? digest);
      this.#digests.set(version, digest);
      expect(priorityIn(standing)).toBe(priorityAt(version));
    }
  }
}

async function take(fleet: Fleet, log: Log, one: Step): Promise<void> {
  switch (one.kind) {
    case 'turn':
      return fleet.turn(one.site);
    case 'deliver':
    case 'lose':
    case 'repeat':
      return carry(fleet, one.kind, one.index);
    case 'crash':
      return crash(fleet, log, one.site, one.mishap);
    case 'clock':
      fleet.offMs[one.site] = one.offMs;
      return crash(fleet, log, one.site, null);
    case 'commit': {
      const jws = commits[log.committed];
      if (jws !== undefined) fleet.source.put(BigInt(++log.committed), jws);
      return;
    }
    case 'cut-off':
      if (one.cut) fleet.cutOff.add(one.site);
      else fleet.cutOff.delete(one.site);
      return;
    case 'pass':
      fleet.nowMs += one.ms;
  }
}

async function carry(fleet: Fleet, kind: 'deliver' | 'lose' | 'repeat', at: number): Promise<void> {
  if (fleet.wire.length === 0) return;
  const index = at % fleet.wire.length;
  if (kind === 'deliver') await fleet.deliver(index);
  else if (kind === 'repeat') {
    const message = fleet.wire[index];
    if (message !== undefined) await fleet.hand(message);
  } else fleet.wire.splice(index, 1)[0]?.answer.reject(new Error('lost'));
  await settled();
}

async function crash(fleet: Fleet, log: Log, site: SiteName, mishap: Mishap | null): Promise<void> {
  fleet.keeps[site].mishap = mishap;
  if (mishap !== null) {
    void fleet
      .agent(site)
      .turn()
      .catch(() => {});
    await settled();
  }
  fleet.keeps[site].mishap = null;
  await fleet.begin(site);
  log.began(site);
}
