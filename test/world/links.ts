// The ways from the agents to the edge locations: a proxy a location, so that a scenario can cut
// one off from all agents. Requests of clients go past them, and so does a location's way to its
// stores.

import { EDGES, type EdgeId } from './demo.ts';
import { FaultProxy } from './fault-proxy.ts';

export type EdgeLinks = {
  readonly proxies: Readonly<Record<EdgeId, FaultProxy>>;
  /** The origins of the locations as agents know them. */
  readonly edges: Readonly<Record<EdgeId, string>>;
  stop(): Promise<void>;
};

/** `edges` are origins with the ports where the locations listen. */
export async function linkEdges(edges: Readonly<Record<EdgeId, string>>): Promise<EdgeLinks> {
  const made = await Promise.all(
    EDGES.map(
      async (id) => [id, await FaultProxy.start([Number(new URL(edges[id]).port)])] as const,
    ),
  );
  const origins = made.map(([id, { port }]) => [id, `http://127.0.0.1:${port}`] as const);
  return {
    proxies: Object.fromEntries(made) as Record<EdgeId, FaultProxy>,
    edges: Object.fromEntries(origins) as Record<EdgeId, string>,
    stop: async () => {
      await Promise.all(made.map(([, proxy]) => proxy.close()));
    },
  };
}
