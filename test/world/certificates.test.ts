import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Agent, request } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import { LOOPBACK, makeAuthority } from './certificates.ts';

async function serve(certificate: { cert: string; key: string }): Promise<number> {
  const server = createServer(certificate, (_, response) => response.end('hello'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function get(url: string, ca?: string): Promise<string> {
  const dispatcher = new Agent(ca === undefined ? {} : { connect: { ca } });
  onTestFinished(() => dispatcher.destroy());
  const response = await request(url, { dispatcher });
  return response.body.text();
}

test('a client that trusts this authority reaches its server by address and name', async () => {
  const authority = await makeAuthority();
  const port = await serve(await authority.issue(LOOPBACK));
  expect(await get(`https://127.0.0.1:${port}`, authority.caPem)).toBe('hello');
  expect(await get(`https://localhost:${port}`, authority.caPem)).toBe('hello');
});

test('a client without this authority, or with another one, refuses', async () => {
  const authority = await makeAuthority();
  const other = await makeAuthority();
  const port = await serve(await authority.issue(LOOPBACK));
  await expect(get(`https://127.0.0.1:${port}`)).rejects.toThrow(/certificate/);
  await expect(get(`https://127.0.0.1:${port}`, other.caPem)).rejects.toThrow(/certificate/);
});

test('a certificate of this authority for another name is refused', async () => {
  const authority = await makeAuthority();
  const port = await serve(await authority.issue({ names: ['gw.example'], ips: [] }));
  await expect(get(`https://127.0.0.1:${port}`, authority.caPem)).rejects.toMatchObject({
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
});
