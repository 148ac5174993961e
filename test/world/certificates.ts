// The world's own certificate authority, so that edge and gateways speak real TLS on loopback.
//
// Keys live in memory and in the world's folder only, and everything ends after a day: nothing made
// here may be worth trusting elsewhere. Whoever should trust it is told by `caPem` (a file in
// NODE_EXTRA_CA_CERTS for the local edge, an option for undici); the system's store is never
// touched.

import type * as X509 from '@peculiar/x509';

export type Authority = {
  readonly caPem: string;
  /** A server certificate for these DNS names and IP addresses. */
  issue(subject: CertificateNames): Promise<Credential>;
  /** For a server that also calls others of its kind, as members of a cluster do. */
  issueMember(subject: CertificateNames): Promise<Credential>;
  /** A client certificate; `name` is its common name, which etcd takes for the user. */
  issueClient(name: string): Promise<Credential>;
};

/** PEM: the certificate and its private key (PKCS #8). */
export type Credential = { readonly cert: string; readonly key: string };

export type CertificateNames = {
  readonly names: readonly string[];
  readonly ips: readonly string[];
};

export const LOOPBACK: CertificateNames = { names: ['localhost'], ips: ['127.0.0.1'] };

const DAY_MS = 24 * 60 * 60 * 1000;
/** Two processes read the clock a moment apart: a new certificate must be valid to both. */
const EARLY_MS = 5 * 60 * 1000;

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export async function makeAuthority(): Promise<Authority> {
  const x509 = await loadX509();
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const usages = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign;
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Portolan local world',
    ...validity(),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(usages, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const issuer = { x509, root, key: keys.privateKey };
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
  const ofServer = (subject: CertificateNames, uses: readonly string[]) =>
    issue(issuer, subject.names[0] ?? subject.ips[0] ?? '', uses, subject);
  return {
    caPem: root.toString('pem'),
    issue: (subject) => ofServer(subject, [serverAuth]),
    issueMember: (subject) => ofServer(subject, [serverAuth, clientAuth]),
    issueClient: (name) => issue(issuer, name, [clientAuth], null),
  };
}

interface Issuer {
  readonly x509: typeof X509;
  readonly root: X509.X509Certificate;
  readonly key: CryptoKey;
}

async function issue(
  { x509, root, key }: Issuer,
  commonName: string,
  uses: readonly string[],
  subject: CertificateNames | null,
): Promise<Credential> {
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const alternatives = [
    ...(subject?.names ?? []).map((value) => ({ type: 'dns', value }) as const),
    ...(subject?.ips ?? []).map((value) => ({ type: 'ip', value }) as const),
  ];
  const cert = await x509.X509CertificateGenerator.create({
    subject: `CN=${commonName}`,
    issuer: root.subject,
    ...validity(),
    publicKey: keys.publicKey,
    signingKey: key,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([...uses]),
      ...(subject === null ? [] : [new x509.SubjectAlternativeNameExtension(alternatives)]),
      await x509.AuthorityKeyIdentifierExtension.create(root),
    ],
  });
  const pkcs8 = await crypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { cert: cert.toString('pem'), key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY') };
}

function validity(): { readonly notBefore: Date; readonly notAfter: Date } {
  const nowMs = Date.now();
  return { notBefore: new Date(nowMs - EARLY_MS), notAfter: new Date(nowMs + DAY_MS) };
}

/**
 * The library's container refuses to load where `Reflect.getMetadata` is missing, but none of the
 * classes used here has injected parameters: to answer "no metadata" is all it needs. The
 * alternative is one more dependency (`reflect-metadata`) that would do the same.
 */
async function loadX509(): Promise<typeof X509> {
  const reflect = Reflect as {
    getMetadata?: unknown;
    getOwnMetadata?: unknown;
    defineMetadata?: unknown;
  };
  reflect.getMetadata ??= () => undefined;
  reflect.getOwnMetadata ??= () => undefined;
  reflect.defineMetadata ??= () => undefined;
  return import('@peculiar/x509');
}
