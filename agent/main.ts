// The agent process: reads its configuration, wires the real ports, runs the loop, listens. Started
// as `node agent/main.ts CONFIG`. It prints one JSON line on stdout when it is ready, logs on
// stderr, and ends on SIGTERM, SIGINT or when the pipe or terminal on its standard input closes.

import { randomUUID } from 'node:crypto';
import { fstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { parseJson } from '../shared/canonical.ts';
import { openJoin } from '../shared/control/join.ts';
import { isRefusal, type Refusal } from '../shared/control/refusal.ts';
import { openTrust, type Trust } from '../shared/control/trust.ts';
import type { Signer } from '../shared/crypto.ts';
import { DIRECTORY_POLL_MS } from '../shared/limits.ts';
import { nodeCrypto, signerOf } from './adapters/crypto.ts';
import { ControlDirectory } from './adapters/directory.ts';
import { KeepFile } from './adapters/keep-file.ts';
import { pushOverHttp } from './adapters/push.ts';
import { type Api, listenApi } from './api/listen.ts';
import { COSIGN_PATH } from './api/tenants.ts';
import { type AgentConfig, ConfigError, readAgentConfig } from './config.ts';
import { Provisioner } from './control/provision.ts';
import type { Target } from './control/publish.ts';
import { type Gateway, listenGateway } from './gateway/listen.ts';
import { Agent, type AgentIdentity } from './loop.ts';
import type { AgentPorts } from './ports.ts';
import { statusOf } from './status.ts';

const log = pino({ base: null }, pino.destination({ dest: 2, sync: true }));

async function main(path: string): Promise<void> {
  const config = await readAgentConfig(path);
  const trust = must(await openTrust(parseJson(await text(config.trust))?.value, nodeCrypto));
  const signer = await readSigner(config, trust);
  const source = new ControlDirectory(config.control.file);
  const { site, agent: name } = config;
  const identity: AgentIdentity = {
    site,
    agent: name,
    assume: config.assume,
    targets: targetsOf(config),
  };
  const ports: AgentPorts = {
    nowMs: () => Date.now(),
    crypto: nodeCrypto,
    signer,
    source,
    keep: new KeepFile(config.keep),
    push: pushOverHttp,
    log: (line) => (line.alarm === undefined ? log.info(line) : log.warn(line)),
  };
  // Only a new agent needs one; what lies there later is nobody's business.
  const isNew = (await ports.keep.load()) === null;
  const joinInput = isNew ? await source.join(name) : null;
  const join =
    joinInput === null ? null : must(await openJoin(joinInput, identity, trust, nodeCrypto));
  const agent = must(await Agent.start(identity, trust, join, ports));
  process.on('SIGHUP', () => void reload(agent, path));
  await run(agent, identity, config, ports);
}

function targetsOf({ ingest, peers }: AgentConfig): readonly Target[] {
  return [
    ...ingest.map((url) => ({ url, kind: 'edge' as const })),
    ...peers.map((url) => ({ url, kind: 'peer' as const })),
  ];
}

/** SIGHUP: edges and peers are read again; everything else takes a restart. */
async function reload(agent: Agent, path: string): Promise<void> {
  try {
    agent.retarget(targetsOf(await readAgentConfig(path)));
    log.info({ event: 'reloaded' });
  } catch (error) {
    log.error({ alarm: 'config', error: String(error), action: 'the old targets stay' });
  }
}

async function run(
  agent: Agent,
  identity: AgentIdentity,
  config: AgentConfig,
  ports: AgentPorts,
): Promise<void> {
  const gateway = await startGateway(agent, config);
  const api = await listenApi(config.api, {
    deliver: (delta) => agent.deliver(delta),
    status: () => statusOf(agent, identity, gateway, Date.now()),
    tenants: tenantsOf(agent, config, ports),
    log: (line) => log.error(line),
  });
  const ended = endOnSignal();
  process.stdout.write(`${JSON.stringify({ ready: readyLine(api, gateway) })}\n`);
  while (!ended.aborted) {
    await agent.turn();
    await pause(DIRECTORY_POLL_MS, ended);
  }
  api.close();
  await gateway?.close();
}

/** Provisioning: the steps that come in here, and the batches of others. */
function tenantsOf(agent: Agent, { agent: name }: AgentConfig, ports: AgentPorts) {
  const { crypto, signer, push, nowMs } = ports;
  const catchUp = () => agent.catchUp();
  const shared = { holder: () => agent.holder, nodes: agent.nodes, pause, catchUp };
  const provisioner = new Provisioner({
    ...shared,
    ...{ agent: name, crypto, signer, nowMs, log: ports.log },
    random: Math.random,
    opId: randomUUID,
    // As they are now: SIGHUP may have named others.
    peers: () => agent.peers.map((url) => new URL(COSIGN_PATH, url).href),
    ask: push,
    propose: (commit) => agent.propose(commit),
  });
  return {
    ...shared,
    provisioner,
    hasher: crypto,
    cosign: (batch: unknown) => agent.cosign(batch),
  };
}

function readyLine(api: Api, gateway: Gateway | null): object {
  return { api: api.port, gateway: gateway?.port ?? null };
}

async function startGateway(agent: Agent, config: AgentConfig): Promise<Gateway | null> {
  if (config.gateway === undefined) return null;
  const { listen, tls, service } = config.gateway;
  const pems = { cert: await text(tls.cert), key: await text(tls.key) };
  const options = { ...listen, tls: pems, service, log: (line: object) => log.error(line) };
  return listenGateway(options, {
    self: config.site,
    standing: () => agent.standing,
    changed: (ms) => Promise.race([agent.nextChange(), pause(ms)]),
    nowMs: () => Date.now(),
    hasher: nodeCrypto,
  });
}

async function readSigner(config: AgentConfig, trust: Trust): Promise<Signer> {
  const signer = signerOf(await text(config.key));
  if (signer === null) throw new ConfigError(`${config.key} is no private Ed25519 JWK`);
  const role = trust.roles.get(signer.kid);
  if (role?.kind !== 'agent' || role.site !== config.site || role.name !== config.agent) {
    throw new ConfigError(
      `${config.key} is not the key of ${config.site}/${config.agent} in trust`,
    );
  }
  return signer;
}

function must<T extends object>(value: T | Refusal): T {
  if ('kind' in value && isRefusal(value)) throw new ConfigError(`${value.code}: ${value.detail}`);
  return value as T;
}

function text(path: string): Promise<string> {
  return readFile(path, 'utf8');
}

/** Resolves after `ms`, or at once when `ended` is. */
async function pause(ms: number, ended?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, ended === undefined ? {} : { signal: ended });
  } catch {
    // Ended: there is nothing to wait for.
  }
}

function endOnSignal(): AbortSignal {
  const controller = new AbortController();
  const end = () => controller.abort();
  process.once('SIGTERM', end).once('SIGINT', end);
  // Whoever holds the other end is gone when it closes. A container or a service manager gives
  // /dev/null, which has no other end.
  const stdin = fstatSync(0);
  if (stdin.isFIFO() || stdin.isSocket() || process.stdin.isTTY) {
    process.stdin.once('close', end).once('end', end).resume();
  }
  return controller.signal;
}

void main(process.argv[2] ?? 'agent.yaml')
  .then(() => 0)
  .catch((error: unknown) => {
    log.fatal({ code: error instanceof ConfigError ? error.code : 'agent', error: String(error) });
    return 1;
  })
  // Pushes that hang and connections that are kept open must not hold the process.
  .then((code) => process.exit(code));
