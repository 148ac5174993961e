// What the world's servers show and its clients trust.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LOOPBACK, makeAuthority } from './certificates.ts';

/** Paths of PEM files. */
export type TlsFiles = {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
};

export async function writeTls(folder: string): Promise<TlsFiles> {
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
