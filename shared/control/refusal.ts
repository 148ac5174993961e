// Every way in which control state says no. A refusal is a value: the caller shows it, counts it,
// sends it back; nothing is changed by what was refused. Each code has a page in docs/codes.

export type ControlCode =
  // the bytes
  | 'too-large'
  | 'malformed'
  | 'encoding'
  // the signature
  | 'algorithm'
  | 'key-unknown'
  | 'signature'
  | 'role'
  | 'author'
  // the trust document
  | 'trust-key'
  | 'trust-shared-key'
  | 'trust-threshold'
  | 'trust-signatures'
  | 'trust-gap'
  | 'trust-previous'
  | 'trust-fork'
  | 'trust-missing'
  | 'trust-old'
  // the place in the chain
  | 'cluster'
  | 'generation'
  | 'stale'
  | 'gap'
  | 'previous'
  | 'equivocation'
  | 'lamport'
  | 'rules'
  // what the change says
  | 'operations'
  | 'record'
  | 'reference'
  | 'host-taken'
  | 'legal-home'
  | 'placement'
  | 'tenant-home'
  | 'class'
  | 'approvals'
  | 'safety'
  // a provisioner's step, and the batch that agents make of steps
  | 'step'
  | 'step-expired'
  | 'step-reads'
  | 'template'
  | 'tenant-exists'
  | 'cosignatures'
  | 'op-id'
  | 'queue-full'
  | 'manifest'
  // attestations
  | 'attestation-expired'
  | 'attestation-clock'
  | 'attestation-life'
  | 'attestation-old'
  | 'site'
  // pieces of state
  | 'digest'
  | 'not-attested'
  // a sender, a store
  | 'sender'
  | 'request'
  | 'version-unsupported'
  | 'store-timeout'
  | 'store-failed'
  | 'rollback'
  // a source
  | 'out-of-band';

export interface Refusal {
  readonly kind: 'refused';
  readonly code: ControlCode;
  /** For people: which field, which value; never a secret, never needed by code. */
  readonly detail: string;
}

export function refuse(code: ControlCode, detail: string): Refusal {
  return { kind: 'refused', code, detail };
}

export function isRefusal(value: object): value is Refusal {
  return 'kind' in value && value.kind === 'refused';
}
