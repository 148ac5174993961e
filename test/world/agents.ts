// The agents of a world: a process a site, at a region with its gateway.

import { rm, writeFile } from 'node:fs/promises';
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
export async function startAgents(order: AgentsOrder): Promise<Map<Site, Child>> {
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

/** How an agent comes back. */
export type Comeback = {
  /** Everything that it kept is gone: its memory, its copy, its operator's join. */
  readonly wiped?: boolean;
};

/** Starts the agent of a site again, which has ended, where it listened before. */
export async function startAgainAgent(
  order: AgentsOrder,
  agents: ReadonlyMap<Site, Child>,
  site: Site,
  { wiped = false }: Comeback,
): Promise<Child> {
  const { folder } = order;
  if (wiped) {
    await rm(join(folder, `agent-${site}.keep.json`), { force: true });
    await rm(join(folder, `agent-${site}.copy`), { recursive: true, force: true });
  }
  const others = [...agents].filter(([other]) => other !== site);
  const urls = others.map(([, { ready }]) => `http://127.0.0.1:${ready['api']}/v1/delta`);
  const before = agents.get(site)?.ready ?? {};
  const config = await writeAgentConfig(order, site, urls, {
    api: Number(before['api'] ?? 0),
    gateway: Number(before['gateway'] ?? 0),
    hasJoin: !wiped,
  });
  const args = [AGENT, config];
  return order.children.start({ name: `agent-${site}`, command: process.execPath, args });
}

/** 0: the kernel chooses. */
const FRESH = { api: 0, gateway: 0, hasJoin: true };

async function writeAgentConfig(
  order: AgentsOrder,
  site: Site,
  peers: readonly string[],
  { api, gateway, hasJoin } = FRESH,
): Promise<string> {
  const { deployment, control, edges, services, folder, tls } = order;
  const at = (port: number) => ({ host: '127.0.0.1', port });
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
    ...(hasJoin ? { join: deployment.joinOf(site) } : {}),
    ingest: INGEST[site].map((edge) => `${edges[edge]}/.portolan/ingest`),
    peers,
    api: at(api),
    ...(service === undefined
      ? {}
      : { gateway: { listen: at(gateway), tls: { cert: tls.cert, key: tls.key }, service } }),
  };
  await writeFile(path, stringify(config));
  return path;
}
