// Why a gateway does not serve a call. Every code has a status, and a page in docs/codes. Residency
// and placement are decided again here (P3): the gateway's own verified state wins over the edge's.

export type GatewayCode =
  | 'provenance-missing'
  | 'provenance-malformed'
  /** Meant for another region. */
  | 'wrong-region'
  /** No verified control state is held here. */
  | 'gateway-no-state'
  /** The edge knows a newer version than this gateway after waiting for it. */
  | 'gateway-behind'
  /** What is held here is too old for the class of the operation. */
  | 'gateway-expired'
  /** The host belongs to another tenant than the call says, or to none. */
  | 'tenant-mismatch'
  /** The tenant is suspended. */
  | 'gateway-suspended'
  /** The call was routed by an older placement than ours. */
  | 'stale-route'
  /** The call knows a newer placement than we do. */
  | 'gateway-stale'
  /** This region may not serve the tenant (I14). */
  | 'gateway-residency';

export const gatewayStatus: Readonly<Record<GatewayCode, number>> = {
  'provenance-missing': 403,
  'provenance-malformed': 400,
  'wrong-region': 421,
  'gateway-no-state': 503,
  'gateway-behind': 503,
  'gateway-expired': 503,
  'tenant-mismatch': 421,
  'gateway-suspended': 403,
  'stale-route': 409,
  'gateway-stale': 503,
  'gateway-residency': 403,
};
