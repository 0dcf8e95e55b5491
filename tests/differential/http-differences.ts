/**
 * Where the HTTP face of etcd 3.7, the target, is known to differ from the 3.4.23 that tests can run: as data, each with
 * its reason. `explain` turns 3.4's answer into what 3.7 would say, and only then compares.
 */
import type { HttpOutcome, HttpStep } from './http-exchange.ts';

export interface HttpDifference {
  readonly name: string;
  readonly reason: string;
  /** What their answer is in 3.7; null when this difference has nothing to say about it. */
  translate(step: HttpStep, theirs: HttpOutcome, ours: HttpOutcome): HttpOutcome | null;
}

type Tree = Record<string, unknown>;
const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const codeOf = (outcome: HttpOutcome): unknown => (isTree(outcome.body) ? outcome.body.code : undefined);
const isGateway = (step: HttpStep): boolean => /^\/v3(beta)?\//.test(step.path);

const withoutFields = (outcome: HttpOutcome, ...names: string[]): HttpOutcome => {
  const headers = { ...outcome.headers };
  for (const name of names) delete headers[name];
  return { ...outcome, headers };
};
const json = (status: number, code: number, message: string, theirs: HttpOutcome): HttpOutcome => ({
  ...withoutFields(theirs, 'x-content-type-options', 'allow'),
  status,
  headers: {
    ...withoutFields(theirs, 'x-content-type-options', 'allow').headers,
    'content-type': 'application/json',
  },
  body: { code, message },
});

/** Whether `ours` is a refusal of the request's JSON itself, in the words of the newer library. */
const refusesJson = (ours: HttpOutcome): boolean =>
  ours.status === 400 && isTree(ours.body) && /^proto: /.test(String(ours.body.message));

export const HTTP_DIFFERENCES: readonly HttpDifference[] = [
  {
    name: 'error bodies have no member "error"',
    reason: "grpc-gateway's second version (etcd 3.6) has code and message alone",
    translate(_, theirs) {
      if (!isTree(theirs.body) || !('error' in theirs.body) || typeof theirs.body.error !== 'string')
        return null;
      const { error: _error, ...rest } = theirs.body;
      const { code, message, ...more } = rest;
      return { ...theirs, body: { code, message, ...more } };
    },
  },
  {
    name: 'a failed precondition is 400',
    reason: "412 in grpc-gateway's first version",
    translate: (_, theirs) =>
      codeOf(theirs) === 9 && theirs.status === 412 ? { ...theirs, status: 400 } : null,
  },
  {
    name: 'a gateway path with another method is 501',
    reason: "grpc-gateway's second version answers UNIMPLEMENTED as JSON; PUT /v3/kv/put is ours",
    translate: (step, theirs) =>
      isGateway(step) && theirs.status === 405 ? json(501, 12, 'Method Not Allowed', theirs) : null,
  },
  {
    name: 'an unknown gateway path is JSON',
    reason: "grpc-gateway's second version",
    translate: (step, theirs) =>
      isGateway(step) && theirs.status === 404 && theirs.body === 'Not Found\n'
        ? json(404, 5, 'Not Found', theirs)
        : null,
  },
  {
    name: 'JSON that is no such message is refused in other words',
    reason: 'protojson in place of jsonpb: other texts, the same verdict',
    translate: (_, theirs, ours) =>
      refusesJson(ours) && codeOf(theirs) === 3 && theirs.status === 400
        ? { ...theirs, body: { code: 3, message: (ours.body as Tree).message } }
        : null,
  },
  {
    name: 'null, a field twice and two members of a oneof are refused',
    reason: 'protojson refuses what jsonpb let pass',
    translate: (_, theirs, ours) =>
      refusesJson(ours) &&
      /duplicate field|already set|unexpected token null/.test(String((ours.body as Tree).message)) &&
      !/^proto/.test(String(isTree(theirs.body) ? theirs.body.message : ''))
        ? { ...ours, headers: json(400, 3, '', withoutFields(theirs, 'grpc-metadata-content-type')).headers }
        : null,
  },
  {
    name: 'bytes that are no UTF-8 are refused',
    reason: 'protojson refuses what jsonpb read as U+FFFD',
    translate: (_, theirs, ours) =>
      refusesJson(ours) && /invalid UTF-8$/.test(String((ours.body as Tree).message))
        ? json(
            400,
            3,
            String((ours.body as Tree).message),
            withoutFields(theirs, 'grpc-metadata-content-type'),
          )
        : null,
  },
  {
    name: 'more ways to write a number or bytes',
    reason: 'protojson takes 1e1 for 10, and base64 without padding or with the URL-safe alphabet',
    translate: (_, theirs, ours) =>
      codeOf(theirs) === 3 &&
      /^(json: cannot unmarshal number|illegal base64 data)/.test(String((theirs.body as Tree).message)) &&
      codeOf(ours) !== 3
        ? ours
        : null,
  },
  {
    name: 'an unknown name of an enum is skipped',
    reason: 'protojson skips it together with unknown fields, which etcd asks it to',
    translate: (_, theirs, ours) =>
      /^unknown value .* for enum/.test(String(isTree(theirs.body) ? theirs.body.message : '')) ? ours : null,
  },
  {
    name: 'health has a reason',
    reason: 'added in 3.5',
    translate: (step, theirs) =>
      step.path.startsWith('/health') && isTree(theirs.body) && !('reason' in theirs.body)
        ? { ...theirs, body: { ...theirs.body, reason: '' } }
        : null,
  },
  {
    name: 'a stream that fails before its first message has the status of the error',
    reason:
      '3.4 answers 500 with a plain error; later the error of a stream, whose code for bad JSON is 3 with us',
    translate: (step, theirs, ours) =>
      step.path === '/v3/watch' && codeOf(theirs) === 2 && isTree(ours.body) && isTree(ours.body.error)
        ? { ...theirs, status: 400, body: { error: { code: 3, message: (theirs.body as Tree).message } } }
        : null,
  },
  {
    name: 'alarm answers have a header',
    reason: 'sem-003: 3.4 leaves it out',
    translate: (step, theirs, ours) =>
      step.path === '/v3/maintenance/alarm' &&
      isTree(theirs.body) &&
      isTree(ours.body) &&
      !('header' in theirs.body)
        ? { ...theirs, body: { header: ours.body.header, ...theirs.body } }
        : null,
  },
  {
    name: 'v3alpha is served',
    reason: 'ours alone: what 3.3 called v3',
    translate: (step, theirs, ours) =>
      step.path.startsWith('/v3alpha/') && theirs.status === 404 ? ours : null,
  },
  {
    name: 'PUT /v3/kv/put is served',
    reason: 'ours alone: documents use it',
    translate: (step, theirs, ours) =>
      step.path === '/v3/kv/put' && step.method === 'PUT' && theirs.status === 501 ? ours : null,
  },
  {
    name: 'livez and readyz',
    reason: 'added in 3.4.29; the tables of the HTTP surface say what they answer',
    translate: (step, theirs, ours) =>
      /^\/(livez|readyz)/.test(step.path) && theirs.status === 404 && ours.status === 200 ? ours : null,
  },
];

/** @returns their answer as 3.7 would give it, and the names of the differences that were needed */
export function translate(
  step: HttpStep,
  theirs: HttpOutcome,
  ours: HttpOutcome,
): { readonly outcome: HttpOutcome; readonly names: readonly string[] } {
  let outcome = theirs;
  const names: string[] = [];
  for (const difference of HTTP_DIFFERENCES) {
    if (same(outcome, ours)) break;
    const next = difference.translate(step, outcome, ours);
    if (next === null) continue;
    outcome = next;
    names.push(difference.name);
  }
  return { outcome, names };
}

export function same(a: HttpOutcome, b: HttpOutcome): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

/** JSON objects are equal in whatever order their members come. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isTree(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => [name, sorted(field)]),
  );
}
