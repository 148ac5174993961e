// Why a request is not forwarded. Every code has a status, and a page in docs/codes.

export type SteeringCode =
  /** No verified control state is held. */
  | 'no-state'
  /** What is held is older than the class of the operation allows (E3). */
  | 'state-expired'
  | 'tenant-unknown'
  /** By a provisioner or an operator; operators resume. */
  | 'tenant-suspended'
  | 'ingress-country'
  | 'country-unknown'
  /** The tenant's scope or policy is not in the verified state: doubt (I15). */
  | 'policy-missing'
  /** Residency leaves regions, none of them able (S5). */
  | 'no-able-region'
  /** The home is being moved (F5). */
  | 'home-not-active'
  /** The last check contradicts the choice: a bug, refused all the same (I14). */
  | 'residency'
  | 'path-malformed'
  | 'request-malformed'
  /** The region was chosen and did not answer. */
  | 'gateway-unreachable';

export interface SteeringStatus {
  readonly status: number;
  /** What a client is told; never which regions there are. */
  readonly title: string;
  /** Time may cure it: the answer carries Retry-After. */
  readonly retry: boolean;
}

const UNAVAILABLE = { status: 503, title: 'Service unavailable', retry: true };

export const steeringStatus: Readonly<Record<SteeringCode, SteeringStatus>> = {
  'no-state': UNAVAILABLE,
  'state-expired': UNAVAILABLE,
  'tenant-unknown': { status: 404, title: 'Unknown host', retry: false },
  'tenant-suspended': { status: 403, title: 'Suspended', retry: false },
  'ingress-country': { status: 403, title: 'Not available from here', retry: false },
  'country-unknown': UNAVAILABLE,
  'policy-missing': UNAVAILABLE,
  'no-able-region': UNAVAILABLE,
  'home-not-active': UNAVAILABLE,
  residency: UNAVAILABLE,
  'path-malformed': { status: 400, title: 'Malformed path', retry: false },
  'request-malformed': { status: 400, title: 'Malformed request', retry: false },
  'gateway-unreachable': UNAVAILABLE,
};
