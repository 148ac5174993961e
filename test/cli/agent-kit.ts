// Agents of a project in this process, each with its listener: what the command line meets when it
// goes through agents.

import { onTestFinished } from 'vitest';
import { nodeCrypto } from '../../agent/adapters/crypto.ts';
import { ControlDirectory } from '../../agent/adapters/directory.ts';
import { apiPortsOf } from '../../agent/api/agent-ports.ts';
import { type ApiTls, listenApi } from '../../agent/api/listen.ts';
import type { ApiPorts } from '../../agent/api/ports.ts';
import type { Project } from '../../agent/cli/init.ts';
import { readSigner } from '../../agent/cli/project.ts';
import { Agent } from '../../agent/loop.ts';
import type { AgentPorts, CommitSource, Kept } from '../../agent/ports.ts';
import { statusOf } from '../../agent/status.ts';
import { canonical } from '../../shared/canonical.ts';
import { openJoin } from '../../shared/control/join.ts';
import { noTenants } from '../fakes/provisioners.ts';

const TURN_EVERY_MS = 20;

export interface Upped {
  readonly agent: Agent;
  readonly url: string;
  /** As `portolan status` tells it. */
  readonly told: () => object;
  /** Ends the listener. */
  close(): void;
}

export interface AgentOptions {
  readonly push?: AgentPorts['push'];
  readonly edges?: readonly string[];
  readonly peers?: readonly string[];
  /** Instead of the project's directory. */
  readonly source?: CommitSource;
  /** In place of what the agent would answer. */
  readonly ports?: Partial<ApiPorts>;
  readonly tls?: ApiTls;
  /** Turns go on by themselves; else there is one. */
  readonly alive?: boolean;
}

/** An agent of the project after one turn, answering on a port of its own. */
export async function agentUp(
  project: Project,
  site: string,
  options: AgentOptions = {},
): Promise<Upped> {
  const own = project.agents.find((agent) => agent.site === site);
  if (own === undefined) throw new Error(`no agent of ${site}`);
  const { push = nobody, edges = [], peers = [], tls, alive = true } = options;
  const targets = [
    ...edges.map((url) => ({ url, kind: 'edge' as const })),
    ...peers.map((url) => ({ url, kind: 'peer' as const })),
  ];
  const identity = { site, agent: own.agent, assume: 'up' as const, targets };
  const directory = new ControlDirectory(project.paths.control);
  const source = options.source ?? directory;
  const join = await openJoin(await directory.join(own.agent), own, project.trust, nodeCrypto);
  if ('code' in join) throw new Error(join.code);
  let kept: Kept | null = null;
  const agent = await Agent.start(identity, project.trust, join, {
    nowMs: () => Date.now(),
    crypto: nodeCrypto,
    signer: await readSigner(own.key),
    source,
    keep: {
      load: async () => kept,
      save: async (next) => {
        kept = next;
      },
    },
    push,
    log: () => {},
  });
  await agent.turn();
  const told = () => statusOf(agent, identity, null, Date.now());
  const nowMs = () => Date.now();
  const asAgent = apiPortsOf({
    agent,
    source,
    tenants: noTenants,
    status: told,
    nowMs,
    crypto: nodeCrypto,
    log: () => {},
  });
  const listen = { host: '127.0.0.1', port: 0, ...(tls === undefined ? {} : { tls }) };
  const api = await listenApi(listen, { ...asAgent, ...options.ports });
  const turning = alive ? setInterval(() => void agent.turn(), TURN_EVERY_MS) : undefined;
  const close = () => {
    clearInterval(turning);
    api.close();
  };
  onTestFinished(close);
  const scheme = tls === undefined ? 'http' : 'https';
  return { agent, url: `${scheme}://127.0.0.1:${api.port}`, told, close };
}

/** Agents of several sites that hear one another, so that versions become active. */
export async function agentsUp(
  project: Project,
  ...sites: readonly string[]
): Promise<readonly Upped[]> {
  const known = new Map<string, Agent>();
  const push: AgentPorts['push'] = async (site, delta) => {
    const to = known.get(site);
    if (to === undefined) throw new Error('ECONNREFUSED');
    return canonical(await to.deliver(delta));
  };
  const agents: Upped[] = [];
  for (const site of sites) {
    const peers = sites.filter((other) => other !== site);
    const up = await agentUp(project, site, { push, peers });
    known.set(site, up.agent);
    agents.push(up);
  }
  return agents;
}

async function nobody(): Promise<string> {
  throw new Error('ECONNREFUSED');
}
