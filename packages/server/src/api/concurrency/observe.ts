/**
 * One call of Observe: the leader of an election, then everything it proclaims, then the leader after it, and so on.
 *
 *     reading ──leader found──▶ following ──its key deleted──▶ reading ──nobody──▶ vacant ──a put under the name──▶ reading
 *
 * While following, each put on the leader's key is one answer, in order (sem-206). A reader that does not keep up gets no queue: what it
 * missed is left out, and when it reads again it is told who leads by then.
 */
import type { StreamCall } from '@quorate/grpc-server';
import type { EventBatch, KeyRecord } from '@quorate/mvcc';
import { LeaderResponse } from '@quorate/proto';
import type { Member } from '../../member.ts';
import type { WireStatus } from '../error-map.ts';
import type { ResponseHeader } from '../header.ts';
import { firstOf } from './first.ts';
import { unknownStatus } from './refusals.ts';

type State = 'reading' | 'following' | 'vacant' | 'blocked' | 'ended';

export interface ObserveOptions {
  readonly member: Pick<Member, 'store' | 'confirmRead'>;
  readonly header: ResponseHeader;
  /** Called once. */
  readonly onEnd: () => void;
}

export class ObserveCall {
  readonly #call: StreamCall;
  readonly #prefix: Uint8Array;
  readonly #options: ObserveOptions;
  #state: State = 'reading';
  /** Something changed while it was being read. */
  #changed = false;
  /** Key and newest revision of the leader last told. */
  #leader: { readonly key: Uint8Array; readonly modRevision: number } | null = null;

  constructor(call: StreamCall, prefix: Uint8Array, options: ObserveOptions) {
    this.#call = call;
    this.#prefix = prefix;
    this.#options = options;
  }

  begin(): void {
    this.#call.onCancel(() => this.#finish());
    if (this.#state === 'ended') return;
    this.#options.member.confirmRead(this.#call.deadlineMs, (error) => {
      if (this.#state === 'ended') return;
      if (error === null) this.#read();
      else this.end(unknownStatus(error));
    });
  }

  onApplied(batch: EventBatch): void {
    if (this.#state === 'ended' || this.#state === 'blocked') return;
    for (const event of batch.events) {
      const { key } = event.record;
      if (!startsWith(key, this.#prefix)) continue;
      if (this.#state === 'reading') this.#changed = true;
      else if (this.#state === 'vacant') {
        if (event.type === 'put') this.#read();
      } else if (Buffer.compare(key, this.#leader!.key) === 0) {
        if (event.type === 'delete') this.#read();
        else this.#tell(event.record, batch.revision);
      }
    }
  }

  /** The store took over another member's image, and with it events that nobody was told of. */
  onStoreReplaced(): void {
    if (this.#state === 'reading') this.#changed = true;
    else if (this.#state === 'following' || this.#state === 'vacant') this.#read();
  }

  end({ status, message }: WireStatus): void {
    if (this.#state === 'ended') return;
    this.#finish();
    this.#call.end(status, message);
  }

  #finish(): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.#options.onEnd();
  }

  #read(): void {
    this.#state = 'reading';
    this.#changed = false;
    firstOf(this.#options.member.store, this.#prefix, (error, first, revision) => {
      if (this.#state === 'ended') return;
      if (error !== null) this.end(unknownStatus(error));
      else if (first !== null) {
        this.#state = 'following';
        this.#tell(first, revision);
        // What happened while it was read may concern the leader just told.
        if (this.#changed && this.#state === 'following') this.#read();
      } else if (this.#changed) this.#read();
      else this.#state = 'vacant';
    });
  }

  #tell(record: KeyRecord, revision: number): void {
    const { key, modRevision, encoded } = record;
    const known = this.#leader;
    if (known !== null && known.modRevision >= modRevision && Buffer.compare(known.key, key) === 0) return;
    this.#leader = { key: Uint8Array.from(key), modRevision };
    const response = LeaderResponse.encode({ header: this.#options.header.encode(revision), kv: encoded });
    if (this.#call.write(response)) return;
    this.#state = 'blocked';
    this.#call.onDrain(() => {
      if (this.#state === 'blocked') this.#read();
    });
  }
}

function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  if (key.length < prefix.length) return false;
  for (let index = 0; index < prefix.length; index++) if (key[index] !== prefix[index]) return false;
  return true;
}
