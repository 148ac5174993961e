// The network a client comes from: coarse, so that one client keeps its region when its address
// moves a little (S4), and so that no address is kept.

const IPV4 = /^(?:::ffff:)?((?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4})$/i;
const GROUPS = 8;

/** /24 of IPv4 (also in IPv6 form), /48 of IPv6; '' for what is no address. */
export function clientNetwork(address: string): string {
  const ipv4 = IPV4.exec(address)?.[1];
  if (ipv4 !== undefined) return `${ipv4.split('.').slice(0, 3).join('.')}.0/24`;
  const groups = expandIpv6(address.toLowerCase());
  return groups === null ? '' : `${groups.slice(0, 3).join(':')}::/48`;
}

function expandIpv6(address: string): readonly string[] | null {
  const halves = address.split('::');
  if (halves.length > 2) return null;
  const [left = [], right = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const zeros = GROUPS - left.length - right.length;
  const whole = halves.length === 1;
  if (whole ? zeros !== 0 : zeros < 1) return null;
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/.test(group))) return null;
  return groups.map((group) => group.replace(/^0+(?=.)/, ''));
}
