// Where control state comes from in these tests: commits and attestations made with the kit's keys,
// in the forms in which an edge meets them. It keeps every piece that there ever was.

import { toWire } from '../../shared/canonical.ts';
import type { Attestation } from '../../shared/control/attestation.ts';
import { sealDelta } from '../../shared/control/delta.ts';
import type { Operation } from '../../shared/control/envelope.ts';
import type { Jws } from '../../shared/control/jws.ts';
import { PROTOCOL } from '../../shared/control/protocol.ts';
import type { Trust } from '../../shared/control/trust.ts';
import { HEAD_COMMITS_MAX } from '../../shared/limits.ts';
import {
  agentKey,
  attest,
  commit,
  crypto,
  FIRST,
  newHolder,
  put,
  type SiteName,
  type TestHolder,
} from '../shared/kit.ts';

/** Some moment of 2026, in ms. */
export const NOW = 1_790_000_000_000;

/** A threshold of the kit's three sites. */
export const TWO: readonly SiteName[] = ['eu1', 'us1'];

export interface Carried {
  readonly commits?: readonly unknown[];
  readonly attestations?: readonly unknown[];
}

export class Origin {
  readonly held: TestHolder;
  readonly pieces = new Map<string, string>();

  private constructor(held: TestHolder) {
    this.held = held;
  }

  /** After these commits. */
  static async of(trust: Trust, ...commits: readonly (readonly Operation[])[]): Promise<Origin> {
    const origin = new Origin(newHolder(trust));
    for (const operations of commits) await origin.commit(operations);
    return origin;
  }

  /** After the kit's first commit and `more`. */
  static start(trust: Trust, ...more: readonly (readonly Operation[])[]): Promise<Origin> {
    return Origin.of(trust, FIRST, ...more);
  }

  get commits(): readonly Jws[] {
    return this.held.commits;
  }

  get version(): bigint {
    return this.held.holder.state.manifest.version;
  }

  async commit(operations: readonly Operation[]): Promise<void> {
    const { pieces } = await commit(this.held, operations);
    for (const [digest, text] of pieces) this.pieces.set(digest, text);
  }

  /** A twin that goes its own way from here. */
  fork(): Origin {
    const { holder, nodes, commits } = this.held;
    const twin = new Origin({ holder, nodes: new Map(nodes), commits: [...commits] });
    for (const [digest, text] of this.pieces) twin.pieces.set(digest, text);
    return twin;
  }

  /** One attestation a site of what is newest here. */
  words(
    nowMs: number,
    sites: readonly SiteName[] = TWO,
    changes: Partial<Attestation> = {},
  ): Promise<Jws[]> {
    return Promise.all(sites.map((site) => attest(this.held, site, nowMs, changes)));
  }

  /** The head that a store which holds these words would write. */
  head(words: readonly unknown[] = [], upTo = this.version): string {
    const commits = this.held.holder.chain
      .filter(({ version }) => version <= upTo)
      .slice(-HEAD_COMMITS_MAX)
      .map(({ jws, manifest }) => ({ jws, manifest: toWire(manifest) }));
    return JSON.stringify({ v: PROTOCOL, commits, attestations: words });
  }

  /** The head under a threshold's words. */
  async freshHead(nowMs: number): Promise<string> {
    return this.head(await this.words(nowMs));
  }
}

/** An ingest body as the agent of `site` seals it. */
export function sealed({ commits = [], attestations = [] }: Carried, site: SiteName = 'eu1') {
  const delta = { v: 1, trust: [], commits, attestations } as Parameters<typeof sealDelta>[0];
  const from = { cluster: 'demo', site, agent: `${site}-1` };
  return sealDelta(delta, from, agentKey(site), crypto);
}

/** A harmless change; each `n` is another. */
export function change(n: number): readonly Operation[] {
  return [put('global/latency/zrh', { eu1: n, us1: n + 1 })];
}
