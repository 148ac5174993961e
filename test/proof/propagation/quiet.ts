// What attestations cost while nothing happens: CPU of every process, bytes on the wires that have
// a proxy, how often each site spoke. Nobody asks the edges for anything meanwhile. One agent is
// asked what it heard every second and a half, which is in its own CPU.

import { nodeCrypto } from '../../../agent/adapters/crypto.ts';
import { attestationKind } from '../../../shared/control/attestation.ts';
import { decodeJws } from '../../../shared/control/jws.ts';
import { EDGES, INGEST, SITES, type Site } from '../../world/demo.ts';
import { STORES } from '../../world/edge-host.ts';
import type { FaultProxy } from '../../world/fault-proxy.ts';
import { pause } from '../../world/wait.ts';
import type { World } from '../../world/world.ts';
import { below, cpuOf, holdsOpen } from './processes.ts';

/** Less than the agents' two seconds, so that no word is missed. */
const ASK_EVERY_MS = 1_500;

export type Quiet = {
  readonly seconds: number;
  /** CPU, ms. */
  readonly agentMs: Readonly<Record<Site, number>>;
  readonly storesMs: number;
  readonly locationsMs: number;
  /** How often each site attested, and so posted to its one location. */
  readonly words: Readonly<Record<Site, number>>;
  /** Agents to locations, and back; agents to etcd, and back. */
  readonly edgeBytes: readonly [number, number];
  readonly etcdBytes: readonly [number, number];
};

export async function measureQuiet(world: World, seconds: number): Promise<Quiet> {
  const runtimes = runtimesOf(world);
  const agents = SITES.map((site) => [site, world.agents.get(site)?.pid ?? 0] as const);
  const links = EDGES.map((edge) => world.edgeLinks[edge]);
  const ways = SITES.map((site) => world.proxies[site]);
  const look = () => ({
    atMs: performance.now(),
    agents: agents.map(([, pid]) => cpuOf(pid)),
    stores: sum(runtimes.stores.map(cpuOf)),
    locations: sum(runtimes.locations.map(cpuOf)),
    edge: bytesOf(links),
    etcd: bytesOf(ways),
  });
  const before = look();
  const words = await countWords(world, seconds * 1000);
  const after = look();
  const between = agents.map(([site], i) => {
    return [site, (after.agents[i] ?? 0) - (before.agents[i] ?? 0)] as const;
  });
  const less = (a: readonly [number, number], b: readonly [number, number]) =>
    [a[0] - b[0], a[1] - b[1]] as const;
  return {
    seconds: (after.atMs - before.atMs) / 1000,
    agentMs: Object.fromEntries(between) as Record<Site, number>,
    storesMs: after.stores - before.stores,
    locationsMs: after.locations - before.locations,
    words,
    edgeBytes: less(after.edge, before.edge),
    etcdBytes: less(after.etcd, before.etcd),
  };
}

/** Sites that post to a location: each once for each word. */
export function ingestsOf({ words }: Pick<Quiet, 'words'>): number {
  return sum(SITES.map((site) => words[site] * INGEST[site].length));
}

/** A runtime process a store and one a location; a store's holds its object's file open. */
function runtimesOf(world: World) {
  const pids = below(world.edgeHost.pid)
    .map(({ pid }) => pid)
    .filter((pid) => pid !== world.edgeHost.pid);
  const isStore = (pid: number) => STORES.some((id) => holdsOpen(pid, `/store-${id}/do/`));
  const stores = pids.filter(isStore);
  const locations = pids.filter((pid) => !stores.includes(pid));
  if (stores.length !== STORES.length || locations.length < EDGES.length) {
    throw new Error(`${stores.length} stores and ${locations.length} locations among ${pids}`);
  }
  return { stores, locations };
}

async function countWords(world: World, ms: number): Promise<Readonly<Record<Site, number>>> {
  const heard = new Set<string>();
  const words: Record<Site, number> = { eu1: 0, us1: 0, w1: 0 };
  const began = performance.now();
  const never = new AbortController().signal;
  let first = true;
  for (;;) {
    const { attestations } = await world.askAgent('w1', '/v1/attestations');
    for (const input of attestations as readonly unknown[]) {
      const decoded = decodeJws(input, attestationKind, nodeCrypto);
      if (!('claimed' in decoded) || heard.has(decoded.digest)) continue;
      heard.add(decoded.digest);
      // Those of the first look were said before.
      if (!first) words[decoded.claimed.site as Site] += 1;
    }
    first = false;
    const left = began + ms - performance.now();
    if (left <= 0) return words;
    await pause(Math.min(ASK_EVERY_MS, left), never);
  }
}

function bytesOf(proxies: readonly FaultProxy[]): readonly [number, number] {
  const counts = proxies.map((proxy) => proxy.counts());
  return [
    sum(counts.map(({ bytesToTarget }) => bytesToTarget)),
    sum(counts.map(({ bytesToClient }) => bytesToClient)),
  ];
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}
