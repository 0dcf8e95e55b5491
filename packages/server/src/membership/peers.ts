/**
 * Keeps the network's list of peers equal to the applied list of members, and tells those who were removed.
 *
 * Nobody replicates to a removed member any more, so that it may never see the entry that removed it. It is told so
 * in a call, and stays connected for a while to hear it. Who was cut off meanwhile hears it from the transport when it comes
 * back.
 */
import type { Env } from '../env.ts';
import type { MemberInfo } from '../member.ts';
import type { Network } from '../network.ts';

const REMOVED_CALL = 'member-removed';
const NOTHING = new Uint8Array(0);

export class Peers {
  readonly #network: Network;
  readonly #env: Env;
  readonly #memberId: bigint;
  readonly #farewellMs: number;
  readonly #isRemoved: (id: bigint) => boolean;
  /** As applied, and those known from elsewhere that are not applied yet. */
  #members: readonly MemberInfo[];
  /** Removed, and still to be told. */
  readonly #leaving = new Map<bigint, readonly string[]>();
  #closed = false;

  constructor(options: {
    readonly network: Network;
    readonly env: Env;
    readonly memberId: bigint;
    /** Those to talk to until the list of members is applied. */
    readonly initial: readonly MemberInfo[];
    readonly isRemoved: (id: bigint) => boolean;
    /** How long a removed member stays connected. */
    readonly farewellMs: number;
  }) {
    this.#network = options.network;
    this.#env = options.env;
    this.#memberId = options.memberId;
    this.#members = options.initial;
    this.#isRemoved = options.isRemoved;
    this.#farewellMs = options.farewellMs;
  }

  /** A peer says that this member was removed. */
  onRemoved(listener: () => void): void {
    this.#network.onCall(REMOVED_CALL, (from, _request, done) => {
      // Only a member can say so; the transport lets no other in, and one that was removed itself has no say.
      const known = this.#members.some(({ id }) => id === from);
      done(null, NOTHING);
      if (known) listener();
    });
  }

  /** The list as applied now. Who is missing stays connected unless it was removed: its entry may be the next. */
  set(members: readonly MemberInfo[]): void {
    const others = this.#members.filter(({ id }) => !members.some((member) => member.id === id));
    for (const { id, peerUrls } of others) if (this.#isRemoved(id)) this.#sayFarewell(id, peerUrls);
    this.#members = [...members, ...others.filter(({ id }) => !this.#isRemoved(id))];
    this.#connect();
  }

  #sayFarewell(id: bigint, peerUrls: readonly string[]): void {
    if (id === this.#memberId) return;
    this.#leaving.set(id, peerUrls);
    this.#network.call(id, REMOVED_CALL, NOTHING, this.#farewellMs, () => {});
    this.#env.setTimer(this.#farewellMs, () => {
      this.#leaving.delete(id);
      this.#connect();
    });
  }

  close(): void {
    this.#closed = true;
  }

  #connect(): void {
    if (this.#closed) return;
    const peers = new Map<bigint, readonly string[]>(this.#leaving);
    for (const { id, peerUrls } of this.#members) if (id !== this.#memberId) peers.set(id, peerUrls);
    this.#network.setPeers(peers);
  }
}
