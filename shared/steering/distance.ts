// How far the regions are from where a request entered (S4).
//
// Milliseconds of round trip, because latency is what the client feels. A table measured from the
// edge's own location is the truth; without one, the great circle is a lower bound that orders
// regions well enough. Both never meet in one answer: a measured 80 ms and an estimated 62 ms
// (light, no router, no detour) are not comparable, and the estimate would win every time.
//
// Invariants:
// - all distances of one answer are of one kind;
// - a place that says nothing is `unknown`, never "near".
//
// Rejected: filling gaps of a table row with estimates (above). An ellipsoid: it differs from the
// sphere by up to 0.6 %, roads of fibre by a multiple of that. Reading the table by plain property
// access: the colo comes from the request, and `constructor` would find something.
//
// Sine and arcsine are the one place in steering where ECMAScript allows engines to differ, in
// the last bits of a number that is then rounded to whole kilometres. Where a decision must be
// the same beyond any doubt, the table is there for it.

/** [latitude, longitude] in degrees: -90 to 90 and -180 to 180. */
type Point = readonly [number, number];

/** Where a request entered: the edge location's code, the client's coordinates, both or neither. */
export interface Place {
  readonly colo?: string | undefined;
  readonly at?: Point | undefined;
}

/** Round trip in milliseconds: from the table, or the least that light in fibre needs for `km`. */
export type Distance =
  | { readonly kind: 'measured'; readonly ms: number }
  | { readonly kind: 'estimated'; readonly ms: number; readonly km: number }
  | { readonly kind: 'unknown' };

/** Round-trip milliseconds by edge location, then by region. */
export type LatencyTable = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Light in fibre covers about 200 km a millisecond, so a round trip covers 100. */
export const ROUND_TRIP_KM_PER_MS = 100;

/** Mean radius of the Earth (IUGG, R1), in kilometres. */
const EARTH_RADIUS_KM = 6371.0088;

const UNKNOWN: Distance = { kind: 'unknown' };

/**
 * The distance of each region by id. The table's row of `from.colo` is used only if it names every
 * region given; else great circles from `from.at`; else `unknown` for all.
 */
export function distances(
  from: Place,
  regions: readonly { readonly id: string; readonly at: Point }[],
  latency: LatencyTable,
): ReadonlyMap<string, Distance> {
  const row = rowOf(latency, from.colo);
  const measured = row === null ? null : measuredBy(row, regions);
  if (measured !== null) return measured;
  const { at } = from;
  return new Map(
    regions.map((region) => [region.id, at === undefined ? UNKNOWN : estimated(at, region.at)]),
  );
}

/** Length of the great circle between two points in whole kilometres, on a sphere (haversine). */
export function greatCircleKm(a: Point, b: Point): number {
  const sinLat = Math.sin(radians(b[0] - a[0]) / 2);
  const sinLon = Math.sin(radians(b[1] - a[1]) / 2);
  const h = sinLat * sinLat + Math.cos(radians(a[0])) * Math.cos(radians(b[0])) * sinLon * sinLon;
  // Rounding carries h past 1 between some antipodes; an arcsine past 1 would be NaN.
  return Math.round(2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(h))));
}

function rowOf(latency: LatencyTable, colo: string | undefined): LatencyTable[string] | null {
  if (colo === undefined || !Object.hasOwn(latency, colo)) return null;
  return latency[colo] ?? null;
}

/** Null when the row does not name them all. */
function measuredBy(
  row: LatencyTable[string],
  regions: readonly { readonly id: string }[],
): ReadonlyMap<string, Distance> | null {
  const found = new Map<string, Distance>();
  for (const { id } of regions) {
    const ms = Object.hasOwn(row, id) ? row[id] : undefined;
    if (ms === undefined) return null;
    found.set(id, { kind: 'measured', ms });
  }
  return found;
}

function estimated(from: Point, to: Point): Distance {
  const km = greatCircleKm(from, to);
  return { kind: 'estimated', ms: Math.ceil(km / ROUND_TRIP_KM_PER_MS), km };
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}
