// The agent process: reads its configuration, wires the real ports, runs the loop, listens. Started
// as `node agent/main.ts CONFIG`. It prints one JSON line on stdout when it is ready, logs on
// stderr, and ends on SIGTERM, SIGINT or when the pipe or terminal on its standard input closes.

import { fstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import { parseJson } from '../shared/canonical.ts';
import { type Join, openJoin } from '../shared/control/join.ts';
import { isRefusal, type Refusal } from '../shared/control/refusal.ts';
import { isAgentKey, openTrust, type Trust } from '../shared/control/trust.ts';
import type { Signer } from '../shared/crypto.ts';
import { nodeCrypto, signerOf } from './adapters/crypto.ts';
import { ControlDirectory } from './adapters/directory.ts';
import { KeepFile } from './adapters/keep-file.ts';
import { commitsOfPeer } from './adapters/peer-commits.ts';
import { pushOverHttp } from './adapters/push.ts';
import { apiPortsOf } from './api/agent-ports.ts';
import { type Api, type ApiTls, listenApi } from './api/listen.ts';
import { tenantPortsOf } from './api/tenant-ports.ts';
import { type AgentConfig, ConfigError, readAgentConfig } from './config.ts';
import { copiedBefore } from './control/copy.ts';
import { readTrust } from './control/follow-trust.ts';
import type { Target } from './control/publish.ts';
import { type Gateway, listenGateway } from './gateway/listen.ts';
import { SOURCE_POLL_MS } from './limits.ts';
import { Agent, type AgentIdentity } from './loop.ts';
import { type AgentPorts, type CommitSource, SourceError } from './ports.ts';
import { openSource } from './source.ts';
import { statusOf } from './status.ts';

const log = pino({ base: null }, pino.destination({ dest: 2, sync: true }));

const write: AgentPorts['log'] = (line) => {
  if (line.alarm === undefined) log.info(line);
  else log.warn(line);
};

async function main(path: string): Promise<void> {
  const config = await readAgentConfig(path);
  const pin = must(await openTrust(parseJson(await text(config.trust))?.value, nodeCrypto));
  const keep = new KeepFile(config.keep);
  const kept = await keep.load();
  const { source, close } = await openSource(pin.cluster, config, kept?.revision ?? null, write);
  const copy = config.copy === undefined ? undefined : new ControlDirectory(config.copy);
  const trust = await newestTrust(pin, source);
  const copied = trust ?? (copy && (await newestTrust(pin, copiedBefore(copy, pin)))) ?? pin;
  const signers = await readSigners(config, copied, trust !== null);
  const { site, agent: name } = config;
  const identity: AgentIdentity = {
    site,
    agent: name,
    assume: config.assume,
    targets: targetsOf(config),
  };
  let agent: Agent | null = null;
  const asker = {
    cluster: pin.cluster,
    signer: () => ports.signer,
    crypto: nodeCrypto,
    nowMs: () => Date.now(),
  };
  const ports: AgentPorts = {
    nowMs: () => Date.now(),
    crypto: nodeCrypto,
    get signer() {
      return signerBy(signers, agent?.holder.trust ?? pin, config);
    },
    source,
    keep,
    ...(copy === undefined ? {} : { copy }),
    push: pushOverHttp,
    commitsOf: (peer, from) => commitsOfPeer(peer, from, asker),
    log: write,
  };
  const join = await readJoin(config, source, copied, kept === null);
  // From the pin: what follows is adopted by the loop, which remembers what it had before.
  agent = await Agent.start(identity, pin, join, ports);
  const started = agent;
  process.on('SIGHUP', () => void reload(started, path));
  await run(started, identity, config, ports);
  close();
}

/** A source that cannot be read has none; other sites may vouch instead (C10). */
async function findJoin({ agent, join }: AgentConfig, source: CommitSource): Promise<unknown> {
  if (join !== undefined) return parseJson(await text(join))?.value ?? {};
  return source.join(agent).catch((error: unknown) => {
    if (error instanceof SourceError) return null;
    throw error;
  });
}

/** What a new agent needs, and what lets an old one go on past compaction. */
async function readJoin(
  config: AgentConfig,
  source: CommitSource,
  trust: Trust,
  isNew: boolean,
): Promise<Join | null> {
  const input = await findJoin(config, source);
  if (input === null) return null;
  const join = await openJoin(input, config, trust, nodeCrypto);
  if (!('code' in join)) return join;
  // Only a new agent needs one; what lies there later must not stop it.
  if (!isNew) return null;
  // Its own file is the operator's mistake. Attack: in the source lies what any site wrote (I16).
  if (config.join !== undefined) return must<Join>(join);
  write({ alarm: join.code, detail: `the join in the source is none: ${join.detail}` });
  return null;
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
  const { host, port, tls } = config.api;
  const apiPorts = apiPortsOf({
    agent,
    source: ports.source,
    copy: ports.copy,
    status: () => statusOf(agent, identity, gateway, Date.now()),
    tenants: tenantPortsOf(agent, config.agent, ports, pause),
    nowMs: () => Date.now(),
    crypto: nodeCrypto,
    log: (line) => log.error(line),
  });
  const secured = tls === undefined ? {} : { tls: await readTls(tls) };
  const api = await listenApi({ host, port, ...secured }, apiPorts);
  const ended = endOnSignal();
  process.stdout.write(`${JSON.stringify({ ready: readyLine(api, gateway) })}\n`);
  // A turn at our own pace, or at once when the source tells of something new.
  let news = new AbortController();
  void whenever(ports.source, ended, () => news.abort());
  while (!ended.aborted) {
    news = new AbortController();
    await agent.turn();
    await pause(SOURCE_POLL_MS, AbortSignal.any([ended, news.signal]));
  }
  api.close();
  await gateway?.close();
}

async function whenever(source: CommitSource, ended: AbortSignal, tell: () => void) {
  if (source.changed === undefined) return;
  while (!ended.aborted) {
    await source.changed();
    tell();
  }
}

async function readTls(files: NonNullable<AgentConfig['api']['tls']>): Promise<ApiTls> {
  const [cert, key] = [await text(files.cert), await text(files.key)];
  return files.clientCa === undefined
    ? { cert, key }
    : { cert, key, clientCa: await text(files.clientCa) };
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

/** What the pin leads to in a source, or null when that cannot be read now. */
async function newestTrust(pin: Trust, source: Pick<CommitSource, 'trust'>): Promise<Trust | null> {
  try {
    return (await readTrust(pin, { source, crypto: nodeCrypto })).trust;
  } catch (error) {
    if (error instanceof SourceError) return null;
    throw error;
  }
}

/**
 * The keys of this agent, today's first. That trust names none of them is a mistake only when all
 * of trust is `known`; else the loop finds out.
 */
async function readSigners(
  config: AgentConfig,
  trust: Trust,
  known: boolean,
): Promise<readonly [Signer, ...Signer[]]> {
  const { key, nextKey, site, agent } = config;
  const first = await readSigner(key);
  const signers = [first, ...(nextKey === undefined ? [] : [await readSigner(nextKey)])] as const;
  if (known && !signers.some(({ kid }) => isAgentKey(trust, kid, site, agent))) {
    throw new ConfigError(`${key} is not the key of ${site}/${agent} in trust`);
  }
  return signers;
}

async function readSigner(path: string): Promise<Signer> {
  const signer = signerOf(await text(path));
  if (signer === null) throw new ConfigError(`${path} is no private Ed25519 JWK`);
  return signer;
}

/** Of the agent's keys the one that trust names. */
function signerBy(
  [first, ...others]: readonly [Signer, ...Signer[]],
  trust: Trust,
  { site, agent }: AgentConfig,
): Signer {
  const named = ({ kid }: Signer) => isAgentKey(trust, kid, site, agent);
  return named(first) ? first : (others.find(named) ?? first);
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
