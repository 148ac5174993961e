// The agents of a world: a process a site, at a region with its gateway.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { Child, Children } from './children.ts';
import type { Control } from './control.ts';
import { type EdgeId, INGEST, type Region, SITES, type Site } from './demo.ts';
import type { Deployment } from './deployment.ts';
import type { TlsFiles } from './tls.ts';

const AGENT = fileURLToPath(new URL('../../agent/main.ts', import.meta.url));

export type AgentsOrder = {
  readonly children: Children;
  readonly deployment: Deployment;
  readonly control: Control;
  /** Where agents reach the edge locations. */
  readonly edges: Readonly<Record<EdgeId, string>>;
  readonly services: ReadonlyMap<Region, Child>;
  readonly folder: string;
  readonly tls: TlsFiles;
};

/**
 * Starts all agents, then tells each where the others listen (they chose their ports themselves).
 */
export async function startAgents(order: AgentsOrder): Promise<ReadonlyMap<Site, Child>> {
  const agents = new Map<Site, Child>();
  for (const site of SITES) {
    const config = await writeAgentConfig(order, site, []);
    const child = await order.children.start({
      name: `agent-${site}`,
      command: process.execPath,
      args: [AGENT, config],
    });
    agents.set(site, child);
  }
  for (const [site, child] of agents) {
    const others = [...agents].filter(([other]) => other !== site);
    const urls = others.map(([, { ready }]) => `http://127.0.0.1:${ready['api']}/v1/delta`);
    await writeAgentConfig(order, site, urls);
    await child.signal('SIGHUP');
  }
  return agents;
}

async function writeAgentConfig(
  order: AgentsOrder,
  site: Site,
  peers: readonly string[],
): Promise<string> {
  const { deployment, control, edges, services, folder, tls } = order;
  const free = { host: '127.0.0.1', port: 0 };
  const service = services.get(site as Region)?.ready['url'];
  const path = join(folder, `agent-${site}.yaml`);
  const config = {
    site,
    agent: `${site}-1`,
    key: deployment.agentKey(site),
    trust: deployment.project.paths.trust,
    control: control.section(site),
    keep: join(folder, `agent-${site}.keep.json`),
    copy: join(folder, `agent-${site}.copy`),
    join: deployment.joinOf(site),
    ingest: INGEST[site].map((edge) => `${edges[edge]}/.portolan/ingest`),
    peers,
    api: free,
    ...(service === undefined
      ? {}
      : { gateway: { listen: free, tls: { cert: tls.cert, key: tls.key }, service } }),
  };
  await writeFile(path, stringify(config));
  return path;
}
