// What must be seen of every bad update by every way in: who refuses it, and its code.

import type { Attack, DocumentName } from './updates.ts';
import { WAYS, type Way } from './ways.ts';

/** By attack: the code of every document that it makes, or of each. */
const CODES: Readonly<Record<Attack, string | Readonly<Partial<Record<DocumentName, string>>>>> = {
  unsigned: 'malformed',
  'another signature': 'signature',
  'an unknown key': {
    ...{ commit: 'key-unknown', attestation: 'key-unknown', trust: 'trust-signatures' },
    ...{ step: 'key-unknown', batch: 'key-unknown', delta: 'key-unknown' },
  },
  'the key of another role': {
    ...{ commit: 'approvals', attestation: 'key-unknown', trust: 'trust-signatures' },
    ...{ step: 'key-unknown', batch: 'key-unknown', delta: 'key-unknown' },
  },
  stale: {
    ...{ commit: 'equivocation', attestation: 'attestation-expired' },
    ...{ step: 'step-expired', batch: 'step-expired' },
  },
  gapped: { commit: 'gap', trust: 'trust-gap' },
  'another history': { commit: 'previous', trust: 'trust-previous' },
  equivocating: { commit: 'equivocation', trust: 'trust-fork', step: 'op-id', batch: 'op-id' },
  'too few signatures': { commit: 'cosignatures', trust: 'trust-signatures' },
  'one site co-signing twice': 'malformed',
  truncated: 'malformed',
  'a payload cut off': 'encoding',
  oversized: 'too-large',
  malformed: 'malformed',
  'another kind of document': 'malformed',
  'safety called normal': { commit: 'class', step: 'step', batch: 'step' },
  'safety without approvals': { commit: 'safety', step: 'step', batch: 'step' },
  replayed: {
    ...{ commit: 'stale', attestation: 'attestation-expired', trust: 'trust-gap' },
    ...{ batch: 'tenant-exists', delta: 'attestation-expired' },
  },
};

/** What is seen of a code by each way, where the next table says nothing else. */
const SEEN: Readonly<Record<Way, (code: string) => string>> = {
  'etcd commits/': (code) => `agents: ${code}; put right; rejected`,
  'etcd trust/': (code) => `agents: ${code}; put right; rejected`,
  ingest: (code) => `edge: 403 ${code}`,
  'ingest commit': (code) => `stores: ${code}`,
  'ingest attestation': (code) => `stores: ${code}`,
  'ingest trust': (code) => `stores: ${code}`,
  '/v1/delta': (code) => `agent: 403 ${code}`,
  // An agent takes commits from its own source alone.
  '/v1/delta commit': () => 'answer: nothing',
  '/v1/delta attestation': (code) => `agent: ${code}`,
  '/v1/delta trust': (code) => `agent: ${code}`,
  '/v1/commits': (code) => `answer: 422 ${code}`,
  '/v1/tenants': (code) => `answer: 403 ${code}`,
  // Always 200, as a delta is: the body says what came of it.
  '/v1/cosign': (code) => `answer: 200 ${code}`,
  '/v1/trust': (code) => `answer: 422 ${code}`,
};

/** A body that is no signed document at all. */
const UNREADABLE = {
  '/v1/commits': 'answer: 400 malformed',
  '/v1/tenants': 'answer: 400 malformed',
  '/v1/trust': 'answer: 400 malformed',
} as const;

const EXCEPT: Readonly<Partial<Record<Attack, Readonly<Partial<Record<Way, string>>>>>> = {
  unsigned: UNREADABLE,
  // The author of either is told what is there.
  stale: { '/v1/commits': 'answer: 409 conflict', '/v1/tenants': 'answer: 409 step-expired' },
  equivocating: {
    '/v1/commits': 'answer: 409 conflict',
    '/v1/tenants': 'answer: 409 op-id',
    // Root keys signed both: agents do not fight over it.
    'etcd trust/': 'agents: trust-fork; left: trust/1',
  },
  truncated: UNREADABLE,
  'a payload cut off': { '/v1/tenants': 'answer: 400 encoding' },
  oversized: {
    ingest: 'edge: 413 too-large',
    '/v1/delta': 'answer: 413 too-large',
    '/v1/tenants': 'answer: 413 too-large',
  },
  malformed: UNREADABLE,
  'another kind of document': { '/v1/tenants': 'answer: 400 malformed' },
  'safety called normal': { '/v1/tenants': 'answer: 422 step' },
  'safety without approvals': { '/v1/tenants': 'answer: 422 step' },
  // What is held already is no news, and what landed has landed.
  replayed: {
    ingest: 'stores: attestation-expired',
    '/v1/delta': 'agent: attestation-expired',
    'ingest commit': 'answer: nothing',
    'ingest trust': 'answer: nothing',
    '/v1/delta trust': 'answer: nothing',
    '/v1/commits': 'answer: 201',
    '/v1/tenants': 'answer: 200',
    '/v1/trust': 'answer: 409',
  },
};

/** As `seenOn` and `seenInEtcd` say it. */
export function expected(attack: Attack, way: Way): string {
  const codes = CODES[attack];
  const code = typeof codes === 'string' ? codes : codes[WAYS[way]];
  return EXCEPT[attack]?.[way] ?? SEEN[way](code ?? 'no code');
}
