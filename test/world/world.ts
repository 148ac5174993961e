// A whole deployment on one machine: edge stores and four edge locations in the real runtime, an
// agent process and a service a region, a witness, all over loopback and TLS of the world's own
// authority. `npm start`, the scenarios and the end-to-end tests are this world.
//
// Order of start: edges first (agents push to them), services, agents (their gateways choose
// ports), then the first commit, which names those ports. A world is ready when every edge stands
// on it.

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Agent as HttpAgent, request } from 'undici';
import { stringify } from 'yaml';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { readSigner } from '../../agent/cli/project.ts';
import { parseJson } from '../../shared/canonical.ts';
import { type IngestAnswer, ingestAnswerSchema } from '../../shared/control/answer.ts';
import { sealDelta } from '../../shared/control/delta.ts';
import type { Signer } from '../../shared/crypto.ts';
import { bundleProduct } from './bundle.ts';
import { LOOPBACK, makeAuthority } from './certificates.ts';
import { type Child, type Children, startGuardian } from './children.ts';
import {
  demoConfig,
  EDGES,
  type EdgeId,
  INGEST,
  REGIONS,
  type Region,
  SITES,
  type Site,
} from './demo.ts';
import { Deployment } from './deployment.ts';
import type { EdgeHostInput } from './edge-host.ts';
import type { Arrivals } from './service.ts';
import { until } from './wait.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const READY_DEADLINE_MS = 20_000;

/** Keys and trust come before anything listens; the first commit names the real ones. */
const UNKNOWN_GATEWAYS = { eu1: 'https://eu1.invalid', us1: 'https://us1.invalid' };

export class World {
  readonly folder: string;
  readonly deployment: Deployment;
  readonly edges: Readonly<Record<EdgeId, string>>;
  readonly children: Children;
  readonly edgeHost: Child;
  readonly agents: ReadonlyMap<Site, Child>;
  readonly services: ReadonlyMap<Region, Child>;
  readonly #http = new HttpAgent();

  private constructor(parts: WorldParts) {
    this.folder = parts.folder;
    this.deployment = parts.deployment;
    this.edges = parts.edges;
    this.children = parts.children;
    this.edgeHost = parts.edgeHost;
    this.agents = parts.agents;
    this.services = parts.services;
  }

  /** Resolves when every edge stands on the first commit with every region up. */
  static async start(say: (line: string) => void): Promise<World> {
    const folder = await mkdtemp(join(tmpdir(), 'portolan-world-'));
    const children = await startGuardian(folder);
    try {
      return await assemble(folder, children, say, (parts) => new World(parts));
    } catch (error) {
      await children.stopAll();
      throw error;
    }
  }

  /** Ends every process; the folder goes too unless `keep`. */
  async stop({ keep }: { readonly keep: boolean } = { keep: false }): Promise<void> {
    await this.#http.close();
    await this.children.stopAll();
    if (!keep) await rm(this.folder, { recursive: true, force: true });
  }

  /**
   * What an edge location and the stores say of themselves, asked by an agent's signed, empty
   * delta.
   */
  async probe(edge: EdgeId): Promise<IngestAnswer> {
    const { status, text } = await this.push(
      edge,
      await this.seal('w1', { commits: [], attestations: [] }),
    );
    if (status !== 200) throw new Error(`${edge} answered ${status} ${text}`);
    return ingestAnswerSchema.parse(parseJson(text)?.value);
  }

  /** A delta sealed with the key of a site's agent. */
  async seal(
    site: Site,
    carried: { commits: readonly unknown[]; attestations: readonly unknown[] },
  ) {
    const { trust } = this.deployment;
    const from = { cluster: trust.cluster, site, agent: `${site}-1` };
    const delta = { v: 1 as const, trust: [trust.jws], ...carried } as Parameters<
      typeof sealDelta
    >[0];
    return sealDelta(delta, from, await this.agentSigner(site), nodeCrypto);
  }

  async push(edge: EdgeId, body: string): Promise<{ status: number; text: string }> {
    const url = `${this.edges[edge]}/.portolan/ingest`;
    const answer = await request(url, { method: 'POST', body, dispatcher: this.#http });
    return { status: answer.statusCode, text: await answer.body.text() };
  }

  operatorSigner(): Promise<Signer> {
    return readSigner(this.deployment.operatorKey);
  }

  agentSigner(site: Site): Promise<Signer> {
    return readSigner(this.deployment.agentKey(site));
  }

  async agentStatus(site: Site): Promise<Record<string, unknown>> {
    const api = this.agents.get(site)?.ready['api'];
    const answer = await request(`http://127.0.0.1:${api}/v1/status`, { dispatcher: this.#http });
    return (await answer.body.json()) as Record<string, unknown>;
  }

  /** Counted by the service itself, the only honest witness of where requests went. */
  async arrivals(region: Region, since = 0): Promise<Arrivals> {
    const url = this.services.get(region)?.ready['url'];
    const answer = await request(`${url}/-/arrivals?since=${since}`, { dispatcher: this.#http });
    return (await answer.body.json()) as Arrivals;
  }
}

interface WorldParts {
  readonly folder: string;
  readonly deployment: Deployment;
  readonly edges: Readonly<Record<EdgeId, string>>;
  readonly children: Children;
  readonly edgeHost: Child;
  readonly agents: ReadonlyMap<Site, Child>;
  readonly services: ReadonlyMap<Region, Child>;
}

async function assemble(
  folder: string,
  children: Children,
  say: (line: string) => void,
  make: (parts: WorldParts) => World,
): Promise<World> {
  say('keys, trust document, certificates');
  const deployment = await Deployment.create(join(folder, 'project'), demoConfig(UNKNOWN_GATEWAYS));
  const tls = await writeCertificates(folder);
  say('bundling the Workers');
  const { edge, store } = await bundleProduct();
  say('edge stores and edge locations');
  const input: EdgeHostInput = {
    locations: EDGES.map((id) => ({
      id,
      vars: { TRUST: deployment.project.trustText, DECISION_LOG: 'all' },
    })),
    storeVars: {
      TRUST: deployment.project.trustText,
      EDGE_KEY: await readFile(deployment.project.keys.edge, 'utf8'),
    },
    bundles: { edge: edge.file, store: store.file },
    folder: join(folder, 'edge'),
    caFile: tls.ca,
  };
  const edgeHost = await startEdges(children, input, folder);
  const edges = edgeHost.ready['edges'] as Readonly<Record<EdgeId, string>>;
  say('services and agents');
  const services = new Map<Region, Child>();
  for (const region of REGIONS) services.set(region, await startService(children, region, folder));
  const agents = await startAgents({ children, deployment, edges, services, folder, tls });
  say('the first commit');
  const gateway = (site: Region) => `https://127.0.0.1:${agents.get(site)?.ready['gateway']}`;
  const gateways = { eu1: gateway('eu1'), us1: gateway('us1') };
  await deployment.apply(demoConfig(gateways), 'the first commit');
  const world = make({ folder, deployment, edges, children, edgeHost, agents, services });
  for (const id of EDGES) {
    await until(`edge ${id} stands on the first commit`, () => isReady(world, id), {
      deadlineMs: READY_DEADLINE_MS,
    });
  }
  return world;
}

async function isReady(world: World, id: EdgeId): Promise<boolean> {
  const { edge } = await world.probe(id);
  return edge.version !== null && REGIONS.every((region) => edge.verdicts[region] === 'up');
}

interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

async function writeCertificates(folder: string): Promise<TlsFiles> {
  const authority = await makeAuthority();
  const { cert, key } = await authority.issue(LOOPBACK);
  const files = {
    ca: join(folder, 'ca.pem'),
    cert: join(folder, 'tls.pem'),
    key: join(folder, 'tls.key'),
  };
  await writeFile(files.ca, authority.caPem);
  await writeFile(files.cert, cert);
  await writeFile(files.key, key, { mode: 0o600 });
  return files;
}

async function startEdges(
  children: Children,
  input: EdgeHostInput,
  folder: string,
): Promise<Child> {
  await mkdir(input.folder, { recursive: true });
  const file = join(folder, 'edges.json');
  await writeFile(file, JSON.stringify(input));
  return children.start({
    name: 'edges',
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

interface AgentsOrder {
  readonly children: Children;
  readonly deployment: Deployment;
  readonly edges: Readonly<Record<EdgeId, string>>;
  readonly services: ReadonlyMap<Region, Child>;
  readonly folder: string;
  readonly tls: TlsFiles;
}

/**
 * Starts all agents, then tells each where the others listen (they chose their ports themselves).
 */
async function startAgents(order: AgentsOrder): Promise<ReadonlyMap<Site, Child>> {
  const agents = new Map<Site, Child>();
  for (const site of SITES) {
    const config = await writeAgentConfig(order, site, []);
    const child = await order.children.start({
      name: `agent-${site}`,
      command: process.execPath,
      args: [join(ROOT, 'agent/main.ts'), config],
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
  const { deployment, edges, services, folder, tls } = order;
  const free = { host: '127.0.0.1', port: 0 };
  const service = services.get(site as Region)?.ready['url'];
  const path = join(folder, `agent-${site}.yaml`);
  const config = {
    site,
    agent: `${site}-1`,
    key: deployment.agentKey(site),
    trust: deployment.project.paths.trust,
    control: { file: deployment.project.paths.control },
    keep: join(folder, `agent-${site}.keep.json`),
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
