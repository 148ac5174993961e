// A whole deployment on one machine: edge stores and four edge locations in the real runtime, an
// agent process and a service a region, a witness, all over loopback and TLS of the world's own
// authority. `npm start`, the scenarios and the end-to-end tests are this world.
//
// A world is ready when every edge stands on the first commit (its parts: assemble.ts).

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent as HttpAgent, request } from 'undici';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { askAgent } from '../../agent/cli/agent-http.ts';
import { readSigner } from '../../agent/cli/project.ts';
import { parseJson } from '../../shared/canonical.ts';
import { type IngestAnswer, ingestAnswerSchema } from '../../shared/control/answer.ts';
import { sealDelta } from '../../shared/control/delta.ts';
import { PROTOCOL } from '../../shared/control/protocol.ts';
import type { Signer } from '../../shared/crypto.ts';
import { type AgentsOrder, type Comeback, startAgainAgent } from './agents.ts';
import { assemble, edgeHostInput, startEdges, type WorldParts } from './assemble.ts';
import { type Child, type Children, startGuardian } from './children.ts';
import type { Control, ControlKind } from './control.ts';
import { EDGES, type EdgeId, REGIONS, type Region, type Site } from './demo.ts';
import type { Deployment } from './deployment.ts';
import type { EtcdCluster } from './etcd.ts';
import type { FaultProxy } from './fault-proxy.ts';
import type { Arrivals } from './service.ts';
import type { TlsFiles } from './tls.ts';
import { until } from './wait.ts';

const READY_DEADLINE_MS = 20_000;

export type WorldOptions = {
  readonly control?: ControlKind;
  /** 1: hard ages as in production. A scenario that would only wait for them takes 0.1. */
  readonly timeScale?: number;
};

export class World {
  readonly folder: string;
  readonly deployment: Deployment;
  readonly edges: Readonly<Record<EdgeId, string>>;
  /** On the way from all agents to an edge location. */
  readonly edgeLinks: Readonly<Record<EdgeId, FaultProxy>>;
  readonly children: Children;
  readonly edgeHost: Child;
  readonly agents: Map<Site, Child>;
  readonly #agentsOrder: AgentsOrder;
  readonly services: ReadonlyMap<Region, Child>;
  readonly timeScale: number;
  readonly #control: Control;
  readonly #closed = new AbortController();
  readonly #ending: AsyncDisposableStack;
  readonly #http = new HttpAgent();

  private constructor(parts: WorldParts, ending: AsyncDisposableStack) {
    this.folder = parts.folder;
    this.deployment = parts.deployment;
    this.edges = parts.edges;
    this.edgeLinks = parts.links.proxies;
    this.children = parts.children;
    this.edgeHost = parts.edgeHost;
    this.agents = parts.agents;
    this.#agentsOrder = parts.agentsOrder;
    this.services = parts.services;
    this.timeScale = parts.timeScale;
    this.#control = parts.control;
    this.#ending = ending;
  }

  /** Resolves when every edge stands on the first commit with every region up. */
  static async start(say: (line: string) => void, options: WorldOptions = {}): Promise<World> {
    const { control = 'file', timeScale = 1 } = options;
    const folder = await mkdtemp(join(tmpdir(), 'portolan-world-'));
    const children = await startGuardian(folder);
    const ending = new AsyncDisposableStack();
    ending.defer(() => children.stopAll());
    try {
      const order = { folder, children, ending, control, timeScale, say };
      const world = new World(await assemble(order), ending);
      await Promise.all(EDGES.map((id) => world.#becomeReady(id)));
      return world;
    } catch (error) {
      await ending.disposeAsync();
      throw error;
    }
  }

  /** Where its decisions are kept. */
  get control(): ControlKind {
    return this.#control.kind;
  }

  /** The members. Throws in a world with `control: file`. */
  get etcd(): EtcdCluster {
    return this.#control.etcd();
  }

  /** On the way of a site's agents to all members. Throws in a world with `control: file`. */
  get proxies(): Readonly<Record<Site, FaultProxy>> {
    return this.#control.proxies();
  }

  /** What its gateways show, and their callers trust. */
  get tls(): TlsFiles {
    return this.#agentsOrder.tls;
  }

  /** Locations and stores beside its own, which believe another trust document. */
  async otherEdges(name: string, trustText: string): Promise<Child> {
    const { edge } = this.deployment.project.keys;
    const input = await edgeHostInput(trustText, edge, join(this.folder, name), this.tls.ca);
    return startEdges(this.children, name, input);
  }

  /** Aborted when it is stopped: whatever goes on until then ends with it. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Ends every process; the folder goes too unless `keep`. */
  async stop({ keep }: { readonly keep: boolean } = { keep: false }): Promise<void> {
    this.#closed.abort();
    await this.#http.close();
    await this.#ending.disposeAsync();
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

  /** A delta sealed with the key of a site's agent; `members` may be those of another version. */
  async seal(
    site: Site,
    carried: {
      readonly trust?: readonly unknown[];
      readonly commits: readonly unknown[];
      readonly attestations: readonly unknown[];
    },
    members: object = {},
  ) {
    const { trust } = this.deployment;
    const from = { cluster: trust.cluster, site, agent: `${site}-1` };
    const delta = { v: PROTOCOL, trust: [trust.jws], ...carried, ...members } as Parameters<
      typeof sealDelta
    >[0];
    return sealDelta(delta, from, await this.agentSigner(site), nodeCrypto);
  }

  async push(edge: EdgeId, body: string): Promise<{ status: number; text: string }> {
    const url = `${this.edges[edge]}/.portolan/ingest`;
    const answer = await request(url, { method: 'POST', body, dispatcher: this.#http });
    return { status: answer.statusCode, text: await answer.body.text() };
  }

  /** What anybody may send to a site's agent who reaches it. */
  async post(site: Site, path: string, body: string): Promise<{ status: number; text: string }> {
    const url = `http://127.0.0.1:${this.agents.get(site)?.ready['api']}${path}`;
    const headers = { 'content-type': 'application/json' };
    const answer = await request(url, { method: 'POST', body, headers, dispatcher: this.#http });
    return { status: answer.statusCode, text: await answer.body.text() };
  }

  operatorSigner(): Promise<Signer> {
    return this.signerOf(this.deployment.operatorKey);
  }

  /** By the path of a private key. */
  signerOf(key: string): Promise<Signer> {
    return readSigner(key);
  }

  agentSigner(site: Site): Promise<Signer> {
    return readSigner(this.deployment.agentKey(site));
  }

  /** The agent of a site again, after it has ended. */
  async startAgain(site: Site, comeback: Comeback = {}): Promise<void> {
    this.agents.set(site, await startAgainAgent(this.#agentsOrder, this.agents, site, comeback));
  }

  agentStatus(site: Site): Promise<Record<string, unknown>> {
    return this.askAgent(site, '/v1/status');
  }

  /** What a site's agent answers to an operator. Rejects when it does not. */
  async askAgent(site: Site, target: string): Promise<Record<string, unknown>> {
    const api = this.agents.get(site)?.ready['api'];
    const { cluster } = this.deployment.trust;
    const access = { cluster, signer: await this.operatorSigner(), ca: null };
    const question = { method: 'GET', target } as const;
    const { status, value } = await askAgent(`http://127.0.0.1:${api}`, question, access);
    if (status !== 200) throw new Error(`agent ${site} answered ${status}`);
    return value as Record<string, unknown>;
  }

  /** Counted by the service itself, the only honest witness of where requests went. */
  async arrivals(region: Region, since = 0): Promise<Arrivals> {
    const url = this.services.get(region)?.ready['url'];
    const answer = await request(`${url}/-/arrivals?since=${since}`, { dispatcher: this.#http });
    return (await answer.body.json()) as Arrivals;
  }

  async #becomeReady(id: EdgeId): Promise<void> {
    const isReady = async () => {
      const { edge } = await this.probe(id);
      return edge.version !== null && REGIONS.every((region) => edge.verdicts[region] === 'up');
    };
    const what = `edge ${id} stands on the first commit`;
    await until(what, isReady, { deadlineMs: READY_DEADLINE_MS });
  }
}
