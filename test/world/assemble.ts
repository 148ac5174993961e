// Starts the parts of a world in the order in which they need one another: edges first (agents push
// to them), services, what keeps the decisions, agents (their gateways choose ports), then the
// first commit, which names those ports.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AgentsOrder, startAgents } from './agents.ts';
import { bundleProduct } from './bundle.ts';
import type { Child, Children } from './children.ts';
import { type Control, type ControlKind, fileControl, startEtcdControl } from './control.ts';
import { demoConfig, EDGES, type EdgeId, REGIONS, type Region, type Site } from './demo.ts';
import { Deployment } from './deployment.ts';
import type { EdgeHostInput } from './edge-host.ts';
import { type EdgeLinks, linkEdges } from './links.ts';
import { writeTls } from './tls.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Keys and trust come before anything listens; the first commit names the real ones. */
const UNKNOWN_GATEWAYS = { eu1: 'https://eu1.invalid', us1: 'https://us1.invalid' };

export type WorldOrder = {
  readonly folder: string;
  readonly children: Children;
  /** Gets what must be ended, also when a later part does not start. */
  readonly ending: AsyncDisposableStack;
  readonly control: ControlKind;
  /** What ages in policies are multiplied by. */
  readonly timeScale: number;
  readonly say: (line: string) => void;
};

export type WorldParts = {
  readonly folder: string;
  readonly children: Children;
  readonly deployment: Deployment;
  readonly control: Control;
  readonly edges: Readonly<Record<EdgeId, string>>;
  readonly links: EdgeLinks;
  readonly edgeHost: Child;
  readonly agents: Map<Site, Child>;
  readonly agentsOrder: AgentsOrder;
  readonly services: ReadonlyMap<Region, Child>;
  readonly timeScale: number;
};

/** Resolves with the first commit made, which nobody needs to have seen yet. */
export async function assemble(order: WorldOrder): Promise<WorldParts> {
  const { folder, children, say, timeScale } = order;
  say('keys, trust document, certificates');
  const project = join(folder, 'project');
  const config = demoConfig(UNKNOWN_GATEWAYS, timeScale);
  const deployment = await Deployment.create(project, config);
  const tls = await writeTls(folder);
  say('bundling the Workers');
  const { trustText, keys } = deployment.project;
  const input = await edgeHostInput(trustText, keys.edge, join(folder, 'edge'), tls.ca);
  say('edge stores and edge locations');
  const edgeHost = await startEdges(children, 'edges', input);
  const edges = edgeHost.ready['edges'] as Readonly<Record<EdgeId, string>>;
  const links = await linkEdges(edges);
  order.ending.defer(() => links.stop());
  const control = await startControl(order, deployment);
  order.ending.defer(() => control.stop());
  say('services and agents');
  const services = new Map<Region, Child>();
  for (const region of REGIONS) services.set(region, await startService(children, region, folder));
  const reached = { control, edges: links.edges, services };
  const agentsOrder = { children, deployment, folder, tls, ...reached };
  const agents = await startAgents(agentsOrder);
  say('the first commit');
  const gateway = (site: Region) => `https://127.0.0.1:${agents.get(site)?.ready['gateway']}`;
  const gateways = { eu1: gateway('eu1'), us1: gateway('us1') };
  if (control.kind === 'etcd') {
    const urls = [...agents.values()].map(({ ready }) => `http://127.0.0.1:${ready['api']}`);
    deployment.through(urls);
  }
  await deployment.apply(demoConfig(gateways, timeScale), 'the first commit');
  const running = { control, edges, links, edgeHost, agents, agentsOrder, services };
  return { folder, children, deployment, timeScale, ...running };
}

async function startControl(order: WorldOrder, deployment: Deployment): Promise<Control> {
  const { folder, children, say } = order;
  if (order.control === 'file') return fileControl(deployment.project.paths.control);
  say('an etcd of three members');
  return startEtcdControl({ children, folder, cluster: deployment.trust.cluster });
}

/** All locations and stores, which believe `trustText`; the path of the stores' key. */
export async function edgeHostInput(
  trustText: string,
  edgeKey: string,
  folder: string,
  caFile: string,
): Promise<EdgeHostInput> {
  const { edge, store } = await bundleProduct();
  return {
    locations: EDGES.map((id) => ({ id, vars: { TRUST: trustText, DECISION_LOG: 'all' } })),
    storeVars: { TRUST: trustText, EDGE_KEY: await readFile(edgeKey, 'utf8') },
    bundles: { edge: edge.file, store: store.file },
    folder,
    caFile,
  };
}

export async function startEdges(
  children: Children,
  name: string,
  input: EdgeHostInput,
): Promise<Child> {
  await mkdir(input.folder, { recursive: true });
  const file = `${input.folder}.json`;
  await writeFile(file, JSON.stringify(input));
  return children.start({
    name,
    command: process.execPath,
    args: [join(ROOT, 'test/world/edge-host.ts'), file],
    env: { NODE_EXTRA_CA_CERTS: input.caFile },
  });
}

function startService(children: Children, region: Region, folder: string): Promise<Child> {
  return children.start({
    name: `service-${region}`,
    command: process.execPath,
    args: [join(ROOT, 'test/world/service.ts'), region, join(folder, `notes-${region}.sqlite`)],
  });
}
