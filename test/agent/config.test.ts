// An agent's configuration: refused as a whole, with the place of the fault, before anything
// starts.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type AgentConfig, ConfigError, readAgentConfig } from '../../agent/config.ts';

const folder = await mkdtemp(join(tmpdir(), 'portolan-config-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

const api = { host: '127.0.0.1', port: 0 };
const gateway = {
  listen: { host: '::1', port: 65_535 },
  tls: { cert: 'tls.pem', key: 'keys/tls.key' },
  service: 'http://127.0.0.1:8080',
};
const whole = {
  site: 'eu1',
  agent: 'eu1-1',
  key: 'keys/eu1-1.jwk',
  trust: '/etc/portolan/trust.json',
  control: { file: 'control' },
  keep: '../keep.json',
  ingest: ['https://edge.example/.portolan/ingest'],
  peers: ['http://127.0.0.1:7001/v1/delta'],
  api,
};

async function reading(text: string): Promise<AgentConfig> {
  const path = join(folder, 'agent.yaml');
  await writeFile(path, text);
  return readAgentConfig(path);
}

/** The message of the refusal, without the path before it. */
async function refusalOf(value: unknown): Promise<string> {
  const text = typeof value === 'string' ? value : stringify(value);
  const error = await reading(text).then(
    () => new Error('it was taken'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  expect(error).toMatchObject({ code: 'config' });
  const { message } = error as ConfigError;
  expect(message.startsWith(`${join(folder, 'agent.yaml')}: `)).toBe(true);
  return message.slice(join(folder, 'agent.yaml').length + 2);
}

test('a witness: paths are relative to the file, absolute ones stay; it assumes up', async () => {
  expect(await reading(stringify(whole))).toEqual({
    ...whole,
    key: join(folder, 'keys/eu1-1.jwk'),
    control: { file: join(folder, 'control') },
    keep: join(tmpdir(), 'keep.json'),
    assume: 'up',
  });
});

test('the key that comes next is relative to the file too', async () => {
  const config = await reading(stringify({ ...whole, nextKey: 'keys/next.jwk' }));
  expect(config.nextKey).toBe(join(folder, 'keys/next.jwk'));
});

test('a region has a gateway, whose paths are relative to the file too', async () => {
  const config = await reading(stringify({ ...whole, gateway, assume: 'degraded' }));
  const tls = { cert: join(folder, 'tls.pem'), key: join(folder, 'keys/tls.key') };
  expect(config.gateway).toEqual({ ...gateway, tls });
  expect(config.assume).toBe('degraded');
});

test('an API with TLS listens anywhere, and its paths are relative to the file too', async () => {
  const tls = { cert: 'api.pem', key: 'keys/api.key', clientCa: '/etc/portolan/clients.pem' };
  const open = { host: '0.0.0.0', port: 7101, tls };
  const config = await reading(stringify({ ...whole, api: open }));
  expect(config.api).toEqual({
    ...open,
    tls: { ...tls, cert: join(folder, 'api.pem'), key: join(folder, 'keys/api.key') },
  });
  const { clientCa: _, ...server } = tls;
  const without = await reading(stringify({ ...whole, api: { ...open, tls: server } }));
  expect(without.api.tls).not.toHaveProperty('clientCa');
});

test('a file that is not there is a refusal that names it', async () => {
  const path = join(folder, 'elsewhere.yaml');
  await expect(readAgentConfig(path)).rejects.toThrow(ConfigError);
  await expect(readAgentConfig(path)).rejects.toThrow(/elsewhere\.yaml.*ENOENT/);
});

describe('text that is no configuration is refused', () => {
  test.each([
    ['nothing', '', /^Invalid input/],
    ['a word', 'hello', /^Invalid input/],
    ['a list', '- site: eu1', /^Invalid input/],
    ['broken YAML', 'site: [', /YAML|flow/i],
    ['a key twice', 'site: eu1\nsite: us1\n', /unique/],
    ['two documents', 'site: eu1\n---\nsite: us1\n', /document/],
    ['zeros', '\0\0\0', /./],
    ['an anchor that grows', bomb(), /alias|unique|Invalid|Unrecognized|key/i],
  ])('%s', async (_, text, says) => {
    expect(await refusalOf(text)).toMatch(says);
  });
});

function bomb(): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 12; i++) {
    lines.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(', ')}]`);
  }
  return lines.join('\n');
}

describe('a value that is none is refused where it stands', () => {
  const listen = (changes: object) => ({ ...gateway, listen: { ...gateway.listen, ...changes } });
  test.each<readonly [string, object, RegExp]>([
    ['no site', { site: undefined }, /^site: /],
    ['a site in capitals', { site: 'EU1' }, /^site: lower-case letters, digits, hyphens/],
    ['a site that every object has', { site: 'constructor' }, /^site: this name is reserved/],
    ['a path for a name', { agent: '../eu1-1' }, /^agent: lower-case/],
    ['an empty path', { key: '' }, /^key: /],
    ['a number for a path', { trust: 7 }, /^trust: /],
    ['no control', { control: undefined }, /^control: /],
    ['control of another kind', { control: { etcd: 'x' } }, /^control/],
    ['an empty keep', { keep: '' }, /^keep: /],
    ['ingest of null', { ingest: null }, /^ingest: /],
    ['one URL for a list', { ingest: 'https://edge.example' }, /^ingest: /],
    ['a URL without scheme', { ingest: ['edge.example'] }, /^ingest\.0: an http\(s\) URL/],
    ['a URL of another scheme', { peers: ['ftp://a/'] }, /^peers\.0: an http\(s\) URL/],
    ['a URL with a space', { peers: ['http://a/', 'http://a b/'] }, /^peers\.1: an http\(s\) URL/],
    ['no API', { api: undefined }, /^api: /],
    ['an API open to all', { api: { ...api, host: '0.0.0.0' } }, /^api\.host: /],
    ['an API on a network', { api: { ...api, host: '10.0.0.1' } }, /^api\.host: without tls/],
    ['an API by name', { api: { ...api, host: 'agent.eu1' } }, /^api\.host: without tls/],
    ['an API on no address', { api: { ...api, host: 'a b', tls: gateway.tls } }, /^api\.host: an/],
    ['TLS without a key', { api: { ...api, tls: { cert: 'a' } } }, /^api\.tls\.key: /],
    ['an empty authority', { api: { ...api, tls: { ...gateway.tls, clientCa: '' } } }, /clientCa/],
    ['a port below 0', { api: { ...api, port: -1 } }, /^api\.port: /],
    ['a port above 65,535', { api: { ...api, port: 65_536 } }, /^api\.port: /],
    ['a port in between', { api: { ...api, port: 1.5 } }, /^api\.port: /],
    ['a port that is text', { api: { ...api, port: '80' } }, /^api\.port: /],
    // P1: until calls are signed, nobody outside the machine may reach a gateway.
    ['a gateway open to all', { gateway: listen({ host: '0.0.0.0' }) }, /^gateway\.listen\.host: /],
    ['a gateway on all of IPv6', { gateway: listen({ host: '::' }) }, /^gateway\.listen\.host: /],
    ['a gateway by name', { gateway: listen({ host: 'gw.eu1' }) }, /^gateway\.listen\.host: /],
    ['a gateway on a network', { gateway: listen({ host: '10.0.0.1' }) }, /^gateway\.listen\.host/],
    ['a gateway without TLS', { gateway: { ...gateway, tls: undefined } }, /^gateway\.tls: /],
    ['a gateway of nothing', { gateway: null }, /^gateway: /],
    ['a service that is no URL', { gateway: { ...gateway, service: 'x' } }, /^gateway\.service: /],
    // The proxy takes an origin; a path would be dropped, or end the agent after it was accepted.
    [
      'a service with a path',
      { gateway: { ...gateway, service: 'http://127.0.0.1:1/notes' } },
      /^gateway\.service: /,
    ],
    ['a URL that does not parse', { ingest: ['http://['] }, /^ingest\.0: /],
    ['an unknown observation', { assume: 'fine' }, /^assume: /],
    ['an unknown member', { apii: api }, /apii/],
    ['an unknown member within', { api: { ...api, tls: true } }, /tls/],
  ])('%s', async (_, changes, says) => {
    expect(await refusalOf({ ...whole, ...changes })).toMatch(says);
  });
});
