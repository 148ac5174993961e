import fc from 'fast-check';
import { expect, test } from 'vitest';
import { distances, greatCircleKm } from '../../../shared/steering/distance.ts';

type Point = readonly [number, number];

const FRANKFURT: Point = [50.11, 8.68];
const NEW_YORK: Point = [40.71, -74.01];
const LONDON: Point = [51.51, -0.13];
const PARIS: Point = [48.86, 2.35];
const ASHBURN: Point = [39.04, -77.49];
const SINGAPORE: Point = [1.35, 103.82];
const TOKYO: Point = [35.68, 139.69];
const SAN_FRANCISCO: Point = [37.77, -122.42];
const SYDNEY: Point = [-33.87, 151.21];
const SAO_PAULO: Point = [-23.55, -46.63];
const AUCKLAND: Point = [-36.85, 174.76];
const HONOLULU: Point = [21.31, -157.86];
const JOHANNESBURG: Point = [-26.2, 28.05];

// On the sphere by another formula (atan2), and on the WGS84 ellipsoid by Vincenty's, both outside
// of this project. The two models differ by 0.6 % at most.
test.each([
  ['Frankfurt', 'New York', FRANKFURT, NEW_YORK, 6203, 6220],
  ['Frankfurt', 'Paris', FRANKFURT, PARIS, 478, 479],
  ['Frankfurt', 'Ashburn', FRANKFURT, ASHBURN, 6549, 6566],
  ['London', 'Singapore', LONDON, SINGAPORE, 10848, 10853],
  ['London', 'Johannesburg', LONDON, JOHANNESBURG, 9070, 9040],
  ['Tokyo', 'San Francisco', TOKYO, SAN_FRANCISCO, 8272, 8291],
  ['Sydney', 'São Paulo', SYDNEY, SAO_PAULO, 13357, 13377],
  ['Auckland', 'Honolulu', AUCKLAND, HONOLULU, 7076, 7051],
] as const)('%s and %s are as far apart as maps say', (_a, _b, a, b, sphereKm, ellipsoidKm) => {
  expect(greatCircleKm(a, b)).toBe(sphereKm);
  expect(Math.abs(greatCircleKm(a, b) / ellipsoidKm - 1)).toBeLessThan(0.006);
});

test.each([
  ['a place is no distance from itself', FRANKFURT, FRANKFURT, 0],
  ['the date line is no wall', [0, 179.5], [0, -179.5], 111],
  ['180 east is 180 west', [10, 180], [10, -180], 0],
  ['a pole has one place, whatever its longitude', [90, 0], [90, 137], 0],
  ['a quarter of the equator', [0, 0], [0, 90], 10008],
  ['from pole to pole', [90, 0], [-90, 0], 20015],
  ['antipodes', [0, 0], [0, 180], 20015],
  ['antipodes where rounding passes 1', [-87.5, -172.75], [87.5, 7.25], 20015],
] as const)('%s', (_fact, a, b, km) => {
  expect(greatCircleKm(a, b)).toBe(km);
});

const REGIONS = [
  { id: 'eu1', at: FRANKFURT },
  { id: 'us1', at: ASHBURN },
];
const LATENCY = {
  CDG: { eu1: 9, us1: 83, ap1: 160 },
  GRU: { eu1: 190 },
};

const measured = (ms: number) => ({ kind: 'measured', ms });
const estimated = (ms: number, km: number) => ({ kind: 'estimated', ms, km });
const UNKNOWN = { kind: 'unknown' };

test.each([
  ['a full row is used', { colo: 'CDG' }, measured(9), measured(83)],
  ['a full row goes before coordinates', { colo: 'CDG', at: SYDNEY }, measured(9), measured(83)],
  ['a row with a gap is not', { colo: 'GRU' }, UNKNOWN, UNKNOWN],
  [
    'a row with a gap is not mixed with estimates',
    { colo: 'GRU', at: PARIS },
    estimated(5, 478),
    estimated(62, 6186),
  ],
  ['no row, coordinates', { colo: 'XXX', at: PARIS }, estimated(5, 478), estimated(62, 6186)],
  ['coordinates alone', { at: FRANKFURT }, estimated(0, 0), estimated(66, 6549)],
  ['nothing is known', {}, UNKNOWN, UNKNOWN],
  ['an unknown location alone', { colo: 'XXX' }, UNKNOWN, UNKNOWN],
  ['a name that objects inherit is no location', { colo: 'constructor' }, UNKNOWN, UNKNOWN],
  ['nor is the prototype', { colo: '__proto__' }, UNKNOWN, UNKNOWN],
] as const)('%s', (_fact, from, eu1, us1) => {
  expect([...distances(from, REGIONS, LATENCY)]).toEqual([
    ['eu1', eu1],
    ['us1', us1],
  ]);
});

test('a region named like a property of what objects inherit is not measured by it', () => {
  // Object.hasOwn({}.constructor, 'length') is true: the row itself must be the table's own.
  const regions = [{ id: 'length', at: FRANKFURT }];
  expect(distances({ colo: 'constructor' }, regions, LATENCY).get('length')).toEqual(UNKNOWN);
});

test('a region named like what objects inherit is not in the row', () => {
  const regions = [{ id: 'toString', at: FRANKFURT }];
  expect(distances({ colo: 'CDG' }, regions, LATENCY).get('toString')).toEqual(UNKNOWN);
});

test('no region, no distance', () => {
  expect(distances({ colo: 'CDG', at: PARIS }, [], LATENCY).size).toBe(0);
});

const degrees = (limit: number) =>
  fc.double({ min: -limit, max: limit, noNaN: true, noDefaultInfinity: true });
const point = fc.tuple(degrees(90), degrees(180));

test('law: there and back are equally far, and never farther than half way round', () => {
  fc.assert(
    fc.property(point, point, (a, b) => {
      const km = greatCircleKm(a, b);
      expect(greatCircleKm(b, a)).toBe(km);
      expect(Number.isInteger(km) && km >= 0 && km <= 20_016).toBe(true);
      expect(greatCircleKm(a, a)).toBe(0);
    }),
    { numRuns: 1000 },
  );
});

test('law: no detour is a short cut, but for rounding', () => {
  fc.assert(
    fc.property(point, point, point, (a, b, c) => {
      expect(greatCircleKm(a, c)).toBeLessThanOrEqual(
        greatCircleKm(a, b) + greatCircleKm(b, c) + 2,
      );
    }),
    { numRuns: 1000 },
  );
});

test('law: the distance is that of the chord between two points in space', () => {
  fc.assert(
    fc.property(point, point, (a, b) => {
      const chord = Math.hypot(
        ...[0, 1, 2].map((axis) => (xyz(a)[axis] ?? 0) - (xyz(b)[axis] ?? 0)),
      );
      const km = 2 * 6371.0088 * Math.asin(Math.min(1, chord / 2));
      expect(Math.abs(greatCircleKm(a, b) - km)).toBeLessThan(0.51);
    }),
    { numRuns: 1000 },
  );
});

function xyz([lat, lon]: Point): readonly number[] {
  const [phi, lambda] = [(lat * Math.PI) / 180, (lon * Math.PI) / 180];
  return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)];
}

test('law: all distances of one answer are of one kind, one for each region', () => {
  const regions = fc.uniqueArray(
    fc.record({ id: fc.constantFrom('a', 'b', 'c', 'd'), at: point }),
    { selector: ({ id }) => id },
  );
  const row = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.nat());
  const colo = fc.constantFrom('CDG', 'GRU', 'valueOf');
  const from = fc.record({ colo, at: point }, { requiredKeys: [] });
  fc.assert(
    fc.property(from, regions, fc.dictionary(colo, row), (place, given, latency) => {
      const result = distances(place, given, latency);
      expect([...result.keys()]).toEqual(given.map(({ id }) => id));
      expect(new Set([...result.values()].map(({ kind }) => kind)).size).toBeLessThanOrEqual(1);
    }),
    { numRuns: 1000 },
  );
});
