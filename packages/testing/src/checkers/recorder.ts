/**
 * Writes a history down while it happens, and reads it back from its file.
 *
 *   const recorder = new HistoryRecorder({ nowNs });
 *   const client = recorder.client('c1');
 *   const open = client.begin({ kind: 'put', key: 'a', value: client.uniqueValue() }, endpoint);
 *   open.ok({ kind: 'put', previous: null }, { member, revision, term });   // or open.error(text)
 *
 * A call that was begun and never ended counts as unknown. Invariant: the calls of one client name do not overlap.
 */
import { errorCodeOf, errorFacts } from '@quorate/proto';
import type {
  History,
  HistoryCall,
  HistoryFault,
  HistoryHash,
  HistoryLine,
  HistoryStatus,
  HistoryWatch,
  RecordedAnswer,
  RecordedCall,
} from './history.ts';

export interface AnswerHeader {
  readonly member: string;
  readonly revision: number;
  readonly term: number;
  readonly incarnation?: number;
}

/** The text for a call that never left the client, because there was no connection: nothing can have happened. */
export const NOT_SENT = 'not sent';

const NO_HEADER: AnswerHeader = { member: '', revision: 0, term: 0 };

export interface OpenCall {
  ok(answer: RecordedAnswer, header: AnswerHeader): void;
  /** Whether it had no effect, or nobody knows, follows from the text (`isDefinite`). */
  error(text: string): void;
}

export class HistoryRecorder implements History {
  readonly calls: HistoryCall[] = [];
  readonly statuses: HistoryStatus[] = [];
  readonly hashes: HistoryHash[] = [];
  readonly watches: HistoryWatch[] = [];
  readonly faults: HistoryFault[] = [];
  readonly #nowNs: () => number;
  /** Calls without an outcome yet. */
  readonly #open = new Set<HistoryCall>();

  constructor(clock: { readonly nowNs: () => number }) {
    this.#nowNs = clock.nowNs;
  }

  nowNs(): number {
    return this.#nowNs();
  }

  client(name: string): RecordingClient {
    return new RecordingClient(name, this);
  }

  begin(client: string, call: RecordedCall, endpoint: string): OpenCall & { readonly isOpen: boolean } {
    const begun: HistoryCall = {
      client,
      call,
      callNs: this.#nowNs(),
      returnNs: null,
      outcome: { kind: 'unknown', error: 'never answered' },
      endpoint,
      ...NO_HEADER,
    };
    const open = this.#open;
    const finish = (ended: Partial<HistoryCall>) => {
      if (!open.delete(begun)) throw new Error('a call ends once');
      this.calls.push({ ...begun, ...ended });
    };
    open.add(begun);
    return {
      get isOpen() {
        return open.has(begun);
      },
      ok: (answer, header) => finish({ returnNs: this.#nowNs(), outcome: { kind: 'ok', answer }, ...header }),
      error: (error) =>
        finish(
          isDefinite(error)
            ? { returnNs: this.#nowNs(), outcome: { kind: 'failed', error } }
            : { outcome: { kind: 'unknown', error } },
        ),
    };
  }

  fault(kind: string, detail: string): void {
    this.faults.push({ atNs: this.#nowNs(), kind, detail });
  }

  /** All there is, calls without an outcome included, in order of the calls. */
  history(): History {
    return {
      calls: [...this.calls, ...this.#open].sort((a, b) => a.callNs - b.callNs),
      statuses: this.statuses,
      hashes: this.hashes,
      watches: this.watches,
      faults: this.faults,
    };
  }
}

/** One sequential client: takes a new name after an unknown outcome, and never uses a value twice. */
export class RecordingClient {
  readonly #base: string;
  readonly #recorder: HistoryRecorder;
  #life = 0;
  #value = 0;

  constructor(name: string, recorder: HistoryRecorder) {
    this.#base = name;
    this.#recorder = recorder;
  }

  get name(): string {
    return this.#life === 0 ? this.#base : `${this.#base}#${this.#life}`;
  }

  uniqueValue(): string {
    return `${this.#base}-${++this.#value}`;
  }

  begin(call: RecordedCall, endpoint: string): OpenCall {
    const open = this.#recorder.begin(this.name, call, endpoint);
    return {
      ok: open.ok,
      error: (text) => {
        if (!isDefinite(text)) this.#life++;
        open.error(text);
      },
    };
  }
}

/**
 * Whether an error says that nothing happened. Only refusals that come before a proposal, or from applying the
 * entry itself, do; a text that is not in the registry never does. "later" refusals come before anything was proposed.
 */
export function isDefinite(error: string): boolean {
  if (error === NOT_SENT) return true;
  const code = errorCodeOf(error);
  // etcd's first put beyond the quota is applied, and refused all the same.
  if (code === undefined || code === 'WATCH_CANCELED' || code === 'NO_SPACE') return false;
  const { retry } = errorFacts[code];
  return retry === 'no' || retry === 'authenticate' || retry === 'later';
}

/** The file: one line of JSON each. */
export function writeHistory(history: History): string {
  const lines: HistoryLine[] = [
    ...history.calls.map((call) => ({ line: 'call' as const, ...call })),
    ...history.statuses.map((status) => ({ line: 'status' as const, ...status })),
    ...history.hashes.map((hash) => ({ line: 'hash' as const, ...hash })),
    ...history.watches.map((watch) => ({ line: 'watch' as const, ...watch })),
    ...history.faults.map((fault) => ({ line: 'fault' as const, ...fault })),
  ];
  return lines.map((line) => `${JSON.stringify(line, writeBigint)}\n`).join('');
}

export function readHistory(text: string): History {
  const history = {
    calls: [] as HistoryCall[],
    statuses: [] as HistoryStatus[],
    hashes: [] as HistoryHash[],
    watches: [] as HistoryWatch[],
    faults: [] as HistoryFault[],
  };
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const { line: kind, ...rest } = JSON.parse(line, readBigint) as HistoryLine;
    if (kind === 'call') history.calls.push(rest as HistoryCall);
    else if (kind === 'status') history.statuses.push(rest as HistoryStatus);
    else if (kind === 'hash') history.hashes.push(rest as HistoryHash);
    else if (kind === 'watch') history.watches.push(rest as HistoryWatch);
    else if (kind === 'fault') history.faults.push(rest as HistoryFault);
    else throw new Error(`no such line: ${line.slice(0, 80)}`);
  }
  return history;
}

/** 64-bit ids as `{"int64":"123"}`: JSON's numbers are too short for them. */
function writeBigint(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? { int64: String(value) } : value;
}

function readBigint(_key: string, value: unknown): unknown {
  const text = (value as { int64?: unknown } | null)?.int64;
  return typeof text === 'string' ? BigInt(text) : value;
}
