// E7: one function makes every fetch of the edge, because each fetch must say `cache: 'no-store'`
// and `redirect: 'manual'`: a zone's cache would hand one tenant's answer to another, and a
// followed redirect can leave the scope. No test of behaviour would notice a second one, since the
// local runtime has no such cache. So the word itself is banned everywhere else, also under another
// name:
//
// - a variable `fetch`, whether called, passed on or shadowed (type queries are harmless);
// - `.fetch` of anything but a router named `app`, which is the Worker itself: a binding or a stub
//   has methods to call instead;
// - `globalThis` and `self`, through which it could be had unseen.

import type { Finding } from './finding.ts';
import { finding, isMember, isReference, nameOf, type Place, placesOf } from './syntax.ts';

const THE_ONE_FILE = 'edge/steering/forward.ts';
const INSTEAD = `send through ${THE_ONE_FILE} (E7)`;

export function strayFetches(path: string, text: string): readonly Finding[] {
  if (!path.startsWith('edge/') || !path.endsWith('.ts') || path === THE_ONE_FILE) return [];
  return placesOf(path, text).flatMap((place) => {
    const says = strayFetch(place);
    return says === null ? [] : [finding(path, text, place.node.start, says)];
  });
}

function strayFetch(place: Place): string | null {
  const { node, around } = place;
  if (isMember(node, null, 'fetch') && nameOf(node.object) !== 'app') {
    return `.fetch of a binding, a stub or an object: call its methods, or ${INSTEAD}`;
  }
  if (!isReference(place)) return null;
  if (node.name === 'globalThis' || node.name === 'self') return `${node.name}: ${INSTEAD}`;
  if (node.name !== 'fetch') return null;
  const inTypes = around.some(({ type }) => type === 'TSTypeQuery' || type === 'TSFunctionType');
  return inTypes ? null : `fetch: ${INSTEAD}; give an argument another name`;
}

/** A Worker that fails open sends tenants' requests past every decision. */
export function failOpen(path: string, text: string): readonly Finding[] {
  if (!path.startsWith('edge/') || !path.endsWith('.ts')) return [];
  const says = 'passThroughOnException: doubt denies, answer 503 (I15, E7)';
  return placesOf(path, text)
    .filter(({ node }) => node.type === 'Identifier' || node.type === 'Literal')
    .filter(({ node }) => nameOf(node) === 'passThroughOnException')
    .map(({ node }) => finding(path, text, node.start, says));
}
