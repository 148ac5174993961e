// The certificates of a cluster: files for etcd and for agents, connections for the launcher.
//
// Members trust an authority of their own for one another: with one for all, a site's client
// certificate would be enough to join the quorum.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent } from 'undici';
import { type Authority, type Credential, LOOPBACK, makeAuthority } from './certificates.ts';

const CONNECT_MS = 1_000;

/** Paths of PEM files. */
export type CredentialFiles = {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
};

export type Credentials = {
  /** Of a user; of a member towards clients; of a member towards others. */
  of(user: string): CredentialFiles;
  ofMember(name: string): CredentialFiles;
  ofPeer(name: string): CredentialFiles;
  /** The launcher's own connections, as a client without rights and as a member. */
  readonly client: Agent;
  readonly peer: Agent;
};

export async function writeCredentials(
  folder: string,
  members: readonly string[],
  users: readonly string[],
): Promise<Credentials> {
  const [clients, peers] = await Promise.all([makeAuthority(), makeAuthority()]);
  const files = (name: string): CredentialFiles => {
    const at = (what: string) => join(folder, `${name}.${what}`);
    return { ca: at('ca.pem'), cert: at('pem'), key: at('key') };
  };
  const of = (user: string) => files(`user-${user}`);
  const ofMember = (name: string) => files(`member-${name}`);
  const ofPeer = (name: string) => files(`peer-${name}`);
  for (const user of users) await write(of(user), clients, await clients.issueClient(user));
  for (const name of members) {
    await write(ofMember(name), clients, await clients.issueMember(LOOPBACK));
    await write(ofPeer(name), peers, await peers.issueMember(LOOPBACK));
  }
  const client = connections(clients, await clients.issueClient('world'));
  const peer = connections(peers, await peers.issueMember(LOOPBACK));
  return { of, ofMember, ofPeer, client, peer };
}

async function write(files: CredentialFiles, by: Authority, credential: Credential) {
  await writeFile(files.ca, by.caPem);
  await writeFile(files.cert, credential.cert);
  await writeFile(files.key, credential.key, { mode: 0o600 });
}

function connections({ caPem }: Authority, own: Credential): Agent {
  // What comes to a member as HTTP/2 it takes for gRPC.
  return new Agent({ allowH2: false, connect: { ca: caPem, ...own, timeout: CONNECT_MS } });
}
