// Where the world's clients stand: real places with all that Cloudflare would say about a client.
//
// Each `cf` is complete, because the local runtime fills a partial one up with Austin, Texas, and a
// test that forgot a field would then steer by that. Client addresses are of the documentation
// range 203.0.113.0/24 (RFC 5737).

export type CityId =
  | 'frankfurt'
  | 'paris'
  | 'madrid'
  | 'london'
  | 'warsaw'
  | 'new-york'
  | 'san-francisco'
  | 'toronto'
  | 'sao-paulo'
  | 'tokyo'
  | 'sydney'
  | 'johannesburg'
  | 'mumbai';

/** `request.cf` as production fills it for a browser; coordinates and codes are strings there. */
export type Cf = {
  readonly colo: string;
  readonly country: string;
  readonly continent: 'AF' | 'AS' | 'EU' | 'NA' | 'OC' | 'SA';
  readonly city: string;
  readonly region: string;
  readonly regionCode: string;
  readonly postalCode: string;
  readonly timezone: string;
  readonly latitude: string;
  readonly longitude: string;
  readonly asn: number;
  readonly asOrganization: string;
  readonly clientTcpRtt: number;
  readonly httpProtocol: string;
  readonly tlsVersion: string;
  readonly tlsCipher: string;
  /** Present, and then '1', for members of the European Union only. */
  readonly isEUCountry?: '1';
  /** Present in the United States only. */
  readonly metroCode?: string;
};

export type City = {
  readonly id: CityId;
  readonly clientIp: string;
  readonly cf: Cf;
};

const BROWSER = {
  httpProtocol: 'HTTP/2',
  tlsVersion: 'TLSv1.3',
  tlsCipher: 'AEAD-AES128-GCM-SHA256',
} as const;

const EUROPEAN_UNION = { isEUCountry: '1' } as const;

export const cities: Readonly<Record<CityId, City>> = {
  frankfurt: client('frankfurt', '203.0.113.1', {
    ...place('FRA', 'EU', 'DE', 'Europe/Berlin'),
    ...address('Frankfurt am Main', 'Hesse', 'HE', '60313'),
    ...position('50.11552', '8.68417'),
    ...network(3320, 'Deutsche Telekom AG', 9),
    ...EUROPEAN_UNION,
  }),
  paris: client('paris', '203.0.113.2', {
    ...place('CDG', 'EU', 'FR', 'Europe/Paris'),
    ...address('Paris', 'Île-de-France', 'IDF', '75001'),
    ...position('48.85341', '2.34880'),
    ...network(3215, 'Orange S.A.', 7),
    ...EUROPEAN_UNION,
  }),
  madrid: client('madrid', '203.0.113.3', {
    ...place('MAD', 'EU', 'ES', 'Europe/Madrid'),
    ...address('Madrid', 'Madrid', 'MD', '28013'),
    ...position('40.41650', '-3.70256'),
    ...network(3352, 'Telefonica de Espana', 8),
    ...EUROPEAN_UNION,
  }),
  london: client('london', '203.0.113.4', {
    ...place('LHR', 'EU', 'GB', 'Europe/London'),
    ...address('London', 'England', 'ENG', 'SW1A'),
    ...position('51.50853', '-0.12574'),
    ...network(2856, 'British Telecommunications PLC', 8),
  }),
  warsaw: client('warsaw', '203.0.113.5', {
    ...place('WAW', 'EU', 'PL', 'Europe/Warsaw'),
    ...address('Warsaw', 'Mazovia', '14', '00-001'),
    ...position('52.22977', '21.01178'),
    ...network(5617, 'Orange Polska Spolka Akcyjna', 11),
    ...EUROPEAN_UNION,
  }),
  'new-york': client('new-york', '203.0.113.6', {
    ...place('EWR', 'NA', 'US', 'America/New_York'),
    ...address('New York', 'New York', 'NY', '10001'),
    ...position('40.71427', '-74.00597'),
    ...network(701, 'Verizon Business', 6),
    metroCode: '501',
  }),
  'san-francisco': client('san-francisco', '203.0.113.7', {
    ...place('SFO', 'NA', 'US', 'America/Los_Angeles'),
    ...address('San Francisco', 'California', 'CA', '94103'),
    ...position('37.77493', '-122.41942'),
    ...network(7922, 'Comcast Cable Communications, LLC', 12),
    metroCode: '807',
  }),
  toronto: client('toronto', '203.0.113.8', {
    ...place('YYZ', 'NA', 'CA', 'America/Toronto'),
    ...address('Toronto', 'Ontario', 'ON', 'M5V'),
    ...position('43.70643', '-79.39864'),
    ...network(577, 'Bell Canada', 10),
  }),
  'sao-paulo': client('sao-paulo', '203.0.113.9', {
    ...place('GRU', 'SA', 'BR', 'America/Sao_Paulo'),
    ...address('São Paulo', 'São Paulo', 'SP', '01310-000'),
    ...position('-23.54750', '-46.63611'),
    ...network(27699, 'TELEFÔNICA BRASIL S.A', 14),
  }),
  tokyo: client('tokyo', '203.0.113.10', {
    ...place('NRT', 'AS', 'JP', 'Asia/Tokyo'),
    ...address('Tokyo', 'Tokyo', '13', '101-8656'),
    ...position('35.68950', '139.69171'),
    ...network(4713, 'NTT DOCOMO BUSINESS, Inc.', 5),
  }),
  sydney: client('sydney', '203.0.113.11', {
    ...place('SYD', 'OC', 'AU', 'Australia/Sydney'),
    ...address('Sydney', 'New South Wales', 'NSW', '2000'),
    ...position('-33.86785', '151.20732'),
    ...network(1221, 'Telstra Limited', 9),
  }),
  johannesburg: client('johannesburg', '203.0.113.12', {
    ...place('JNB', 'AF', 'ZA', 'Africa/Johannesburg'),
    ...address('Johannesburg', 'Gauteng', 'GP', '2001'),
    ...position('-26.20227', '28.04363'),
    ...network(5713, 'Telkom SA Ltd.', 13),
  }),
  mumbai: client('mumbai', '203.0.113.13', {
    ...place('BOM', 'AS', 'IN', 'Asia/Kolkata'),
    ...address('Mumbai', 'Maharashtra', 'MH', '400017'),
    ...position('19.07283', '72.88261'),
    ...network(55836, 'Reliance Jio Infocomm Limited', 15),
  }),
};

function client(id: CityId, clientIp: string, cf: Omit<Cf, keyof typeof BROWSER>): City {
  return { id, clientIp, cf: { ...BROWSER, ...cf } };
}

function place(colo: string, continent: Cf['continent'], country: string, timezone: string) {
  return { colo, continent, country, timezone };
}

function address(city: string, region: string, regionCode: string, postalCode: string) {
  return { city, region, regionCode, postalCode };
}

function position(latitude: string, longitude: string) {
  return { latitude, longitude };
}

function network(asn: number, asOrganization: string, clientTcpRtt: number) {
  return { asn, asOrganization, clientTcpRtt };
}
