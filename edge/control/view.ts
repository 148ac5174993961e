// What one isolate holds: a mirror of the head, the global part of the active version, and a
// bounded set of map nodes (E4). Memory only; losing it costs a fetch. Nothing enters unverified,
// so the request path reads it without a check (E2).

import type { TenantLookup } from '../../shared/admission/tenant.ts';
import { lookUpTenant } from '../../shared/admission/tenant.ts';
import { parseCanonical, utf8 } from '../../shared/canonical.ts';
import { isBehind } from '../../shared/control/activation.ts';
import type { EdgeStatus } from '../../shared/control/answer.ts';
import { readAttestations } from '../../shared/control/attestation-header.ts';
import { compareVersions, type Link } from '../../shared/control/chain.ts';
import { adoptHead, emptyMirror, type Mirror, reconciled } from '../../shared/control/head.ts';
import { trusting } from '../../shared/control/holder.ts';
import { type MapName, type MapNode, readNode } from '../../shared/control/merkle-map.ts';
import { PROTOCOL } from '../../shared/control/protocol.ts';
import { type Global, globalSchema } from '../../shared/control/record.ts';
import { type Refusal, refuse } from '../../shared/control/refusal.ts';
import type { Trust } from '../../shared/control/trust.ts';
import type { Crypto } from '../../shared/crypto.ts';
import { type Digest, digestBytes } from '../../shared/digest.ts';
import type { Verdict } from '../../shared/health/verdict.ts';
import { ISOLATE_NODES_MAX, REFRESH_MARK_MS, STORE_PENALTY_MS } from '../../shared/limits.ts';
import { type Basis, basisOf, verdictsOf } from '../../shared/steering/scene.ts';
import { ReadSlots } from './read-slots.ts';

/** What decisions are made on: an active version whose global part is loaded. */
export interface Standing {
  readonly link: Link;
  readonly global: Global;
  /** When a threshold last supported it, ms. */
  readonly freshAtMs: number;
}

export class View {
  readonly slots = new ReadSlots();
  readonly #crypto: Crypto;
  readonly #nodes = new Map<Digest, MapNode>();
  readonly #refused = new Map<string, number>();
  readonly #failedAtMs = new Map<string, number>();
  #mirror: Mirror;
  #standing: Standing | null = null;
  #before: Standing | null = null;
  /** Was a tenant found in what is stood on? Then nodes of it were at hand. */
  #isProven = false;
  #markedUntilMs = 0;
  #refreshes = 0;
  /** While a head is on its way, or may be: a request that is cancelled ends nothing. */
  #refreshingUntilMs = 0;
  #heard: string | null = null;

  constructor(trust: Trust, crypto: Crypto) {
    this.#mirror = emptyMirror(trust);
    this.#crypto = crypto;
  }

  get trust(): Trust {
    return this.#mirror.trust;
  }

  /** Adopts what a delta brought of trust; never goes back. */
  trusting(trust: Trust): void {
    this.#mirror = trusting(this.#mirror, trust);
  }

  get standing(): Standing | null {
    return this.#standing;
  }

  /**
   * The last version before in which a tenant was found: what is left when all sources are lost
   * just as a newer one became active whose nodes are not here yet. Nothing makes it younger.
   */
  get before(): Standing | null {
    return this.#before;
  }

  /** Digest of the global part that the active version needs and this isolate lacks, or null. */
  get missingGlobal(): Digest | null {
    const { active } = this.#mirror;
    return active === null || active.digest === this.#standing?.link.digest
      ? null
      : active.manifest.global;
  }

  /** Milliseconds since a threshold last supported the newest active version that is known here. */
  headAgeMs(nowMs: number): number {
    return nowMs - this.#mirror.freshAtMs;
  }

  /**
   * Milliseconds since a threshold last supported what this isolate stands on. When something newer
   * is active whose global part cannot be had, nothing makes the old one younger.
   */
  ageMs(nowMs: number, standing = this.#standing): number {
    return Math.max(0, nowMs - (standing?.freshAtMs ?? 0));
  }

  /** Takes a head that a cache or a store gave. False: refused, counted, nothing changed. */
  async adopt(head: string, nowMs: number): Promise<boolean> {
    const before = this.#mirror;
    const adopted = await adoptHead(before, head, nowMs, this.#crypto);
    if (adopted.kind === 'refused') {
      this.count(adopted.code);
      return false;
    }
    for (const { code } of adopted.refused) this.count(code);
    // Another request may have adopted something while this one verified.
    const held = this.#mirror;
    this.#mirror =
      held === before ? adopted.mirror : reconciled(adopted.mirror, before, held, nowMs);
    this.#stand();
    return true;
  }

  /**
   * Takes attestations that a gateway sent along, as a header's value. They make what is held
   * younger, and no more: a version that they name and that is not held comes with the next head.
   * One that is on its way goes first: its words are a moment older, and refused after these.
   */
  async hear(header: string, nowMs: number): Promise<void> {
    if (nowMs < this.#refreshingUntilMs) {
      this.#heard = header;
      return;
    }
    const attestations = readAttestations(header);
    if (attestations === null) this.count('malformed');
    else await this.adopt(JSON.stringify({ v: PROTOCOL, commits: [], attestations }), nowMs);
  }

  /** Takes the global part asked for by `digest`. Refusals: digest, malformed. */
  takeGlobal(text: string, digest: Digest): Refusal | null {
    const bytes = utf8(text);
    if (digestBytes(bytes, this.#crypto) !== digest) return refuse('digest', 'global part');
    const parsed = globalSchema.safeParse(parseCanonical(bytes)?.value);
    if (!parsed.success) return refuse('malformed', 'global part');
    const { active } = this.#mirror;
    if (active?.manifest.global === digest) this.#standOn(active, parsed.data);
    return null;
  }

  /** Takes a map node asked for by `digest`. Refusals: digest, malformed. */
  takeNode(text: string, map: MapName, digest: Digest): Refusal | null {
    const node = readNode(utf8(text), digest, map, this.#crypto);
    if ('code' in node) return node;
    if (this.#nodes.size >= ISOLATE_NODES_MAX) {
      for (const oldest of this.#nodes.keys()) {
        this.#nodes.delete(oldest);
        break;
      }
    }
    this.#nodes.set(digest, node);
    return null;
  }

  holdsNode(digest: Digest): boolean {
    return this.#nodes.has(digest);
  }

  lookUp(host: string, { link }: Standing): TenantLookup {
    const recall = (digest: Digest) => this.#recall(digest);
    const found = lookUpTenant(host, link.manifest, recall, this.#crypto);
    if (found.kind === 'known' && link === this.#standing?.link) this.#isProven = true;
    return found;
  }

  basis({ link }: Standing, nowMs: number): Basis {
    return basisOf(link, { ...this.#mirror, nowMs });
  }

  verdicts({ global }: Standing, nowMs: number): Readonly<Record<string, Verdict>> {
    return verdictsOf(global, { ...this.#mirror, nowMs });
  }

  /** Is something newer active, or named by a threshold, that this isolate does not stand on? */
  isBehind({ link }: Standing): boolean {
    const { active } = this.#mirror;
    const newer = active !== null && compareVersions(active, link) > 0;
    return newer || isBehind(link, this.#mirror);
  }

  /** Marks a background refresh; false when another one's mark still holds (E3). */
  mark(nowMs: number): boolean {
    if (nowMs < this.#markedUntilMs) return false;
    this.#markedUntilMs = nowMs + REFRESH_MARK_MS;
    return true;
  }

  beginRefresh(deadlineMs: number): void {
    this.#refreshingUntilMs = Math.max(this.#refreshingUntilMs, deadlineMs);
  }

  /** Then what was heard meanwhile is taken, unless another one is under way for longer. */
  async endRefresh(deadlineMs: number, nowMs: number): Promise<void> {
    if (deadlineMs < this.#refreshingUntilMs) return;
    this.#refreshingUntilMs = 0;
    const heard = this.#heard;
    this.#heard = null;
    if (heard !== null) await this.hear(heard, nowMs);
  }

  /** How often a source gave a head that was fresh enough. */
  get refreshes(): number {
    return this.#refreshes;
  }

  noteRefreshed(): void {
    this.#refreshes += 1;
  }

  /** A source that failed is asked last for a while, so that it costs its timeout once. */
  noteFailure(source: string, nowMs: number): void {
    this.#failedAtMs.set(source, nowMs);
  }

  hasFailed(source: string, nowMs: number): boolean {
    return nowMs - (this.#failedAtMs.get(source) ?? 0) < STORE_PENALTY_MS;
  }

  count(code: string): void {
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
  }

  status(nowMs: number): EdgeStatus {
    const standing = this.#standing;
    const trust = this.trust.document.version;
    const counters = Object.fromEntries(this.#refused);
    if (standing === null) return { trust, version: null, ageMs: null, verdicts: {}, counters };
    const verdicts = this.verdicts(standing, nowMs);
    const { version } = standing.link;
    return { trust, version, ageMs: this.ageMs(nowMs), verdicts, counters };
  }

  /** Stands on the active version at once when its global part is the one already held. */
  #stand(): void {
    const { active } = this.#mirror;
    const held = this.#standing;
    if (active === null || held === null) return;
    if (active.manifest.global === held.link.manifest.global) this.#standOn(active, held.global);
  }

  #standOn(link: Link, global: Global): void {
    const held = this.#standing;
    const isNext = held !== null && held.link.digest !== link.digest;
    if (isNext && this.#isProven) this.#before = held;
    if (isNext) this.#isProven = false;
    this.#standing = { link, global, freshAtMs: this.#mirror.freshAtMs };
  }

  /** Least recently used goes first: a read moves a node to the end. */
  #recall(digest: Digest): MapNode | undefined {
    const node = this.#nodes.get(digest);
    if (node !== undefined) {
      this.#nodes.delete(digest);
      this.#nodes.set(digest, node);
    }
    return node;
  }
}
