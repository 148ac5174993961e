// Provisioning on a living agent: the steps that come in here, and the batches of others.

import { randomUUID } from 'node:crypto';
import { Provisioner } from '../control/provision.ts';
import type { Agent } from '../loop.ts';
import type { AgentPorts } from '../ports.ts';
import { COSIGN_PATH, type TenantPorts } from './tenants.ts';

export function tenantPortsOf(
  agent: Agent,
  name: string,
  ports: AgentPorts,
  pause: (ms: number) => Promise<void>,
): TenantPorts {
  const { crypto, push, nowMs, log } = ports;
  const catchUp = () => agent.catchUp();
  const shared = { holder: () => agent.holder, nodes: agent.nodes, pause, catchUp };
  const provisioner = new Provisioner({
    ...shared,
    agent: name,
    crypto,
    // Asked each time: keys rotate.
    get signer() {
      return ports.signer;
    },
    nowMs,
    log,
    random: Math.random,
    opId: randomUUID,
    // As they are now: SIGHUP may have named others.
    peers: () => agent.peers.map((url) => new URL(COSIGN_PATH, url).href),
    ask: push,
    propose: (commit) => agent.propose(commit),
  });
  const cosign = (batch: unknown) => agent.cosign(batch);
  return { ...shared, provisioner, hasher: crypto, cosign };
}
