import { once } from 'node:events';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Agent, request } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import { type Credential, LOOPBACK, makeAuthority } from './certificates.ts';

async function serve(options: ServerOptions): Promise<number> {
  const server = createServer(options, ({ socket }, response) => {
    const { subject } = (socket as TLSSocket).getPeerCertificate();
    response.end(subject === undefined ? 'hello' : `hello ${subject.CN}`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function get(url: string, ca?: string, own?: Credential): Promise<string> {
  const dispatcher = new Agent(ca === undefined ? {} : { connect: { ca, ...own } });
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

test('a server that asks for client certificates learns the common name', async () => {
  const authority = await makeAuthority();
  const other = await makeAuthority();
  const server = await authority.issue(LOOPBACK);
  const mutual = { requestCert: true, rejectUnauthorized: true, ca: authority.caPem };
  const url = `https://127.0.0.1:${await serve({ ...server, ...mutual })}`;
  const ask = (own?: Credential) => get(url, authority.caPem, own);
  expect(await ask(await authority.issueClient('eu1'))).toBe('hello eu1');
  expect(await ask(await authority.issueMember(LOOPBACK))).toBe('hello localhost');
  await expect(ask()).rejects.toThrow();
  await expect(ask(await other.issueClient('eu1'))).rejects.toThrow();
  await expect(ask(server)).rejects.toThrow(); // it may serve, not call
});
