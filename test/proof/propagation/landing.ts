// The way of one commit, by timestamps that exist already: when its author sent it and was
// answered, when a watch of etcd showed it, when each site attested it (`issuedAt`), when each
// store wrote APPLIED (`at` of its receipt, collected into etcd). All processes are on one machine,
// so one clock.
//
// A store's clock stands still while it computes (production's does, too), so `at` is when the
// delta had reached the store; verification and the transaction, some milliseconds, come after it.
// When its receipt lies in etcd is told beside it: then it is certainly applied.

import { nodeCrypto } from '../../../agent/adapters/crypto.ts';
import { EtcdCluster, readTls } from '../../../agent/adapters/etcd.ts';
import { EtcdKeys } from '../../../agent/control/etcd-keys.ts';
import { parseJson } from '../../../shared/canonical.ts';
import { attestationKind } from '../../../shared/control/attestation.ts';
import { decodeJws } from '../../../shared/control/jws.ts';
import { receiptKind } from '../../../shared/control/receipt.ts';
import { epochMs, type Landed } from '../../world/author.ts';
import { SITES, type Site } from '../../world/demo.ts';
import { STORES } from '../../world/edge-host.ts';
import { until } from '../../world/wait.ts';
import type { World } from '../../world/world.ts';

const PATIENCE_MS = 20_000;

export type Way = Landed & {
  readonly through: Site;
  /** When a watch told of it: an upper bound of when etcd had decided it. */
  readonly decidedMs: number;
  /** By site, when it first attested the commit. */
  readonly attestedMs: Readonly<Record<string, number>>;
  /** By store, when it applied the commit, and when its receipt was seen in etcd. */
  readonly appliedMs: Readonly<Record<string, number>>;
  readonly collectedMs: Readonly<Record<string, number>>;
};

/** Times by `version` or `store version`, as they come in. */
type Times = Map<string, number>;

export class Landings {
  readonly #world: World;
  readonly #etcd: EtcdCluster;
  readonly #decided: Times = new Map();
  readonly #applied: Times = new Map();
  readonly #collected: Times = new Map();

  private constructor(world: World, etcd: EtcdCluster) {
    this.#world = world;
    this.#etcd = etcd;
  }

  /** Watches the members directly, with a site's own credentials. */
  static async open(world: World): Promise<Landings> {
    const tls = await readTls(world.etcd.credentials('w1'));
    const endpoints = SITES.map((site) => `https://localhost:${world.etcd.member(site).port}`);
    const etcd = new EtcdCluster({ endpoints, tls });
    const landings = new Landings(world, etcd);
    const { cluster } = world.deployment.trust;
    const keys = new EtcdKeys(cluster);
    const { revision } = await etcd.range({ from: keys.head, to: `${keys.head}\0`, limit: 1 });
    void landings.#watch(keys.commits, revision, (key) => {
      landings.#decided.set(String(keys.versionOf(key)), epochMs());
    });
    void landings.#watch(`/portolan/${cluster}/receipts/`, revision, (_, value) => {
      landings.#receipt(value);
    });
    return landings;
  }

  close(): void {
    this.#etcd.close();
  }

  /** Everything about a commit that has landed, when it is all there. */
  async follow(landed: Landed, through: Site): Promise<Way> {
    const version = String(landed.version);
    const attestedMs: Record<string, number> = {};
    await until(
      `version ${version} decided, attested by every site and applied by every store`,
      async () => {
        const applied = STORES.filter((store) => this.#applied.has(`${store} ${version}`));
        const told = `decided ${this.#decided.has(version)}, applied by ${applied.join()}`;
        if (!this.#decided.has(version) || applied.length < STORES.length) throw new Error(told);
        await this.#readAttestations(landed, attestedMs);
        if (Object.keys(attestedMs).length === SITES.length) return true;
        throw new Error(`${told}, attested by ${Object.keys(attestedMs).join()}`);
      },
      { deadlineMs: PATIENCE_MS },
    );
    const ofStores = (times: Times) =>
      Object.fromEntries(STORES.map((id) => [id, times.get(`${id} ${version}`) ?? Number.NaN]));
    return {
      ...landed,
      through,
      decidedMs: this.#decided.get(version) ?? Number.NaN,
      attestedMs,
      appliedMs: ofStores(this.#applied),
      collectedMs: ofStores(this.#collected),
    };
  }

  /** The first word of each site for it; the next one comes 2 s later. */
  async #readAttestations({ digest }: Landed, times: Record<string, number>): Promise<void> {
    const answer = await this.#world.askAgent('w1', '/v1/attestations');
    for (const input of answer['attestations'] as readonly unknown[]) {
      const decoded = decodeJws(input, attestationKind, nodeCrypto);
      if (!('claimed' in decoded)) continue;
      const { site, envelope, issuedAt } = decoded.claimed;
      if (envelope === digest) times[site] = Math.min(times[site] ?? issuedAt, issuedAt);
    }
  }

  #receipt(value: string): void {
    const decoded = decodeJws(parseJson(value)?.value, receiptKind, nodeCrypto);
    if (!('claimed' in decoded) || decoded.claimed.outcome.kind !== 'applied') return;
    const { store, at, outcome } = decoded.claimed;
    const key = `${store} ${outcome.version}`;
    this.#applied.set(key, at);
    this.#collected.set(key, epochMs());
  }

  async #watch(
    prefix: string,
    since: bigint,
    tell: (key: string, value: string) => void,
  ): Promise<void> {
    const watch = this.#etcd.watch(prefix, since + 1n);
    for (;;) {
      const frame = await watch.next();
      if (frame.kind === 'ended' || frame.kind === 'compacted') return;
      if (frame.kind !== 'events') continue;
      for (const event of frame.events) if (event.kind === 'put') tell(event.key, event.value);
    }
  }
}
